package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

const head = "apiVersion: op25b/v1\nkind: Access\n"

func TestParse(t *testing.T) {
	good, one := hashOf("a"), hashOf("b")
	for _, c := range []struct{ name, text, want string }{
		{"tokens", head + "tokens:\n  - {name: a, role: viewer, sha256: " + good + "}\n  - {name: a, role: admin, sha256: " + one + ", expires: 2027-03-31T00:00:00+09:00}\n", ""},
		{"certificates", head + "certificates:\n  - {uri: \"spiffe://isp.example/alice\", role: admin}\n  - {commonName: bob, role: operator}\n", ""},
		{"numbers in quotes", head + "certificates:\n  - {commonName: \"1.50\", role: viewer}\n  - {commonName: \"1.5\", role: viewer}\n", ""},
		{"nothing", head, "access.yaml:1:1: the file has no token, certificate or oidc; give at least one: otherwise every caller is refused"},
		{"kind", "apiVersion: op25b/v1\nkind: Policy\ntokens: []\n", `access.yaml:2:7: unknown kind "Policy"; known: Access`},
		{"unknown keys", head + "token: []\nuser: a\n", "invalid access file: access.yaml:3:1: unknown key \"token\"; did you mean \"tokens\"? known keys: apiVersion, kind, tokens, certificates, oidc, massChange, unproved\n" +
			`access.yaml:4:1: unknown key "user"`},
		{"key twice", head + "tokens: []\ntokens: []\n", `access.yaml:4:1: key "tokens" is given twice; the first is at access.yaml:3:1: keep one`},
		{"wrong type", head + "tokens: {name: a}\n", "access.yaml:3:9: tokens is a mapping; it must be a list of mappings with the keys name, role, sha256, expires"},
		{"a number", head + "certificates:\n  - {commonName: 1.50, role: viewer}\n", "access.yaml:4:18: certificates[0].commonName is the number 1.50; it must be text"},
		{"not YAML", "a: [\n", "access.yaml:2:1: not valid YAML: did not find expected node content"},
		{"not text", "\xff", "access.yaml:1:1: byte 0xff is not UTF-8; save the file as UTF-8"},
		{"second document", head + "---\n" + head, "access.yaml: there are 2 documents; keep one, of kind: Access"},
		{"empty", "# nothing\n", "access.yaml: there are 0 documents"},
		{"anchor", head + "tokens:\n  - {name: &a noc, role: viewer, sha256: " + good + "}\n", "access.yaml:4:12: tokens[0].name is written with an anchor; anchors, aliases, tags and merge keys are not supported"},
		{"alias", head + "tokens: []\ncertificates: *a\n", "access.yaml:4:15: certificates is written with an alias"},
		{"merge key", head + "certificates:\n  - {<<: {role: admin}, commonName: a}\n", "access.yaml:4:6: certificates[0] has a key written with a merge key"},
		{"tag", head + "tokens: !!seq []\n", "access.yaml:3:9: tokens is written with the tag !!seq"},
		{"role", head + "tokens:\n  - {name: a, role: root, sha256: " + good + "}\n", `access.yaml:4:21: tokens[0].role is "root"; it must be viewer, operator, admin, portal, reporter or lease`},
		{"no role", head + "certificates:\n  - {commonName: a}\n", `access.yaml:4:5: certificates[0] has no "role"; it must be viewer, operator, admin, portal, reporter or lease`},
		{"no name", head + "tokens:\n  - {role: viewer, sha256: " + good + "}\n", `access.yaml:4:5: tokens[0] has no "name"; it must be text`},
		{"empty name", head + "tokens:\n  - {name: \"\", role: viewer, sha256: " + good + "}\n", `access.yaml:4:12: token name "" has 0 bytes; must be 1 to 256`},
		{"the token itself", head + "tokens:\n  - {name: a, role: viewer, sha256: op25b_secret}\n", `access.yaml:4:37: sha256 of token "a" is not a hash; must be 64 hexadecimal digits, as printed by sha256sum, not the token itself`},
		{"expires", head + "tokens:\n  - {name: a, role: viewer, sha256: " + good + ", expires: tomorrow}\n", `access.yaml:4:112: token "a" expires at "tomorrow"; must be a time such as 2027-03-31T00:00:00+09:00`},
		{"one token twice", head + "tokens:\n  - {name: a, role: viewer, sha256: " + good + "}\n  - {name: b, role: admin, sha256: " + strings.ToUpper(good) + "}\n", `access.yaml:5:36: token "b" has the sha256 of another token; the first is at access.yaml:4:5: keep one`},
		{"no name of a certificate", head + "certificates:\n  - {role: viewer}\n", "access.yaml:4:5: the certificate has no name, or two; must have either a uri or a commonName"},
		{"both names", head + "certificates:\n  - {uri: \"a:b\", commonName: c, role: viewer}\n", "must have either a uri or a commonName"},
		{"no scheme", head + "certificates:\n  - {uri: alice, role: viewer}\n", `access.yaml:4:11: uri "alice" has no scheme; must have one, as in spiffe://isp.example/noc/alice`},
		{"long", head + "certificates:\n  - {commonName: " + strings.Repeat("x", 257) + ", role: viewer}\n", "the certificate has a name of 257 bytes; must be at most 256"},
		{"one certificate twice", head + "certificates:\n  - {commonName: a, role: viewer}\n  - {commonName: a, role: admin}\n", `access.yaml:5:5: certificate "a" is listed twice; the first is at access.yaml:4:5: keep one`},
		{"everything at once", head + "tokens:\n  - {name: \"\", role: viewer, sha256: x}\n", `sha256 of token "" is not a hash`},
	} {
		_, err := Parse("access.yaml", []byte(c.text))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.Is(err, ErrAccess) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "access.yaml")):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestToken(t *testing.T) {
	token, entry, err := NewToken("noc", Operator, "2026-01-02T00:00:00Z")
	hash := entry.SHA256
	if other, _, _ := NewToken("noc", Operator, ""); err != nil || other == token || hash != hashOf(token) || len(token) < 40 {
		t.Errorf("%s, %s", token, hash)
	}
	a, err := Parse("access.yaml", fmt.Appendf(nil, "%stokens:\n  - {name: noc, role: operator, sha256: %s, expires: 2026-01-02T00:00:00Z}\n", head, hash))
	if err != nil {
		t.Fatal(err)
	}
	last := time.Date(2026, 1, 1, 23, 59, 59, 0, time.UTC)
	if id, err := a.Token(token, last); err != nil || id != (Caller{Who: "noc", Role: Operator, By: ByToken}) {
		t.Errorf("%v, %v", id, err)
	}
	if _, err := a.Token(token, last.Add(time.Second)); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "the bearer token of noc expired at 2026-01-02T00:00:00Z") {
		t.Errorf("expired: %v", err)
	}
	rapid.Check(t, func(t *rapid.T) {
		if guess := rapid.String().Draw(t, "guess"); guess != token {
			if id, err := a.Token(guess, last); !errors.Is(err, ErrUnknown) {
				t.Fatalf("%q is %v", guess, id)
			}
		}
	})
}

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{"": "", "Bearer x": "x", "bearer  x ": "x", "Basic x": "!", "Bearer": "!", "Bearer ": "!", "x": "!"} {
		got, ok, err := Bearer(header)
		if wrong := err != nil; wrong != (want == "!") || !wrong && (got != want || ok != (want != "")) || wrong && !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %q, %v, %v", header, got, ok, err)
		}
	}
}

