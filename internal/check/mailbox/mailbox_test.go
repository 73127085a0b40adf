package mailbox

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// names is a resolver with a fixed set of hosts and mail exchangers.
type names struct {
	hosts map[string]string
	mx    map[string][]string
}

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := n.hosts[host]; ok {
		return []netip.Addr{netip.MustParseAddr(a)}, nil
	}
	return nil, errors.New("no such host")
}

func (n names) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	var out []*net.MX
	for _, h := range n.mx[domain] {
		out = append(out, &net.MX{Host: h})
	}
	if out == nil {
		return nil, errors.New("no such domain")
	}
	return out, nil
}

var dns = names{
	map[string]string{
		"smtp.gmail.com": "203.0.113.129", "smtp.office365.com": "203.0.113.130", "mx1.company.example": "203.0.113.140",
		"company-example.mail.protection.outlook.com": "203.0.113.141", "xn--smtp-9k4c.example": "203.0.113.142",
	},
	map[string][]string{
		"hosted.example": {"hosted-example.mail.protection.outlook.com."}, "company.example": {"mx1.company.example."},
		"xn--wgv71a119e.example": {"mx1.company.example"},
	},
}

func shipped(t testing.TB) *Directory {
	t.Helper()
	d, err := Load(examples.Providers())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func checker(t testing.TB, acts ...policy.Activation) *Checker {
	t.Helper()
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	return &Checker{Directory: shipped(t), Connections: check.New(check.Source{Bundle: b, Activations: acts}, check.Options{Resolver: dns}), Policy: b.Policy, MX: dns}
}

// TestAfterLogin verifies that a setting which a line reaches only after a POP3 or IMAP login says so, and that no other setting does.
func TestAfterLogin(t *testing.T) {
	b, err := policy.Load(examples.SpinNet2022())
	if err != nil {
		t.Fatal(err)
	}
	own, err := Load(strict.File{Name: "providers.yaml", Data: []byte(`apiVersion: op25b/v1
kind: Providers
providers:
  - name: ours
    kind: own
    domains: [isp.example]
    submission: {host: "198.51.100.25", ports: [{port: 465, tls: implicit}, {port: 587, tls: starttls}]}
`)})
	if err != nil {
		t.Fatal(err)
	}
	c := &Checker{Directory: own, Connections: check.New(check.Source{Bundle: b}, check.Options{}), Policy: b.Policy}
	for _, tc := range []struct {
		line, at string
		want     []Setting // of 465 and 587
	}{
		{"adsl-home", "2006-06-20", []Setting{{Status: Unaffected}, {Status: Affected, AfterLogin: AfterLogin{Lasts: policy.Duration(10 * time.Minute)}}}},
		{"business-fixed", "2006-06-20", []Setting{{Status: Unaffected}, {Status: Unaffected}}}, // is exempt
		{"adsl-home", "2006-06-02", []Setting{{Status: Unaffected}, {Status: Unaffected}}},
		{"adsl-home", "2022-08-02", []Setting{{Status: Unaffected}, {Status: Unaffected}}},
	} {
		a, err := c.Ask(t.Context(), Question{Line: tc.line, At: day(tc.at), Address: "taro@isp.example"})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range a.Settings {
			if s.Status != tc.want[i].Status || s.AfterLogin != tc.want[i].AfterLogin {
				t.Errorf("%s on %s, port %d: %s, after a login %+v", tc.line, tc.at, s.Port, s.Status, s.AfterLogin)
			}
		}
		if len(a.Settings) != len(tc.want) {
			t.Errorf("%s on %s: %d settings", tc.line, tc.at, len(a.Settings))
		}
	}
}

func day(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

// TestImpactTable verifies the effects of the policy of 2006 on mailboxes at different providers.
func TestImpactTable(t *testing.T) {
	d := checker(t)
	for _, tc := range []struct {
		at, address    string
		kind, provider string
		status, mua    Effect
		under, next    string
	}{
		{"2006-12-01", "taro@gmail.com", AnswerWebmail, "gmail", Unaffected, Affected, "", ""},
		{"2006-12-01", "Taro@GMAIL.com.", AnswerWebmail, "gmail", Unaffected, Affected, "", ""},
		{"2006-12-01", "taro@tnc.ne.jp", AnswerOwn, "own", Unaffected, Unaffected, "", ""},
		{"2006-12-01", "taro@mail.thn.ne.jp", AnswerOwn, "own", Unaffected, Unaffected, "thn.ne.jp", ""},
		{"2006-12-01", "taro＠ｔ－ｃｏｍ．ｎｅ．ｊｐ", AnswerOwn, "own", Unaffected, Unaffected, "", ""},
		{"2006-12-01", "taro@hosted.example", AnswerProvider, "microsoft-365", Affected, Affected, "mail.protection.outlook.com", ""},
		{"2006-07-01", "taro@hosted.example", AnswerProvider, "microsoft-365", Unaffected, Unaffected, "mail.protection.outlook.com", "all-destinations"},
		{"2006-12-01", "taro@company.example", AnswerUnknown, "", Affected, Affected, "", ""},
		{"2006-12-01", "taro@日本語.example", AnswerUnknown, "", Affected, Affected, "", ""},
		// The servers of these mailboxes are not found. The answer is known where it is the same for every server.
		{"2006-12-01", "taro@nowhere.example", AnswerUnknown, "", Affected, Affected, "", ""},
		{"2006-07-01", "taro@nowhere.example", AnswerUnknown, "", Undetermined, Undetermined, "", ""}, // mobile carriers are stopped, others are not
		{"2006-05-20", "taro@nowhere.example", AnswerUnknown, "", Unaffected, Unaffected, "", "all-destinations"},
		{"2006-12-01", "taro@icloud.com", AnswerWebmail, "icloud", Unaffected, Affected, "", ""},
		{"2006-07-01", "taro@icloud.com", AnswerWebmail, "icloud", Unaffected, Undetermined, "", ""},
		{"2006-05-20", "taro@icloud.com", AnswerWebmail, "icloud", Unaffected, Unaffected, "", "all-destinations"}, // for its mail programs
	} {
		a, err := d.Ask(t.Context(), Question{Address: tc.address, Line: "adsl-home", At: day(tc.at)})
		if err != nil {
			t.Errorf("%s: %v", tc.address, err)
			continue
		}
		next := ""
		if a.Next != nil {
			next = a.Next.Name
		}
		if a.Kind != tc.kind || a.Provider.Name != tc.provider || a.Status != tc.status || a.MailProgram != tc.mua || a.Under != tc.under || next != tc.next {
			t.Errorf("%s %s: %s %q %s, on port 25 %s, under %q, next %q; want %+v", tc.at, tc.address, a.Kind, a.Provider.Name, a.Status, a.MailProgram, a.Under, next, tc)
		}
		if len(a.Settings) == 0 {
			t.Errorf("%s: no settings", tc.address)
		}
	}
}

// TestCarriers verifies that mailboxes of mobile carriers are unaffected in every phase, and that settings are returned only for
// carriers that are known to offer them.
func TestCarriers(t *testing.T) {
	d := checker(t)
	for address, host := range map[string]string{
		"a@docomo.ne.jp": "smtp.spmode.ne.jp", "a@i.softbank.jp": "smtp.softbank.jp",
		"a@ezweb.ne.jp": "", "a@au.com": "", "a@softbank.ne.jp": "", "a@ymobile.ne.jp": "", "a@rakumail.jp": "",
	} {
		for _, at := range []string{"2006-05-20", "2006-07-01", "2006-12-01"} {
			a, err := d.Ask(t.Context(), Question{Address: address, Line: "adsl-home", At: day(at)})
			if err != nil || a.Kind != AnswerWebmail || a.Status != Unaffected {
				t.Errorf("%s %s: %+v, %v", at, address, a, err)
				continue
			}
			if host == "" && a.Settings != nil || host != "" && (len(a.Settings) == 0 || a.Settings[0].Host != host) {
				t.Errorf("%s %s: settings %+v, want %q", at, address, a.Settings, host)
			}
		}
	}
}

// TestRentalServer verifies the answer for mailboxes whose server differs from customer to customer. The directory names no host, and the
// answer must not name one either. It says where the customer finds the host, and on which page.
func TestRentalServer(t *testing.T) {
	d := checker(t)
	var err error
	d.Directory, err = Load(strict.File{Name: "p.yaml", Data: []byte(`apiVersion: op25b/v1
kind: Providers
providers:
  - {name: rental, kind: provider, mx: [rental.example], published: "https://rental.example/mail", looked: 2026-11-29,
     submission: {hostFrom: contract, ports: [{port: 465, tls: implicit}, {port: 587}], note: {ja: ユーザー名はメールアドレスです, en: the user name is the mail address}}}
  - {name: isp, kind: provider, domains: [isp.example], published: "https://isp.example/mail", submission: {hostFrom: domain, ports: [{port: 465, tls: implicit}]}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	d.MX = names{mx: map[string][]string{"shop.example": {"mail7.rental.example"}}}
	note := lang.Text{JA: "ユーザー名はメールアドレスです", EN: "the user name is the mail address"}
	for _, tc := range []struct {
		address, provider, published string
		settings                     []Setting
	}{
		{"a@shop.example", "rental", "https://rental.example/mail", []Setting{
			{HostFrom: HostFromContract, Port: 465, TLS: TLSImplicit, Auth: "SMTP AUTH", Note: note, Status: Unaffected},
			{HostFrom: HostFromContract, Port: 587, Auth: "SMTP AUTH", Note: note, Status: Unaffected},
		}},
		{"a@d1.isp.example", "isp", "https://isp.example/mail", []Setting{
			{HostFrom: HostFromDomain, Port: 465, TLS: TLSImplicit, Auth: "SMTP AUTH", Status: Unaffected},
		}},
	} {
		a, err := d.Ask(t.Context(), Question{Address: tc.address, Line: "adsl-home", At: day("2006-12-01")})
		if err != nil {
			t.Fatal(err)
		}
		if a.Kind != AnswerProvider || a.Provider.Name != tc.provider || a.Status != Affected || a.MailProgram != Affected || a.Published != tc.published {
			t.Errorf("%s: %+v", tc.address, a)
		}
		if diff := cmp.Diff(tc.settings, a.Settings); diff != "" {
			t.Errorf("%s: settings (-want +got):\n%s", tc.address, diff)
		}
	}
}

// TestActivation activates a phase early for one line group. Until the date of the phase, only lines in that group must be
// affected.
func TestActivation(t *testing.T) {
	d := checker(t, policy.Activation{Phase: "all-destinations", Groups: []string{"adsl"}, Switches: []string{"edge-1"}, At: day("2006-08-01")})
	for _, tc := range []struct {
		at, line string
		status   Effect
		next     string
	}{
		{"2006-07-31", "adsl-home", Unaffected, "2006-08-01T09:00:00+09:00"},
		{"2006-08-10", "adsl-home", Affected, ""},
		{"2006-08-10", "mobile-sim", Unaffected, "2006-10-01T00:00:00+09:00"},
		{"2006-10-01", "mobile-sim", Affected, ""},
	} {
		a, err := d.Ask(t.Context(), Question{Address: "taro@company.example", Line: tc.line, At: day(tc.at)})
		if err != nil {
			t.Fatal(err)
		}
		next := ""
		if a.Next != nil {
			next = a.Next.Since.Format(time.RFC3339)
		}
		if a.Status != tc.status || a.MailProgram != tc.status || next != tc.next {
			t.Errorf("%s %s: %s, on port 25 %s, next %q, want %s and %q", tc.at, tc.line, a.Status, a.MailProgram, next, tc.status, tc.next)
		}
	}
}

// blocking is an Asker that stops some ports to every server. The tests need it because no valid policy stops ports 465, 587
// or 443.
type blocking map[uint16]bool

func (b blocking) Ask(_ context.Context, q check.Question) (*check.Answer, error) {
	o := check.Delivered
	if b[q.Port] {
		o = check.Blocked
	}
	return &check.Answer{Outcome: o, Results: []check.Result{{Outcome: o}}}, nil
}

// TestNeverUnaffectedWhereSettingsAreBlocked verifies that a mailbox is never reported as unaffected if a port that it needs
// is stopped.
func TestNeverUnaffectedWhereSettingsAreBlocked(t *testing.T) {
	d := checker(t)
	for _, tc := range []struct {
		address string
		stops   uint16
	}{
		{"a@gmail.com", 465},
		{"a@gmail.com", 587},
		{"a@gmail.com", 443},
		{"a@tnc.ne.jp", 465},
		{"a@tnc.ne.jp", 587},
		{"a@hosted.example", 587},
		{"a@company.example", 587},
	} {
		d.Connections = blocking{tc.stops: true}
		a, err := d.Ask(t.Context(), Question{Address: tc.address, Line: "adsl-home"})
		if err != nil || a.Status != Affected {
			t.Errorf("%s where %d is blocked: %+v, %v", tc.address, tc.stops, a, err)
			continue
		}
		for _, setting := range a.Settings {
			if want := map[bool]Effect{true: Affected, false: Unaffected}[setting.Port == tc.stops]; setting.Status != want {
				t.Errorf("%s where %d is blocked: port %d is %s, want %s", tc.address, tc.stops, setting.Port, setting.Status, want)
			}
		}
	}
	d.Connections = blocking{}
	if a, err := d.Ask(t.Context(), Question{Address: "a@gmail.com", Line: "adsl-home"}); err != nil || a.Status != Unaffected {
		t.Errorf("where nothing is blocked: %+v, %v", a, err)
	}
}

func TestAddresses(t *testing.T) {
	d := checker(t)
	for address, want := range map[string]string{
		"":                                     `not a mail address: "": it is empty: give one as in user@example.jp`,
		"gmail.com":                            `not a mail address: "gmail.com": it has no @`,
		"@gmail.com":                           `not a mail address: "@gmail.com": nothing stands before the @`,
		"taro@":                                `not a mail address: "...@": there is no domain`,
		"taro@localhost":                       `not a mail address: "...@localhost": "localhost" is not a whole domain`,
		"taro@[192.0.2.1]":                     `not a mail address: "...@[192.0.2.1]": a server's address stands in place of a domain`,
		"taro@a..jp":                           `not a mail address: "...@a..jp": "a..jp" is not a domain's name`,
		"taro@a_b.jp":                          `"a_b.jp" is not a domain's name`,
		"a@b.jp, c@d.jp":                       `there is more than one address, or more than an address`,
		"Taro <taro@gmail.com>":                `there is more than one address, or more than an address`,
		"taro@" + string([]byte{0xff}) + ".jp": `is not a domain's name`,
		"taro@" + strings.Repeat("a", 64) + ".jp": `is not a domain's name`,
	} {
		_, err := d.Ask(t.Context(), Question{Address: address, Line: "adsl-home"})
		if !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "taro") {
			t.Errorf("%q: %v\nwant %s", address, err, want)
		}
	}
	_, err := d.Ask(t.Context(), Question{Address: "taro@gmail.com", Line: "adsl-hom", At: day("2006-12-01")})
	if !errors.Is(err, check.ErrUnknownLine) {
		t.Errorf("of an unknown line: %v", err)
	}
}

// TestAnswerHoldsNoMailbox verifies that an answer does not contain the local part of the mail address.
func TestAnswerHoldsNoMailbox(t *testing.T) {
	a, err := checker(t).Ask(t.Context(), Question{Address: "secret@gmail.com", Line: "adsl-home", At: day("2006-12-01")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(a)
	if err != nil || strings.Contains(string(got), "secret") {
		t.Errorf("%s, %v", got, err)
	}
}
