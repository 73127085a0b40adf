package demo

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"op25b/examples"
	"op25b/internal/policy"
)

func sample() *Report {
	drop := Expected{Blocked, "smtp-all", "drop"}
	return &Report{Phases: []Phase{{
		Phase: "all-destinations", Effective: "2006-10-01",
		Attempts: []Attempt{
			{From: "adsl-bot", To: "provider", Port: 25, Family: "ipv4", Result: Blocked, Rule: "smtp-all", Action: "drop", Want: drop},
			{From: "adsl-bot", To: "provider", Port: 25, Family: "ipv6", Result: Blocked, Rule: "smtp-all", Action: "drop", Want: drop},
		},
		Counters: []Counter{{Interface: "access-2", Rule: "smtp-all", Action: "drop", Packets: 2, Octets: 148, Sent: 2, SentBytes: 148}},
	}}}
}

func TestTableOfAGoodPlay(t *testing.T) {
	var b bytes.Buffer
	if err := WriteTable(&b, sample()); err != nil {
		t.Fatal(err)
	}
	want := `phase all-destinations, effective 2006-10-01                        IPv4        IPv6        rule
  adsl-bot         -> provider       :25                             blocked     blocked     smtp-all drop
  gNMI  access-2       smtp-all drop                     2 packets   sent      2   ok

every outcome is what the policy says: 2 of 2; every counter is what was sent: 1 of 1.
`
	if b.String() != want {
		t.Errorf("table is\n%s\nwant\n%s", b.String(), want)
	}
}

// TestEveryDifferenceIsAFault verifies that every difference from the policy makes the play fail
// and is reported.
func TestEveryDifferenceIsAFault(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*Report)
		says  string
	}{
		"a wrong pass":       {func(r *Report) { r.Phases[0].Attempts[0].Result = Delivered }, "WRONG: over ipv4 the policy says blocked by smtp-all drop"},
		"an error":           {func(r *Report) { r.Phases[0].Attempts[1].Result = Failed; r.Phases[0].Attempts[1].Error = "550 no" }, "(550 no)"},
		"another rule":       {func(r *Report) { r.Phases[0].Attempts[1].Rule = "fail-closed" }, "smtp-all drop, IPv6: fail-closed drop"},
		"no rule":            {func(r *Report) { r.Phases[0].Attempts[0].Rule = "" }, "no rule"},
		"a packet not seen":  {func(r *Report) { r.Phases[0].Counters[0].Packets = 1 }, "WRONG"},
		"a byte not seen":    {func(r *Report) { r.Phases[0].Counters[0].Octets = 147 }, "WRONG: 147 octets counted, 148 sent"},
		"nothing was played": {func(r *Report) { r.Phases = nil }, "NOT what the policy says: 0 of 0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := sample()
			test.spoil(r)
			if r.OK() {
				t.Error("the report is OK")
			}
			var b bytes.Buffer
			if err := WriteTable(&b, r); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(b.String(), test.says) || !strings.Contains(b.String(), "NOT what the policy says") {
				t.Errorf("table is\n%s\nwant %q in it", b.String(), test.says)
			}
		})
	}
}

func TestJSONHasTheAgreedKeys(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, sample()); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Phases []struct {
			Phase    string           `json:"phase"`
			Attempts []map[string]any `json:"attempts"`
			Counters []map[string]any `json:"counters"`
		} `json:"phases"`
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	a, c := doc.Phases[0].Attempts[0], doc.Phases[0].Counters[0]
	for key, want := range map[string]any{"from": "adsl-bot", "to": "provider", "port": 25.0, "family": "ipv4", "result": "blocked", "rule": "smtp-all"} {
		if a[key] != want {
			t.Errorf("attempt's %s is %v, want %v", key, a[key], want)
		}
	}
	for key, want := range map[string]any{"interface": "access-2", "rule": "smtp-all", "packets": 2.0} {
		if c[key] != want {
			t.Errorf("counter's %s is %v, want %v", key, c[key], want)
		}
	}
}

// TestExpectation verifies that expect agrees with the blocking programme announced in 2006.
func TestExpectation(t *testing.T) {
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	relay, carrier, provider := netip.MustParseAddr("198.51.100.25"), netip.MustParseAddr("2001:db8:ca::25"), netip.MustParseAddr("203.0.113.129")
	for _, test := range []struct {
		phase, line string
		to          netip.Addr
		port        uint16
		want        Expected
	}{
		{"before", "adsl-bot", carrier, 25, Expected{Delivered, "smtp-carrier", "monitor"}},
		{"before", "adsl-bot", provider, 25, Expected{Delivered, "smtp-all", "monitor"}},
		{"mobile-carriers", "adsl-bot", carrier, 25, Expected{Blocked, "smtp-carrier", "drop"}},
		{"mobile-carriers", "mobile-sim", provider, 25, Expected{Delivered, "smtp-all", "monitor"}},
		{"all-destinations", "adsl-home", provider, 25, Expected{Blocked, "smtp-all", "drop"}},
		{"all-destinations", "adsl-home", provider, 587, Expected{Delivered, "submission", "permit"}},
		{"all-destinations", "adsl-bot", relay, 25, Expected{Delivered, "relay", "permit"}},
		{"all-destinations", "business-fixed", carrier, 25, Expected{Delivered, "exempt", "permit"}},
	} {
		ph, _ := b.Policy.Phase(test.phase)
		var line policy.Line
		for _, l := range b.Inventory.Switches[0].Lines {
			if l.Name == test.line {
				line = l
			}
		}
		if got := expect(b.Policy, ph, line, false, test.to, test.port); got != test.want {
			t.Errorf("%s: %s to %v:%d is %+v, want %+v", test.phase, test.line, test.to, test.port, got, test.want)
		}
	}
}