func TestCertificate(t *testing.T) {
	a, err := Parse("access.yaml", []byte(head+"certificates:\n  - {uri: \"spiffe://isp.example/alice\", role: viewer}\n  - {commonName: alice, role: admin}\n"))
	if err != nil {
		t.Fatal(err)
	}
	cert := func(name string, uris ...string) *x509.Certificate {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(77)}
		for _, text := range uris {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		}
		return c
	}
	for _, c := range []struct {
		cert *x509.Certificate
		who  string
		role Role
	}{
		{cert("alice"), "alice", Admin},
		{cert("alice", "spiffe://isp.example/alice"), "spiffe://isp.example/alice", Viewer},
		{cert("alice", "spiffe://isp.example/other"), "alice", Admin},
		{cert("bob"), "bob", None},
		{cert("", "spiffe://isp.example/bob"), "spiffe://isp.example/bob", None},
		{cert(""), "certificate 77", None},
		{cert(strings.Repeat("é", 300)), strings.Repeat("é", 128), None},
		{cert("a\xffb"), "a\uFFFDb", None},
	} {
		if got := a.Certificate(c.cert); got != (Caller{Who: c.who, Role: c.role, By: ByCertificate}) {
			t.Errorf("%v, want %s %s", got, c.who, c.role)
		}
	}
}

func TestRoles(t *testing.T) {
	all := []Role{None, Viewer, Operator, Admin}
	for i, r := range all {
		for j, least := range all {
			if r.May(least) != (i >= j) {
				t.Errorf("%q may what %q may: %v", r, least, r.May(least))
			}
		}
		if r.May(Portal) != (r != None) || Portal.May(r) != (r == None) { // Portal includes no role that can read the intent
			t.Errorf("%q may what portal may: %v, and the reverse: %v", r, r.May(Portal), Portal.May(r))
		}
	}
	for _, r := range Roles() { // operators may do what a reporter may, and a reporter may do nothing else
		if r.May(Reporter) != (r == Operator || r == Admin || r == Reporter) || Reporter.May(r) != (r == Reporter) {
			t.Errorf("%q may what reporter may: %v, and the reverse: %v", r, r.May(Reporter), Reporter.May(r))
		}
	}
	if !Portal.May(Portal) || !slices.Equal(Roles(), append(all[1:], Portal, Reporter, Lease)) {
		t.Errorf("%q", Roles())
	}
	if Role("root").May(None) {
		t.Error("what is no role may something")
	}
}

