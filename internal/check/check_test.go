package check_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

func bundle(t testing.TB, files []strict.File) *policy.Bundle {
	t.Helper()
	b, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func everyAccess(t testing.TB) *policy.Bundle {
	t.Helper()
	var files []strict.File
	for _, name := range []string{"access.yaml", "exemptions.yaml"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, strict.File{Name: name, Data: data})
	}
	return bundle(t, files)
}

func day(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

// hosts is a resolver that maps host names to addresses.
type hosts map[string][]string

func (h hosts) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	texts, ok := h[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	var out []netip.Addr
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out, nil
}

func ask(t testing.TB, c *check.Checker, q check.Question) *check.Answer {
	t.Helper()
	a, err := c.Ask(t.Context(), q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return a
}

func ruleOf(r check.Result) string {
	if r.Rule == nil {
		return ""
	}
	return r.Rule.Name
}

// TestProgrammeOf2006 verifies the outcomes of the worked example in each phase.
func TestProgrammeOf2006(t *testing.T) {
	c := check.New(check.Source{Bundle: bundle(t, examples.SpinNet2006())}, check.Options{})
	for _, tc := range []struct {
		at, line, to string
		port         uint16
		outcome      check.Outcome
		rule, since  string
		next         string
	}{
		{"2006-05-20", "adsl-bot", "203.0.113.25", 25, check.Monitored, "smtp-carrier", "before", "mobile-carriers"},
		{"2006-07-01", "adsl-bot", "203.0.113.25", 25, check.Blocked, "smtp-carrier", "mobile-carriers", ""},
		{"2006-12-01", "adsl-bot", "203.0.113.25", 25, check.Blocked, "smtp-carrier", "mobile-carriers", ""},
		{"2006-07-01", "adsl-bot", "203.0.113.129", 25, check.Monitored, "smtp-all", "before", "all-destinations"},
		{"2006-12-01", "adsl-bot", "2001:db8:99::25", 25, check.Blocked, "smtp-all", "all-destinations", ""},
		{"2006-12-01", "adsl-bot", "198.51.100.25", 25, check.Delivered, "relay", "before", ""},
		{"2006-12-01", "adsl-home", "203.0.113.129", 587, check.Delivered, "submission", "before", ""},
		{"2006-12-01", "mobile-sim", "2001:db8:99::25", 465, check.Delivered, "submission", "before", ""},
		{"2006-12-01", "business-fixed", "203.0.113.129", 25, check.Delivered, "exempt", "before", ""},
		{"2007-04-02", "business-fixed", "203.0.113.129", 25, check.Blocked, "smtp-all", "all-destinations", ""},
		{"2006-12-01", "adsl-home", "203.0.113.129", 443, check.Delivered, "", "before", ""},
	} {
		a := ask(t, c, check.Question{Line: tc.line, To: tc.to, Port: tc.port, At: day(tc.at)})
		r := a.Results[0]
		next := ""
		if r.Next != nil {
			next = r.Next.Name
		}
		if a.Outcome != tc.outcome || ruleOf(r) != tc.rule || r.Since.Name != tc.since || next != tc.next || r.Trace != nil {
			t.Errorf("%s %s -> %s:%d: %s by %q since %q, next %q; want %s by %q since %q, next %q",
				tc.at, tc.line, tc.to, tc.port, a.Outcome, ruleOf(r), r.Since.Name, next, tc.outcome, tc.rule, tc.since, tc.next)
		}
	}
}

func TestEveryAccessAndAction(t *testing.T) {
	c := check.New(check.Source{Bundle: everyAccess(t)}, check.Options{Now: func() time.Time { return day("2020-02-01") }})
	for _, tc := range []struct {
		name    string
		q       check.Question
		outcome check.Outcome
		rule    string
		leg     policy.Leg
	}{
		{"untagged", check.Question{Line: "plain", To: "203.0.113.1"}, check.Rejected, "smtp-reject", policy.UpDst},
		{"untagged IPv6", check.Question{Line: "plain", To: "2001:db8:99::1"}, check.Rejected, "smtp-reject", policy.UpDst},
		{"a VLAN", check.Question{Line: "tagged", To: "203.0.113.1"}, check.Rejected, "smtp-reject", policy.UpDst},
		{"a VLAN, IPv6", check.Question{Line: "tagged", To: "2001:db8:99::1"}, check.Rejected, "smtp-reject", policy.UpDst},
		{"two VLANs", check.Question{Line: "stacked", To: "203.0.113.1"}, check.Rejected, "smtp-reject", policy.UpDst},
		{"PPPoE", check.Question{Line: "session", To: "203.0.113.1"}, check.Rejected, "smtp-reject", policy.UpDst},
		{"PPPoE, IPv6", check.Question{Line: "session", To: "2001:db8:99::1"}, check.Rejected, "smtp-reject", policy.UpDst},
		{"PPPoE to the relay", check.Question{Line: "session", To: "2001:db8:25::25"}, check.Delivered, "relay", policy.UpDst},
		{"a rate", check.Question{Line: "limited", To: "203.0.113.1"}, check.Limited, "smtp-limit", policy.UpDst},
		{"a checked source", check.Question{Line: "guarded", To: "203.0.113.1"}, check.Monitored, "smtp-guarded", policy.UpDst},
		{"another's source", check.Question{Line: "guarded", From: addr("192.0.2.2"), To: "203.0.113.1"}, check.Blocked, "spoofed", policy.UpDst},
		{"another's source, watched", check.Question{Line: "watched", From: addr("192.0.2.2"), To: "203.0.113.1", Port: 443}, check.Monitored, "spoofed", policy.UpDst},
		{"no address", check.Question{Line: "silent", To: "203.0.113.1"}, check.Rejected, "smtp-reject", policy.UpDst},
		{"by address", check.Question{From: addr("192.0.2.30"), To: "203.0.113.1"}, check.Rejected, "smtp-reject", policy.UpDst},
		{"by a mapped address", check.Question{From: addr("::ffff:192.0.2.2"), To: "::ffff:203.0.113.1"}, check.Rejected, "smtp-reject", policy.UpDst},
		{"stopped on the way back", check.Question{Line: "oneway", To: "203.0.113.1"}, check.Blocked, "smtp-down", policy.DownSrc},
		{"nowhere to be found downstream", check.Question{Line: "lost", To: "203.0.113.1"}, check.Blocked, "fail-closed", policy.DownSrc},
		{"unnamed", check.Question{From: addr("10.0.0.1"), Switch: "edge-2", To: "203.0.113.1"}, check.Blocked, "fail-closed", policy.UpDst},
		{"a switch without answers", check.Question{Line: "elsewhere", From: addr("192.0.2.40"), To: "203.0.113.1"}, check.Blocked, "smtp-reject", policy.UpDst},
		{"a prefix exempt everywhere", check.Question{From: addr("192.0.2.33"), To: "203.0.113.1"}, check.Delivered, "exempt", policy.UpDst},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.q.Port == 0 {
				tc.q.Port = 25
			}
			for range 5 { // a switch rejects at most three SYNs a second for each line, but questions must not affect each other
				a := ask(t, c, tc.q)
				if r := a.Results[0]; a.Outcome != tc.outcome || ruleOf(r) != tc.rule || r.Leg != tc.leg {
					t.Fatalf("%s by %q on %s, want %s by %q on %s", a.Outcome, ruleOf(r), r.Leg, tc.outcome, tc.rule, tc.leg)
				}
			}
		})
	}
}