// TestExpectationOf2022 verifies that expect agrees with the programme of 2022, as the comments of examples/spinnet-2022 describe it.
func TestExpectationOf2022(t *testing.T) {
	b, err := policy.Load(examples.SpinNet2022())
	if err != nil {
		t.Fatal(err)
	}
	own, carrier := netip.MustParseAddr("2001:db8:25::25"), netip.MustParseAddr("203.0.113.25")
	for _, test := range []struct {
		phase, line string
		to          netip.Addr
		port        uint16
		want        Expected
	}{
		{"before", "adsl-bot", own, 25, Expected{Delivered, "relay", "permit"}},
		{"all-destinations", "business-fixed", own, 25, Expected{Delivered, "exempt", "permit"}},
		{"all-destinations", "adsl-home", own, 110, Expected{Delivered, "", ""}},
		{"mobile-carriers", "adsl-home", own, 587, Expected{Delivered, "relay", "permit"}},
		{"submission-opens", "adsl-home", own, 587, Expected{Blocked, "own-submission", "reject"}},
		{"all-destinations", "business-fixed", own, 587, Expected{Delivered, "own-submission-leased", "permit"}},
		{"plain-counted", "adsl-home", own, 110, Expected{Delivered, "own-pop3", "monitor"}},
		{"plain-counted", "adsl-home", own, 465, Expected{Delivered, "relay", "permit"}},
		{"plain-ends-first", "adsl-home", own, 25, Expected{Delivered, "own-smtp-later", "monitor"}},
		{"plain-ends-first", "mobile-sim", own, 25, Expected{Blocked, "own-smtp", "reject"}},
		{"plain-ends-first", "mobile-sim", own, 587, Expected{Delivered, "own-submission", "monitor"}},
		{"tls-only", "adsl-home", own, 25, Expected{Blocked, "own-smtp", "reject"}},
		{"tls-only", "business-fixed", own, 25, Expected{Delivered, "exempt", "permit"}},
		{"tls-only", "business-fixed", own, 110, Expected{Blocked, "own-pop3", "reject"}},
		{"tls-only", "adsl-home", own, 995, Expected{Delivered, "", ""}},
		{"tls-only", "adsl-home", carrier, 25, Expected{Blocked, "smtp-carrier", "drop"}},
		{"tls-only", "adsl-home", carrier, 465, Expected{Delivered, "submission", "permit"}},
	} {
		ph, _ := b.Policy.Phase(test.phase)
		lines := b.Inventory.Switches[0].Lines
		line := lines[slices.IndexFunc(lines, func(l policy.Line) bool { return l.Name == test.line })]
		if got := expect(b.Policy, ph, line, false, test.to, test.port); got != test.want {
			t.Errorf("%s: %s to %v:%d is %+v, want %+v", test.phase, test.line, test.to, test.port, got, test.want)
		}
	}
}

// TestExpectationWithLease verifies that a lease opens 587 of the own servers in the phases that have rules for it, and nothing else.
func TestExpectationWithLease(t *testing.T) {
	b, err := policy.Load(examples.SpinNet2022())
	if err != nil {
		t.Fatal(err)
	}
	own, provider := netip.MustParseAddr("198.51.100.25"), netip.MustParseAddr("203.0.113.129")
	line := b.Inventory.Switches[0].Lines[0]
	for _, test := range []struct {
		phase string
		to    netip.Addr
		port  uint16
		want  Expected
	}{
		{"mobile-carriers", own, 587, Expected{Delivered, "relay", "permit"}},
		{"submission-opens", own, 587, Expected{Delivered, "own-submission-leased", "permit"}},
		{"all-destinations", own, 587, Expected{Delivered, "own-submission-leased", "permit"}},
		{"all-destinations", provider, 25, Expected{Blocked, "smtp-all", "drop"}},
		{"plain-counted", own, 587, Expected{Delivered, "own-submission", "monitor"}},
		{"tls-only", own, 25, Expected{Blocked, "own-smtp", "reject"}},
	} {
		ph, _ := b.Policy.Phase(test.phase)
		if got := expect(b.Policy, ph, line, true, test.to, test.port); got != test.want {
			t.Errorf("%s: %s to %v:%d with a lease is %+v, want %+v", test.phase, line.Name, test.to, test.port, got, test.want)
		}
		if want := test.phase == "submission-opens" || test.phase == "all-destinations"; forLease(ph) != want {
			t.Errorf("%s has rules for leases: %t, want %t", test.phase, !want, want)
		}
	}
}
