package site

import (
	"bufio"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/examples"
	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

func example(t *testing.T) strict.File {
	t.Helper()
	data, err := fs.ReadFile(examples.Portal(), "site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return strict.File{Name: "site.yaml", Data: data}
}

func TestLoad(t *testing.T) {
	s, err := Load(example(t))
	if err != nil {
		t.Fatal(err)
	}
	if s.Name.JA != "エグザンプルネット" || s.Host() != "mail-check.isp.example" || len(s.TrustedProxies) != 2 || s.Support.Hours.EN == "" {
		t.Errorf("%+v", s)
	}
	for _, tc := range []struct {
		of         Element
		name, want string
	}{{LineGroup, "adsl", "フレッツ・ADSL"}, {Phase, "adsl", ""}, {Remote, "mobile-carrier", "携帯電話会社のメールサーバー"}, {Phase, "nothing", ""}} {
		if got := s.Title(tc.of, tc.name, lang.Japanese); got != tc.want {
			t.Errorf("%s %s: %q, want %q", tc.of, tc.name, got, tc.want)
		}
	}
	want := Mail{
		Outgoing: Outgoing{"smtp.isp.example", []Port{{465, Implicit}, {587, StartTLS}}},
		Incoming: []Incoming{{IMAP, "imap.isp.example", []Port{{993, Implicit}}}, {POP3, "pop.isp.example", []Port{{995, Implicit}}}},

		EncryptionSince: policy.Date{Year: 2022, Month: time.August, Day: 1},
	}
	if diff := cmp.Diff(want, s.Mail); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestBad changes one place of the example, and compares the message word for word.
func TestBad(t *testing.T) {
	good := string(example(t).Data)
	for _, c := range []struct {
		kind           error
		old, new, want string
	}{
		{strict.ErrDecode, "home: ", "hom: ", `site.yaml:9:1: unknown key "hom"; did you mean "home"?`},
		{strict.ErrDecode, "kind: Site", "kind: Policy", `site.yaml:3:7: unknown kind "Policy"; known: Site`},
		{strict.ErrDecode, "ja: エグザンプルネット, ", "", `site.yaml:5:7: name has no "ja"; it must be text`},
		{strict.ErrDecode, "tls: starttls", "tls: none", `site.yaml:42:91: mail.outgoing.ports[1].tls is "none"; it must be implicit or starttls`},
		{strict.ErrDecode, "protocol: imap", "protocol: jmap", `site.yaml:44:18: mail.incoming[0].protocol is "jmap"; it must be imap or pop3`},
		{strict.ErrDecode, "confirmed: 2026-11-29", "confirmed: 2026", `site.yaml:34:14: security.confirmed is the number 2026; it must be a date such as 2006-10-01: put it in quotes if it is meant`},
		{ErrSite, "en: Example Net", `en: " "`, `site.yaml:5:27: name.en is empty; write it in both languages`},
		{ErrSite, "en: Example Net", "en: " + strings.Repeat("a", 201), `site.yaml:5:27: name.en has 201 characters; must be at most 200`},
		{ErrSite, "en: Example Net", `en: "a\nb"`, `site.yaml:5:27: name.en has a line break or another control character; write it on one line`},
		{ErrSite, "https://mail-check.isp.example/", "https://mail-check.isp.example", `site.yaml:8:6: url is "https://mail-check.isp.example"; must be an address such as https://mail-check.isp.example/, with a slash at its end`},
		{ErrSite, "https://mail-check.isp.example/", "http://mail-check.isp.example/", `site.yaml:8:6: url "http://mail-check.isp.example/" is not encrypted; must be an address such as https://mail-check.isp.example/, with a slash at its end; http is for loopback only`},
		{ErrSite, "home: https://www.isp.example/", "home: javascript:x", `site.yaml:9:7: home is "javascript:x"; must be an address such as https://www.isp.example/`},
		{ErrSite, "  mail: abuse@isp.example", "  title: {ja: a, en: b}", `site.yaml:29:3: abuse has no way to reach it; give page, mail or phone`},
		{ErrSite, "mail: support@isp.example", "mail: Support <support@isp.example>", `site.yaml:15:9: support.mail is "Support <support@isp.example>"; must be an address such as support@isp.example, without a name`},
		{ErrSite, "phone: 0120-000-000", "phone: call us", `site.yaml:16:10: support.phone is "call us"; must be a number such as 0120-000-000 or +81 3 0000 0000`},
		{ErrSite, `["mailto:security@isp.example", "https://www.isp.example/security/"]`, "[]", `site.yaml:33:13: security has 0 contacts; must be 1 to 16, such as mailto:security@isp.example`},
		{ErrSite, "mailto:security@isp.example", "security@isp.example", `site.yaml:33:14: security contact "security@isp.example"; must begin with mailto:, https:// or tel:, as in mailto:security@isp.example`},
		{ErrSite, "mailto:security@isp.example", `mailto:a@isp.example\nContact: x`, `site.yaml:33:14: security contact "mailto:a@isp.example\nContact: x"; must begin with mailto:, https:// or tel:, as in mailto:security@isp.example`},
		{ErrSite, "https://www.isp.example/security/policy.html", "http://www.isp.example/", `site.yaml:35:11: security.policy is "http://www.isp.example/"; must be an address that begins with https://`},
		{ErrSite, "192.0.2.80/32", "192.0.2.80/24", `site.yaml:38:18: prefix 192.0.2.80/24 has host bits; did you mean 192.0.2.0/24 or 192.0.2.80/32?`},
		{ErrSite, "192.0.2.80/32", "0.0.0.0/0", `site.yaml:38:18: prefix 0.0.0.0/0 contains every address; every visitor could then choose the line that is looked at: give the proxies' own addresses`},
		{ErrSite, "192.0.2.80/32", strings.Repeat("192.0.2.80/32, ", 256) + "192.0.2.80/32", `site.yaml:38:17: there are 258 trusted proxies; must be at most 256`},
		{ErrSite, "host: smtp.isp.example", "host: smtp", `site.yaml:42:20: mail.outgoing.host is "smtp"; must be a name in small letters such as mail.isp.example`},
		{ErrSite, "{port: 465, tls: implicit}, {port: 587, tls: starttls}", "", `site.yaml:42:45: mail.outgoing has 0 ports; must be 1 to 16, each with its encryption as in {port: 465, tls: implicit}`},
		{ErrSite, "port: 587", "port: 25", `site.yaml:42:81: mail.outgoing has the port 25; it is for servers among themselves: mail programs send to 465 or 587`},
		{ErrSite, "    - {protocol: imap", strings.Repeat("    - {protocol: pop3, host: a.example, ports: [{port: 995, tls: implicit}]}\n", 15) + "    - {protocol: imap", `site.yaml:44:5: there are 17 incoming servers; must be at most 16`},
		{ErrSite, "{of: lineGroup, name: adsl,", "{of: lineGroup, name: isdn,", `site.yaml:53:27: lineGroup "isdn" is given twice; keep one`},
		{strict.ErrDecode, "{of: lineGroup, name: adsl,", "{of: group, name: adsl,", `site.yaml:52:10: names[0].of is "group"; it must be lineGroup, phase or remote`},
		{ErrSite, "{of: lineGroup, name: adsl,", `{of: lineGroup, name: "",`, `site.yaml:52:27: the name is not of any element; give the name of the line group, phase or remote class in the policy`},
		{ErrSite, "en: Mobile SIM", `en: ""`, `site.yaml:56:59: names[4].title.en is empty; write it in both languages`},
		{ErrSite, "names:\n", "names:\n" + strings.Repeat("  - {of: phase, name: x, title: {ja: x, en: x}}\n", 512), `site.yaml:52:3: there are 525 names; must be at most 512`},
		{ErrSite, "# What an ISP", strings.Repeat("# a comment\n", 6000) + "# What an ISP", `site.yaml: the file has`},
	} {
		if strings.Count(good, c.old) == 0 {
			t.Fatalf("the example has no %q", c.old)
		}
		_, err := Load(strict.File{Name: "site.yaml", Data: []byte(strings.Replace(good, c.old, c.new, 1))})
		if !errors.Is(err, c.kind) || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s -> %.60s:\n%v\nwant\n%s", c.old, c.new, err, c.want)
		}
	}
}

// TestLoopback verifies that the demo's portal may have an address on this machine, which has no security.txt of its own.
func TestLoopback(t *testing.T) {
	text := strings.Replace(string(example(t).Data), "https://mail-check.isp.example/", "http://127.0.0.1:8025/", 1)
	s, err := Load(strict.File{Name: "site.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	if txt := s.SecurityTxt(time.Now()); strings.Contains(txt, "Canonical") {
		t.Errorf("RFC 9116 section 2.5.2 requires https:\n%s", txt)
	}
}

// TestSecurityTxt reads security.txt as RFC 9116 defines it: one field a line, Contact at least once, Expires and Preferred-Languages once.
func TestSecurityTxt(t *testing.T) {
	s, err := Load(example(t))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string][]string{}
	for lines := bufio.NewScanner(strings.NewReader(s.SecurityTxt(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), ": ")
		if !ok {
			t.Fatalf("no field: %q", lines.Text())
		}
		fields[name] = append(fields[name], value)
	}
	if diff := cmp.Diff(map[string][]string{
		"Contact":             {"mailto:security@isp.example", "https://www.isp.example/security/"},
		"Expires":             {"2027-11-28T00:00:00Z"},
		"Policy":              {"https://www.isp.example/security/policy.html"},
		"Preferred-Languages": {"ja, en"},
		"Canonical":           {"https://mail-check.isp.example/.well-known/security.txt"},
	}, fields); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestExpires verifies that the file never expires more than a year ahead, and that it expires unless somebody confirms it again.
func TestExpires(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for confirmed, want := range map[string]string{"2026-11-29": "2027-11-28T00:00:00Z", "2020-02-29": "2021-02-28T00:00:00Z", "2030-01-01": "2027-11-28T12:00:00Z"} {
		day, err := policy.ParseDate(confirmed)
		if err != nil {
			t.Fatal(err)
		}
		s := Security{Confirmed: day}
		got := s.Expires(now)
		if got.Format(time.RFC3339) != want {
			t.Errorf("confirmed %s: expires %v, want %s", confirmed, got, want)
		}
		if got.After(now.AddDate(1, 0, 0)) {
			t.Errorf("confirmed %s: %v is more than a year ahead", confirmed, got)
		}
	}
}

// TestPreferred verifies that the port with implicit TLS comes first, and that the site file keeps its order otherwise.
func TestPreferred(t *testing.T) {
	out := Outgoing{Ports: []Port{{Port: 587, TLS: StartTLS}, {Port: 2525, TLS: StartTLS}, {Port: 465, TLS: Implicit}}}
	var got []policy.TCPPort
	for _, p := range out.Preferred() {
		got = append(got, p.Port)
	}
	if want := []policy.TCPPort{465, 587, 2525}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if out.Ports[0].Port != 587 {
		t.Error("the ports of the file were sorted")
	}
}
