package auth

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// oidcHead is the beginning of an access file with a sign-in that is valid together with a group.
const oidcHead = head + "oidc:\n  issuer: https://login.isp.example/realms/noc\n  clientID: op25b\n"

const oneGroup = "  groups:\n    - {group: noc, role: viewer}\n"

func TestParseOIDC(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"minimal", oidcHead + oneGroup, ""},
		{"everything", oidcHead + "  name: ISP のログイン\n  ca: /etc/op25b/ca.pem\n  clientSecretFile: /etc/op25b/oidc.secret\n  redirect: https://noc.isp.example/signin/callback\n" +
			"  scopes: [groups, \"https://isp.example/roles\"]\n  nameClaim: email\n  groupsClaim: roles\n" + oneGroup, ""},
		{"this host", strings.Replace(oidcHead, "https://login.isp.example", "http://localhost:8080", 1) + oneGroup, ""},
		{"a loopback address", strings.Replace(oidcHead, "https://login.isp.example", "http://[::1]:8080", 1) + oneGroup, ""},
		{"no issuer", head + "oidc:\n  clientID: a\n" + oneGroup, `access.yaml:4:3: oidc has no "issuer"; it must be text`},
		{"nothing", head + "oidc: {}\n", `access.yaml:3:7: oidc has no "issuer"`},
		{"unknown key", oidcHead + "  secret: a\n" + oneGroup, `unknown key "secret"`},
		{
			"plain issuer", strings.Replace(oidcHead, "https://login", "http://login", 1) + oneGroup,
			`access.yaml:4:11: issuer "http://login.isp.example/realms/noc" is not usable; must be an https URL without a query, such as https://login.isp.example/realms/noc; http is only for this host`,
		},
		{"issuer without host", strings.Replace(oidcHead, "https://login.isp.example/realms/noc", "https:noc", 1) + oneGroup, `issuer "https:noc" is not usable`},
		{"issuer with query", strings.Replace(oidcHead, "realms/noc", "?a=b", 1) + oneGroup, `issuer "https://login.isp.example/?a=b" is not usable`},
		{"issuer with user", strings.Replace(oidcHead, "login.", "a:b@login.", 1) + oneGroup, `is not usable; must be an https URL without a query`},
		{"empty clientID", strings.Replace(oidcHead, "clientID: op25b", `clientID: ""`, 1) + oneGroup, `access.yaml:5:13: clientID has 0 bytes; must be 1 to 256`},
		{"long clientID", strings.Replace(oidcHead, "op25b\n", strings.Repeat("x", 257)+"\n", 1) + oneGroup, `clientID has 257 bytes; must be 1 to 256`},
		{
			"another path", oidcHead + "  redirect: https://noc.isp.example/\n" + oneGroup,
			`access.yaml:6:13: redirect "https://noc.isp.example/" is not usable; must be an https URL of the page with the path /signin/callback, such as https://noc.isp.example/signin/callback`,
		},
		{"plain redirect", oidcHead + "  redirect: http://noc.isp.example/signin/callback\n" + oneGroup, `redirect "http://noc.isp.example/signin/callback" is not usable`},
		{"no group", oidcHead + "  groups: []\n", `access.yaml:6:11: oidc has no group; give at least one, such as {group: noc-operators, role: operator}: otherwise nobody who signs in has a role`},
		{"empty group", oidcHead + "  groups:\n    - {group: \"\", role: viewer}\n", `access.yaml:7:15: group "" has 0 bytes; must be 1 to 256`},
		{"group twice", oidcHead + oneGroup + "    - {group: noc, role: admin}\n", `access.yaml:8:15: group "noc" is listed twice; the first is at access.yaml:7:7: keep one`},
		{"portal", oidcHead + "  groups:\n    - {group: noc, role: portal}\n", `access.yaml:7:26: group "noc" has the role portal; must be viewer, operator or admin: the customers' portal uses a token or a certificate`},
		{"lease", oidcHead + "  groups:\n    - {group: pop, role: lease}\n", `access.yaml:7:26: group "pop" has the role lease; must be viewer, operator or admin: a program that grants leases uses a token or a certificate`},
		{"reporter", oidcHead + "  groups:\n    - {group: dhcp, role: reporter}\n", `access.yaml:7:27: group "dhcp" has the role reporter; must be viewer, operator or admin: a DHCP server uses a token or a certificate`},
		{"unknown role", oidcHead + "  groups:\n    - {group: noc, role: root}\n", `oidc.groups[0].role is "root"`},
		{"scope", oidcHead + "  scopes: [\"a b\"]\n" + oneGroup, `access.yaml:6:12: scope "a b" is not usable; must be 1 to 256 printable ASCII characters without spaces, quotes and backslashes`},
		{"scopes", oidcHead + "  scopes: [" + strings.Repeat("a, ", 16) + "a]\n" + oneGroup, `access.yaml:6:11: 17 scopes; must be at most 16`},
		{"long claim", oidcHead + "  groupsClaim: " + strings.Repeat("x", 257) + "\n" + oneGroup, `access.yaml:6:16: groupsClaim has 257 bytes; must be at most 256`},
		{"long name", oidcHead + "  name: " + strings.Repeat("x", 65) + "\n" + oneGroup, `has 65 bytes; must be at most 64 bytes of printable text`},
		{"two lines", oidcHead + "  name: \"a\\nb\"\n" + oneGroup, `name "a\nb" has 3 bytes; must be at most 64 bytes of printable text`},
	} {
		_, err := Parse("access.yaml", []byte(c.text))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.Is(err, ErrAccess) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestPerson verifies that a person has the highest role of the groups in the current access file, and is unknown to another provider.
func TestPerson(t *testing.T) {
	parse := func(text string) *Grants {
		t.Helper()
		a, err := Parse("access.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := parse(oidcHead + oneGroup + "    - {group: shift, role: operator}\n    - {group: root, role: admin}\n")
	if a.OIDC.Title() != "login.isp.example" || (&OIDC{Name: "SSO", Issuer: "https://a.example"}).Title() != "SSO" {
		t.Errorf("the provider is called %q", a.OIDC.Title())
	}
	roles := map[string]Role{"noc": Viewer, "shift": Operator, "root": Admin, "chess": None}
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"noc", "shift", "root", "chess", "NOC"}), func(g string) string { return g }).Draw(t, "groups")
		want := None
		for _, r := range []Role{Viewer, Operator, Admin} {
			for _, g := range groups {
				if roles[g] == r {
					want = r
				}
			}
		}
		got, err := a.Person(Person{Name: "alice@isp.example", Groups: groups, Provider: a.OIDC.Provider()})
		if err != nil || got != (Caller{Who: "alice@isp.example by OIDC", Role: want, By: ByOIDC}) {
			t.Fatalf("%v: %+v, %v, want %q", groups, got, err, want)
		}
	})
	p := Person{Name: "alice", Groups: []string{"root"}, Provider: a.OIDC.Provider()}
	for name, text := range map[string]string{
		"another issuer": strings.Replace(oidcHead, "/noc", "/other", 1) + oneGroup,
		"another client": strings.Replace(oidcHead, "clientID: op25b", "clientID: other", 1) + oneGroup,
		"another claim":  oidcHead + "  groupsClaim: roles\n" + oneGroup,
		"no provider":    head + "certificates:\n  - {commonName: a, role: admin}\n",
	} {
		if got, err := parse(text).Person(p); !errors.Is(err, ErrUnknown) || got != (Caller{}) || !strings.Contains(err.Error(), "no longer has the OpenID Provider with which alice signed in") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", strings.Repeat("x", 241), "a\nb", "\u202ea", "a\ufffd", "a\x00"} {
		if PersonName(name) == nil {
			t.Errorf("%q can be a name", name)
		}
	}
	for _, name := range []string{"alice@isp.example", "山田 太郎", strings.Repeat("x", 240)} {
		if err := PersonName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