// TestFrame verifies that the frames of each access form have the right tags, session and addresses in both directions.
func TestFrame(t *testing.T) {
	c := check.New(check.Source{Bundle: everyAccess(t)}, check.Options{Now: func() time.Time { return day("2020-02-01") }})
	for line, want := range map[string][2]string{
		"plain":   {"022500000002" + "020000000101" + "0800" + "4500", "020000000101" + "022500000002" + "0800" + "4500"},
		"tagged":  {"022500000002" + "022500000001" + "81000064" + "0800", "022500000001" + "022500000002" + "81000064" + "0800"},
		"stacked": {"022500000002" + "022500000001" + "88a800c8" + "81000007" + "0800", "022500000001" + "022500000002" + "88a800c8" + "81000007" + "0800"},
		"session": {"022500000002" + "022500000001" + "8100012c" + "8864" + "1100002a" + "002a" + "0021" + "4500", "022500000001" + "022500000002" + "8100012c" + "8864"},
	} {
		trace := ask(t, c, check.Question{Line: line, To: "203.0.113.1", Port: 25, Trace: true}).Results[0].Trace
		for i, frame := range []string{trace.Frame.String(), trace.ReplyFrame.String()} {
			if !strings.HasPrefix(frame, "0x"+want[i]) {
				t.Errorf("%s: frame %d is %s, want %s...", line, i, frame, want[i])
			}
		}
	}
	// A complete frame must have the same checksums as a frame from a real host.
	frame := ask(t, c, check.Question{Line: "tagged", To: "2001:db8:99::1", Port: 587, Trace: true}).Results[0].Trace.Frame.String()
	if want := "0x02250000000202250000000181000064" + "86dd" + "6000000000140640" + "20010db8000200000000000000000001" + "20010db8009900000000000000000001" +
		"c000024b" + "0000000100000000" + "5002ffff"; !strings.HasPrefix(frame, want) {
		t.Errorf("frame is %s, want %s...", frame, want)
	}
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestExemptionOfAnAnswer(t *testing.T) {
	c := check.New(check.Source{Bundle: everyAccess(t)}, check.Options{})
	a := ask(t, c, check.Question{From: addr("192.0.2.33"), To: "203.0.113.1", Port: 25, At: day("2020-06-30"), Trace: true})
	want := check.Exemption{Prefix: netip.MustParsePrefix("192.0.2.32/30"), Expires: day("2020-07-01"), Owner: "noc@isp.example", Reason: "a mail server", Ticket: "T-1"}
	if e := a.Results[0].Exemption; e == nil || *e != want {
		t.Fatalf("exemption %+v, want %+v", e, want)
	}
}

// TestLineWithSessions verifies that a source check does not stop a line whose session is not known, and that the answer tells of an exemption that
// follows the sessions.
func TestLineWithSessions(t *testing.T) {
	b := bundle(t, examples.SpinNet2006())
	sw := &b.Inventory.Switches[0]
	sw.Identify = policy.IdentifyCircuitID
	sw.Lines[0].Prefixes = nil
	b.Policy.LineGroup("adsl").SourceCheck = policy.SourceDrop
	e := b.Policy.Exemptions[0]
	e.Line = "adsl-home"
	b.Policy.Exemptions = append(b.Policy.Exemptions, e)
	c := check.New(check.Source{Bundle: b}, check.Options{})
	if a := ask(t, c, check.Question{Line: "adsl-home", To: "203.0.113.129", Port: 587, At: day("2006-12-01")}); a.Outcome != check.Delivered {
		t.Errorf("submission is %s by %q", a.Outcome, ruleOf(a.Results[0]))
	}
	a := ask(t, c, check.Question{Line: "adsl-home", To: "203.0.113.129", Port: 25, At: day("2006-12-01")})
	want := `the exemption of line "adsl-home" follows its sessions: the answer is for the line without a session; with one, its mail to port 25 passes`
	if a.Outcome != check.Blocked || len(a.Notes) == 0 || a.Notes[0] != want {
		t.Errorf("%s, %q", a.Outcome, a.Notes)
	}
}

func TestEveryAddressOfAHost(t *testing.T) {
	resolver := hosts{
		"mail.example.jp": {"203.0.113.129", "198.51.100.25", "::ffff:198.51.100.25", "2001:db8:99::25"},
		"six.example.jp":  {"2001:db8:99::25"},
		"local.example":   {"127.0.0.1"},
	}
	c := check.New(check.Source{Bundle: bundle(t, examples.SpinNet2006())}, check.Options{Resolver: resolver})
	q := check.Question{Line: "adsl-home", To: "mail.example.jp.", Port: 25, At: day("2006-12-01")}
	a := ask(t, c, q)
	var got []string
	for _, r := range a.Results {
		got = append(got, r.To.String()+" "+string(r.Outcome))
	}
	if want := []string{"198.51.100.25 delivered", "203.0.113.129 blocked", "2001:db8:99::25 blocked"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if a.Outcome != check.Blocked || a.Best != check.Delivered {
		t.Errorf("worst %s, best %s, want blocked and delivered", a.Outcome, a.Best)
	}
	q.From, q.Line = addr("192.0.2.11"), ""
	a = ask(t, c, q)
	if len(a.Results) != 2 || len(a.Notes) != 1 || a.Notes[0] != "2001:db8:99::25 was skipped: 192.0.2.11 has no address of that family" {
		t.Errorf("%d results, notes %q", len(a.Results), a.Notes)
	}
}

func TestQuestionsThatCannotBeAnswered(t *testing.T) {
	two := check.New(check.Source{Bundle: everyAccess(t)}, check.Options{Resolver: hosts{"six.example": {"2001:db8::1"}, "local.example": {"127.0.0.1"}}})
	unresolved := check.New(check.Source{Bundle: everyAccess(t)}, check.Options{})
	for _, tc := range []struct {
		q    check.Question
		on   *check.Checker
		is   error
		text string
	}{
		{check.Question{Line: "plain", To: "203.0.113.1"}, nil, check.ErrQuestion, "port 0: TCP ports are 1 to 65535, as in 25, 465 or 587"},
		{check.Question{To: "203.0.113.1", Port: 25}, nil, check.ErrQuestion, "neither a line nor an address: give the line's name, or an address that it has"},
		{check.Question{Line: "plian", To: "203.0.113.1", Port: 25}, nil, check.ErrUnknownLine, `unknown line "plian"; did you mean "plain"?`},
		{check.Question{From: addr("224.0.0.1"), To: "203.0.113.1", Port: 25}, nil, check.ErrQuestion, "from 224.0.0.1: no subscriber has this address"},
		{check.Question{From: addr("100.64.1.1"), To: "203.0.113.1", Port: 25}, nil, check.ErrShared, "100.64.1.1 is of the shared address space 100.64.0.0/10 (RFC 6598), and no line of the inventory has it: ask by the line's name"},
		{check.Question{From: addr("10.0.0.1"), To: "203.0.113.1", Port: 25}, nil, check.ErrQuestion, "no line of the inventory has 10.0.0.1, and it does not say on which switch it is: name the switch; switches: edge-1, edge-2"},
		{check.Question{From: addr("10.0.0.1"), Switch: "edge-3", To: "203.0.113.1", Port: 25}, nil, compile.ErrUnknownSwitch, `unknown switch "edge-3"; did you mean "edge-1"? switches: edge-1, edge-2`},
		{check.Question{Line: "plain", To: "", Port: 25}, nil, check.ErrQuestion, `to "": it is empty: give a server's name, as in mail.example.jp, or its address`},
		{check.Question{Line: "plain", To: "a b", Port: 25}, nil, check.ErrQuestion, `to "a b": " " cannot be in a name`},
		{check.Question{Line: "plain", To: "a..b", Port: 25}, nil, check.ErrQuestion, `to "a..b": "" is not a part of a name`},
		{check.Question{Line: "plain", To: strings.Repeat("a.", 128), Port: 25}, nil, check.ErrQuestion, "it has 255 letters, a name has at most 253"},
		{check.Question{Line: "plain", To: "255.255.255.255", Port: 25}, nil, check.ErrQuestion, "to 255.255.255.255: no server has this address"},
		{check.Question{Line: "plain", To: "mail.example", Port: 25}, nil, check.ErrResolve, `host not found: "mail.example": no such host`},
		{check.Question{Line: "plain", To: "local.example", Port: 25}, nil, check.ErrResolve, `host not found: "local.example": it has no address that a server can have`},
		{check.Question{Line: "plain", To: "mail.example", Port: 25}, unresolved, check.ErrResolve, `host not found: "mail.example": names are not resolved here: give an address`},
		{check.Question{Line: "bare", To: "203.0.113.1", Port: 25}, nil, check.ErrFamily, `no address of the same family: line "bare" has none for 203.0.113.1 (203.0.113.1)`},
		{check.Question{Line: "guarded", To: "six.example", Port: 25}, nil, check.ErrFamily, `no address of the same family: line "guarded" has none for six.example (2001:db8::1)`},
		{check.Question{Line: "plain", To: "203.0.113.1", Port: 25, Phase: "onyl"}, nil, policy.ErrUnknownPhase, `unknown phase "onyl"; did you mean "only"? phases: only`},
		{check.Question{Line: "plain", To: "203.0.113.1", Port: 25, At: day("2019-12-31")}, nil, check.ErrNoPhase, `no phase in force at 2019-12-31T00:00:00Z on switch "edge-1": the first, "only", begins at 2020-01-01T00:00:00Z`},
	} {
		if tc.q.At.IsZero() {
			tc.q.At = day("2020-02-01")
		}
		if tc.on == nil {
			tc.on = two
		}
		_, err := tc.on.Ask(t.Context(), tc.q)
		if !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%+v: %v\nwant %q", tc.q, err, tc.text)
		}
	}
}

// TestUnknownLineOfMany verifies that the error about an unknown line names only similar lines if the inventory has many, at most five of them.
func TestUnknownLineOfMany(t *testing.T) {
	b := bundle(t, examples.SpinNet2006())
	sw := &b.Inventory.Switches[0]
	sw.Lines = nil
	for i := range 40 {
		sw.Lines = append(sw.Lines, policy.Line{Name: fmt.Sprintf("house-%02d", i)})
	}
	c := check.New(check.Source{Bundle: b}, check.Options{})
	for name, want := range map[string]string{
		"house-4O":  `unknown line "house-4O"; did you mean "house-00", "house-01", "house-02", "house-03" or "house-04"?`,
		"huose-17":  `unknown line "huose-17"; did you mean "house-17", "house-07", "house-10", "house-11" or "house-12"?`,
		"business1": `unknown line "business1"; none of the inventory's 40 lines has a similar name`,
	} {
		_, err := c.Ask(t.Context(), check.Question{Line: name, To: other, Port: 25, At: day("2006-08-10")})
		if !errors.Is(err, check.ErrUnknownLine) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	sw.Lines = sw.Lines[:2]
	const want = `unknown line "huose-00"; did you mean "house-00"? lines: house-00, house-01`
	if _, err := check.New(check.Source{Bundle: b}, check.Options{}).Ask(t.Context(), check.Question{Line: "huose-00", To: other, Port: 25, At: day("2006-08-10")}); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestSharedPrefix covers a prefix that two lines share. Only documents built in Go can contain such a prefix.
func TestSharedPrefix(t *testing.T) {
	b := everyAccess(t)
	b.Inventory.Switches[0].Lines[1].Prefixes = b.Inventory.Switches[0].Lines[2].Prefixes
	_, err := check.New(check.Source{Bundle: b}, check.Options{}).Ask(t.Context(), check.Question{From: addr("192.0.2.3"), To: "203.0.113.1", Port: 25})
	if want := `address of more than one line: 192.0.2.3 is of "tagged" and of "stacked": ask by the line's name`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestLongestPrefix covers lines with nested prefixes, which only documents built in Go can contain. The line with the longest prefix
// must be selected.
func TestLongestPrefix(t *testing.T) {
	for _, tc := range []struct {
		first, second int
		want          string
	}{{24, 32, "elsewhere"}, {32, 24, "tagged"}} {
		b := everyAccess(t)
		b.Inventory.Switches[0].Lines[1].Prefixes = []netip.Prefix{netip.PrefixFrom(addr("10.0.0.7"), tc.first).Masked()}
		b.Inventory.Switches[1].Lines[0].Prefixes = []netip.Prefix{netip.PrefixFrom(addr("10.0.0.7"), tc.second).Masked()}
		a := ask(t, check.New(check.Source{Bundle: b}, check.Options{}), check.Question{From: addr("10.0.0.7"), To: "203.0.113.1", Port: 587, At: day("2020-02-01")})
		if a.Line != tc.want {
			t.Errorf("/%d of tagged and /%d of elsewhere: line %q, want %q", tc.first, tc.second, a.Line, tc.want)
		}
	}
}

func TestManyAskAtOnce(t *testing.T) {
	c := check.New(check.Source{Bundle: everyAccess(t)}, check.Options{Now: func() time.Time { return day("2020-02-01") }})
	var wait sync.WaitGroup
	for _, line := range []string{"plain", "tagged", "stacked", "session"} {
		for range 2 {
			wait.Go(func() {
				for range 10 {
					a, err := c.Ask(context.Background(), check.Question{Line: line, To: "203.0.113.1", Port: 25})
					if err != nil || a.Outcome != check.Rejected {
						t.Errorf("%s: %+v, %v", line, a, err)
					}
				}
			})
		}
	}
	wait.Wait()
}

// TestRemembers verifies that a checker that was asked before gives the same answers as one that was not. A question with a trace is always
// played.
func TestRemembers(t *testing.T) {
	docs := everyAccess(t)
	opts := check.Options{Now: func() time.Time { return day("2020-02-01") }}
	old := check.New(check.Source{Bundle: docs}, opts)
	text := func(a *check.Answer, err error) string {
		if err != nil {
			return err.Error()
		}
		for i := range a.Results {
			a.Results[i].Trace = nil
		}
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	asked := 0
	for range 2 {
		for _, sw := range docs.Inventory.Switches {
			for _, l := range sw.Lines {
				for _, to := range []string{"198.51.100.25", "8.8.8.8", "2001:db8:25::25", "2001:db8:99::1"} {
					for _, port := range []uint16{25, 587, 443} {
						asked++
						q := check.Question{Line: l.Name, To: to, Port: port}
						got := text(old.Ask(t.Context(), q))
						q.Trace = true
						if want := text(old.Ask(t.Context(), q)); got != want {
							t.Fatalf("%+v:\n%s\nplayed:\n%s", q, got, want)
						}
					}
				}
			}
		}
	}
	if asked < 200 {
		t.Errorf("only %d questions", asked)
	}
}

// A named line connects from the given address to servers of its family, and from its own first address to others.
func TestFamilyOfNamedLine(t *testing.T) {
	c := check.New(check.Source{Bundle: everyAccess(t)}, check.Options{Now: func() time.Time { return day("2020-02-01") }})
	q := check.Question{Line: "plain", From: netip.MustParseAddr("192.0.2.20"), Port: 25}
	for to, from := range map[string]string{"8.8.8.8": "192.0.2.20", "2600::8": "2001:db8:1::1"} {
		q.To = to
		if r := ask(t, c, q).Results[0]; r.From.String() != from {
			t.Errorf("to %s: from %v, want %s", to, r.From, from)
		}
	}
	q.Line, q.To = "", "2600::8"
	if _, err := c.Ask(t.Context(), q); !errors.Is(err, check.ErrFamily) {
		t.Errorf("an address without the line's name: %v", err)
	}
}