// TestReports verifies how an access file confines reporters.
func TestReports(t *testing.T) {
	token, entry, err := NewToken("kea-1", Reporter, "")
	if err != nil {
		t.Fatal(err)
	}
	plain, other, err := NewToken("kea-3", Reporter, "")
	if err != nil {
		t.Fatal(err)
	}
	a, err := Parse("access.yaml", fmt.Appendf(nil, "%stokens:\n  - {name: kea-1, role: reporter, sha256: %s, sources: [kea-1, kea-2], switches: [edge-1]}\n  - {name: kea-3, role: reporter, sha256: %s}\n"+
		"certificates:\n  - {commonName: oss, role: reporter, switches: [edge-2]}\n  - {commonName: noc, role: operator}\n", head, entry.SHA256, other.SHA256))
	if err != nil {
		t.Fatal(err)
	}
	certified := func(name string) Caller {
		return a.Certificate(&x509.Certificate{Subject: pkix.Name{CommonName: name}})
	}
	one, _ := a.Token(token, time.Now())
	two, _ := a.Token(plain, time.Now())
	for _, c := range []struct {
		got  Caller
		want *Reports
	}{
		{one, &Reports{[]string{"kea-1", "kea-2"}, []string{"edge-1"}}},
		{two, &Reports{[]string{"kea-3"}, nil}},
		{certified("oss"), &Reports{[]string{"oss"}, []string{"edge-2"}}},
		{certified("noc"), nil},
	} {
		if !reflect.DeepEqual(c.got.Reports, c.want) {
			t.Errorf("%s: %v, want %v", c.got.Who, c.got.Reports, c.want)
		}
	}
	for what, want := range map[string]string{
		"role: operator, sources: [a]":                                     `sources with the role operator; only the role reporter has sources`,
		"role: viewer, switches: [a]":                                      `switches with the role viewer; only the role reporter has switches`,
		"role: reporter, sources: [\"\"]":                                  `the name "" has 0 bytes; must be 1 to 64`,
		"role: reporter, switches: [" + strings.Repeat("a, ", 1024) + "a]": `1025 switches; must be at most 1024`,
	} {
		for _, entry := range []string{"tokens:\n  - {name: a, sha256: " + entry.SHA256 + ", ", "certificates:\n  - {commonName: a, "} {
			if _, err := Parse("access.yaml", []byte(head+entry+what+"}\n")); !errors.Is(err, ErrAccess) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", what, err, want)
			}
		}
	}
}

// A changed file takes effect. An invalid or missing file is reported once, and the last valid contents stay in
// use.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.yaml")
	if _, err := Open(path, nil); !errors.Is(err, ErrAccess) || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	write := func(token string) {
		t.Helper()
		content := head + "tokens:\n  - {name: a, role: viewer, sha256: " + hashOf(token) + "}\n"
		if token == "" {
			content = head
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	var told []string
	f, err := Open(path, func(err error) { told = append(told, err.Error()) })
	if err != nil {
		t.Fatal(err)
	}
	good := func(token string, want bool) {
		t.Helper()
		if _, err := f.Access().Token(token, time.Now()); (err == nil) != want {
			t.Errorf("token %q: %v", token, err)
		}
	}
	good("one", true)
	stat, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write("two") // the new file has the same size and, as on a file system with a coarse time resolution, the same modification time
	if err := os.Chtimes(path, stat.ModTime(), stat.ModTime()); err != nil {
		t.Fatal(err)
	}
	good("one", false)
	good("two", true)
	write("")
	good("two", true)
	good("two", true)
	if len(told) != 1 || !strings.Contains(told[0], "has no token, certificate or oidc") {
		t.Errorf("told %q", told)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	good("two", true)
	good("two", true)
	if len(told) != 2 {
		t.Errorf("told %q", told)
	}
	write("three")
	good("three", true)

	// After the modification time has settled, the file is not read again if its size and modification time are
	// unchanged.
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	good("three", true)
	write("fours")
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	good("three", true)
}

// I12: an access file that is too large is refused before it is parsed.
func TestLargeAccessFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.yaml")
	if err := os.WriteFile(path, []byte("kind: Access\n"+strings.Repeat("# a comment\n", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, nil); !errors.Is(err, ErrAccess) || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("%v", err)
	}
}
