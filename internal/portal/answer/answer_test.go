package answer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/portal/portaltest"
	"op25b/internal/portal/published"
	"op25b/internal/strict"
)

var directory = strict.File{Name: "p.yaml", Data: []byte(`apiVersion: op25b/v1
kind: Providers
providers:
  - {name: ours, title: {ja: 当社のメール, en: Our mail}, kind: own, domains: [isp.example]}
  - {name: web, title: {ja: ウェブメール, en: Web mail}, kind: webmail, domains: [web.example], submission: {host: smtp.web.example, ports: [{port: 465, tls: implicit}]}}
  - {name: other, title: {ja: その他, en: Other}, kind: provider, domains: [other.example], mx: [mx.other.example], submission: {host: smtp.other.example, ports: [{port: 587, tls: starttls}]}}
`)}

func day(text string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, text, time.FixedZone("", 9*3600))
	if err != nil {
		panic(err)
	}
	return t
}

// publication returns the example of 2006 as a publication.
func publication(t testing.TB, acts ...policy.Activation) *published.Publication {
	t.Helper()
	return read(t, examples.SpinNet2006(), acts...)
}

func read(t testing.TB, files []strict.File, acts ...policy.Activation) *published.Publication {
	t.Helper()
	p, err := published.Read(t.Context(), portaltest.Publication(t, files, directory, day("2006-07-01"), acts...), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAnswers verifies the answers to every use under each phase of the policy of 2006, without any look-up.
func TestAnswers(t *testing.T) {
	p := publication(t)
	e := NewEngine(nil)
	for _, tc := range []struct {
		at             string
		use            Use
		provider       string
		status         Status
		stopped, since string // the rule and the phase
		next           string
	}{
		{"2006-01-01", Server, "", Unaffected, "", "", ""}, // no phase has begun
		{"2006-05-20", Webmail, "", Unaffected, "", "", ""},
		{"2006-05-20", Own, "ours", Unaffected, "", "", ""},
		{"2006-05-20", Provider, "other", Later, "", "", "all-destinations"},
		{"2006-05-20", Provider, "web", Later, "", "", "all-destinations"},
		{"2006-05-20", Provider, "", Later, "", "", "all-destinations"},
		{"2006-05-20", Server, "", Later, "", "", "mobile-carriers"},
		{"2006-07-01", Webmail, "", Unaffected, "", "", ""},
		{"2006-07-01", Own, "ours", Unaffected, "", "", ""},
		{"2006-07-01", Provider, "other", Depends, "", "", ""}, // the server's address is not known
		{"2006-07-01", Provider, "", Depends, "", "", ""},
		{"2006-07-01", Server, "", Depends, "smtp-carrier", "mobile-carriers", "all-destinations"},
		{"2006-12-01", Webmail, "", Unaffected, "", "", ""},
		{"2006-12-01", Own, "ours", Unaffected, "", "", ""},
		{"2006-12-01", Provider, "web", Affected, "smtp-all", "all-destinations", ""},
		{"2006-12-01", Provider, "other", Affected, "smtp-all", "all-destinations", ""},
		{"2006-12-01", Provider, "", Affected, "smtp-all", "all-destinations", ""},
		{"2006-12-01", Server, "", Affected, "smtp-carrier", "mobile-carriers", ""},
	} {
		name := fmt.Sprintf("%s %s %s", tc.at, tc.use, tc.provider)
		a, err := e.Ask(t.Context(), p, Question{"adsl", tc.use, tc.provider}, day(tc.at))
		if err != nil || len(a.Cases) != 1 {
			t.Errorf("%s: %+v, %v", name, a, err)
			continue
		}
		c := a.Cases[0]
		stopped, since, next := "", "", ""
		if c.Stopped != nil {
			stopped, since = c.Stopped.Rule.Name, c.Stopped.Since.Name
		}
		if c.Next != nil {
			next = c.Next.Name
		}
		if c.Status != tc.status || a.Worst() != tc.status || stopped != tc.stopped || since != tc.since || next != tc.next {
			t.Errorf("%s: %s, stopped by %q since %q, next %q; want %+v", name, c.Status, stopped, since, next, tc)
		}
		for _, r := range c.Reach {
			if r.Class != nil && r.Class.Relay && !r.Result.Outcome.Passes() {
				t.Errorf("%s: the own relay is stopped", name)
			}
		}
		if (tc.use == Provider || tc.use == Own) && tc.at > "2006-05" {
			for _, s := range c.Mailbox.Settings {
				if s.Status != mailbox.Unaffected {
					t.Errorf("%s: setting %+v", name, s)
				}
			}
		}
	}
	for _, q := range []Question{{"fibre", Webmail, ""}, {"adsl", Own, ""}, {"adsl", Own, "other"}, {"adsl", Provider, "ours"}, {"adsl", Provider, "nobody"}, {"adsl", "fax", ""}, {"adsl", Server, "web"}, {"", "", ""}} {
		if a, err := e.Ask(t.Context(), p, q, day("2006-12-01")); !errors.Is(err, ErrQuestion) {
			t.Errorf("%+v: %+v, %v", q, a, err)
		}
	}
	if _, err := e.Ask(t.Context(), nil, Question{}, day("2006-12-01")); !errors.Is(err, ErrNone) {
		t.Errorf("without a publication: %v", err)
	}
}

// TestAreasApart verifies that lines of a group that are treated differently have a case each.
func TestAreasApart(t *testing.T) {
	files := examples.SpinNet2006()
	inventory := string(files[0].Data)
	first, second, _ := strings.Cut(inventory, "switches:\n")
	again := strings.NewReplacer("edge-1", "edge-2", "deviceID: 1", "deviceID: 2", "127.0.0.1:9559", "127.0.0.1:9659", "127.0.0.1:9339", "127.0.0.1:9439", "adsl-home", "adsl-home-2", "adsl-bot", "adsl-bot-2",
		"business-fixed", "business-2", "mobile-sim", "mobile-sim-2", "192.0.2.", "198.18.2.", "db8:1::", "db8:2::").Replace(second)
	files[0].Data = []byte(first + "switches:\n" + second + again)
	p := read(t, files, policy.Activation{ID: 8, Phase: "all-destinations", Groups: []string{"adsl"}, Switches: []string{"edge-2"}, At: day("2006-06-15")})
	e := NewEngine(nil)
	at := day("2006-07-01")
	a, err := e.Ask(t.Context(), p, Question{"adsl", Provider, ""}, at)
	if err != nil || len(a.Cases) != 2 || len(a.Cases[0].Lines) != 1 || a.Cases[0].Status != Depends || a.Cases[1].Status != Affected || a.Worst() != Affected {
		t.Fatalf("%+v, %v", a, err)
	}
	if a.Cases[1].Lines[0].Area != "area-2" || a.Cases[1].Phase != "all-destinations" || a.Cases[0].Phase != "mobile-carriers" {
		t.Errorf("%+v", a.Cases)
	}
	if a, err = e.AskLine(t.Context(), p, Question{"adsl", Provider, ""}, "area-2", a.Cases[1].Lines[0].Line, at); err != nil || len(a.Cases) != 1 || a.Worst() != Affected {
		t.Errorf("one line: %+v, %v", a, err)
	}
	if _, err = e.AskLine(t.Context(), p, Question{"adsl", Provider, ""}, "area-2", "line-1", at); !errors.Is(err, ErrQuestion) {
		t.Errorf("a line of another area: %v", err)
	}
	if a, err = e.Ask(t.Context(), p, Question{"mobile", Provider, ""}, at); err != nil || len(a.Cases) != 1 {
		t.Errorf("a group that is treated alike: %+v, %v", a, err)
	}
	answers, err := e.Server(t.Context(), p, "adsl", "203.0.113.129", 25, at)
	if err != nil || len(answers) != 2 || answers[0].Outcome.Passes() == answers[1].Outcome.Passes() {
		t.Errorf("to a server: %+v, %v", answers, err)
	}
}

// slowDNS is a resolver that never answers in time.
type slowDNS struct{ asked atomic.Int32 }

func (d *slowDNS) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	d.asked.Add(1)
	<-ctx.Done()
	return nil, ctx.Err()
}

func (d *slowDNS) LookupMX(ctx context.Context, _ string) ([]*net.MX, error) {
	d.asked.Add(1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestNeverWaitsForDNS verifies, with a DNS that never answers, that an answer which does not depend on it takes no time, and that others wait
// for two seconds at most. The time is that of the bubble.
func TestNeverWaitsForDNS(t *testing.T) {
	p := publication(t)
	synctest.Test(t, func(t *testing.T) {
		dns := &slowDNS{}
		e := NewEngine(NewResolver(dns))
		begin := time.Now()
		for _, q := range Questions(p) {
			if _, err := e.Ask(t.Context(), p, q, day("2006-12-01")); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(begin); waited != 0 || dns.asked.Load() != 0 {
			t.Errorf("the answers of the last phase waited for %v and looked up %d names", waited, dns.asked.Load())
		}
		a, err := e.Ask(t.Context(), p, Question{"adsl", Provider, "other"}, day("2006-07-01"))
		if waited := time.Since(begin); err != nil || waited > lookupWithin || dns.asked.Load() != 1 || a.Worst() != Depends {
			t.Errorf("an answer that depends on DNS: %v after %v and %d look-ups, %v", a, waited, dns.asked.Load(), err)
		}
		begin = time.Now()
		q, err := e.Find(t.Context(), p, "adsl", "somebody@shop.example", day("2006-07-01"))
		if err != nil || q != (Question{"adsl", Provider, ""}) || time.Since(begin) > lookupWithin {
			t.Errorf("an unknown domain: %+v, %v after %v", q, err, time.Since(begin))
		}
		begin = time.Now()
		if q, err = e.Find(t.Context(), p, "adsl", "somebody@web.example", day("2006-07-01")); err != nil || q.Provider != "web" || time.Since(begin) != 0 {
			t.Errorf("a known domain: %+v, %v after %v", q, err, time.Since(begin))
		}
	})
}

// fixedDNS is a resolver with a few names.
type fixedDNS struct{ asked atomic.Int32 }

func (d *fixedDNS) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	d.asked.Add(1)
	switch host {
	case "smtp.other.example":
		return []netip.Addr{netip.MustParseAddr("203.0.113.129")}, nil
	case "smtp.web.example":
		return []netip.Addr{netip.MustParseAddr("203.0.113.25")}, nil // a mobile carrier's
	}
	return nil, errors.New("no such host")
}

func (d *fixedDNS) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	d.asked.Add(1)
	if domain == "hosted.example" {
		return []*net.MX{{Host: "mx.other.example."}}, nil
	}
	return nil, errors.New("no such domain")
}

// TestLookups verifies the answers that depend on a server's address, that they are looked up once a minute, and the providers that are found by
// mail exchanger.
func TestLookups(t *testing.T) {
	p, dns := publication(t), &fixedDNS{}
	e := NewEngine(NewResolver(dns))
	at := day("2006-07-01")
	for provider, want := range map[string]Status{"other": Later, "web": Affected} {
		for range 3 {
			if a, err := e.Ask(t.Context(), p, Question{"adsl", Provider, provider}, at); err != nil || a.Worst() != want {
				t.Errorf("%s: %+v, %v, want %s", provider, a, err, want)
			}
		}
	}
	if n := dns.asked.Load(); n != 2 {
		t.Errorf("%d look-ups, want 2", n)
	}
	if q, err := e.Find(t.Context(), p, "adsl", "hosted.example", at); err != nil || q != (Question{"adsl", Provider, "other"}) {
		t.Errorf("by mail exchanger: %+v, %v", q, err)
	}
	if q, err := e.Find(t.Context(), p, "adsl", "taro@isp.example", at); err != nil || q != (Question{"adsl", Own, "ours"}) {
		t.Errorf("an own mailbox: %+v, %v", q, err)
	}
	if _, err := e.Find(t.Context(), p, "adsl", "taro@", at); !errors.Is(err, mailbox.ErrAddress) {
		t.Errorf("no address: %v", err)
	}
	answers, err := e.Server(t.Context(), p, "adsl", "smtp.web.example", 25, at)
	if err != nil || len(answers) != 1 || answers[0].Outcome != check.Blocked {
		t.Errorf("a server by name: %+v, %v", answers, err)
	}
	if _, err = e.Server(t.Context(), p, "adsl", "nowhere.example", 25, at); !errors.Is(err, check.ErrResolve) {
		t.Errorf("an unknown server: %v", err)
	}
}

// TestCases verifies that answers follow the dates of the policy, and that at most maxCases are kept.
func TestCases(t *testing.T) {
	p, e := publication(t), NewEngine(nil)
	q := Question{"adsl", Provider, ""}
	for _, tc := range []struct {
		at   time.Time
		want Status
	}{{day("2006-10-01").Add(-time.Second), Depends}, {day("2006-10-01"), Affected}, {day("2006-05-20"), Later}, {day("2006-10-02"), Affected}} {
		if a, err := e.Ask(t.Context(), p, q, tc.at); err != nil || a.Worst() != tc.want {
			t.Errorf("at %v: %+v, %v, want %s", tc.at, a, err, tc.want)
		}
	}
	var ended sync.WaitGroup
	for range 8 {
		ended.Go(func() {
			for _, q := range Questions(p) {
				if _, err := e.Ask(t.Context(), p, q, day("2006-12-01")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ended.Wait()
	if n := len(e.set.cases); n == 0 || n > maxCases {
		t.Errorf("%d cases are kept", n)
	}
}

// TestCodes verifies for random questions that each has its own code, which has the form that the desk reads out, and that a code stays valid
// when other questions are added.
func TestCodes(t *testing.T) {
	word := rapid.StringMatching(`[a-z]{1,6}`)
	rapid.Check(t, func(rt *rapid.T) {
		questions := rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) Question {
			return Question{word.Draw(rt, "group"), rapid.SampledFrom(Uses()).Draw(rt, "use"), word.Draw(rt, "provider")}
		}), 1, 60, rapid.ID).Draw(rt, "questions")
		all, few := NewCodes(questions), NewCodes(questions[:1])
		for _, q := range questions {
			code := all.Of(q)
			if len(code) < minDigits || strings.Trim(code, "0123456789") != "" {
				rt.Fatalf("code %q", code)
			}
			for _, form := range []string{code, Spoken(code), strings.ReplaceAll(Spoken(code), "-", " "), fullWidth(code)} {
				if found, ok := all.Find(form); !ok || found != q {
					rt.Fatalf("%q: %+v, %v, want %+v", form, found, ok, q)
				}
			}
		}
		if found, ok := few.Find(all.Of(questions[0])); !ok || found != questions[0] {
			rt.Fatalf("a code of more questions: %+v, %v", found, ok)
		}
	})
	if got := Spoken("123456789"); got != "1234-5678-9" {
		t.Errorf("spoken: %s", got)
	}
}

// TestSharedDigits verifies that questions whose codes would be the same have longer codes, and that the shared digits find neither.
func TestSharedDigits(t *testing.T) {
	c := &Codes{of: map[Question]string{}, question: []coded{{"1234567800", Question{Group: "a"}}, {"1234567811", Question{Group: "b"}}}}
	if _, ok := c.Find("12345678"); ok {
		t.Error("shared digits find a question")
	}
	if q, ok := c.Find("123456781"); !ok || q.Group != "b" {
		t.Errorf("%+v, %v", q, ok)
	}
	for _, code := range []string{"", "1234567", "12345679", "x", "1234567x", strings.Repeat("1", 200)} {
		if q, ok := c.Find(code); ok {
			t.Errorf("%q finds %+v", code, q)
		}
	}
}

func fullWidth(digits string) string {
	var b bytes.Buffer
	for _, r := range digits {
		b.WriteRune(r - '0' + '０')
	}
	return b.String()
}
