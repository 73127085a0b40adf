package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"op25b/internal/pipeline"
	"op25b/internal/strict"
)

// refused checks that Validate refuses a policy built in Go with the message want, or accepts it if
// want is empty.
func refused(t *testing.T, what string, p *Policy, inv *Inventory, want string) {
	t.Helper()
	p.src, inv.src = strict.Document{}, strict.Document{}
	got := ""
	if err := Validate(t.Context(), p, inv); err != nil {
		if got = err.Error(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v is not ErrInvalid", what, err)
		}
	}
	if got != want {
		t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
	}
}

// TestTooManyRules verifies that a policy can have as many rule names as there are ids, and not one
// more.
func TestTooManyRules(t *testing.T) {
	for n, want := range map[int]string{243: "", 244: `phases[243].rules[0]: rule "r243" is one too many; ` +
		`the phases of a policy can have 243 rule names between them: use names again, or split the policy`} {
		b := example(t)
		b.Policy.Phases = nil
		for i := range n {
			b.Policy.Phases = append(b.Policy.Phases, Phase{Name: fmt.Sprint(i), Effective: Moment{Date: Date{2006 + i, 1, 1}}, Rules: []PhaseRule{{Name: fmt.Sprintf("r%d", i), Service: "smtp", Action: Drop}}})
		}
		refused(t, fmt.Sprint(n, " rules"), b.Policy, b.Inventory, want)
	}
}

// TestTooManyVerdicts verifies that a phase can have 256 verdict entries, and not one more.
func TestTooManyVerdicts(t *testing.T) {
	for _, x := range []struct {
		groups int
		knob   Knob
		need   int // standing rules: 3 services x 1 relay, 2 submission, 1 exempt; phase rules: 2 legs x groups, 2 legs for all lines; 1 per knob
	}{{124, "", 256}, {124, "monitor", 257}, {125, "", 258}} {
		b := example(t)
		p := b.Policy
		for len(p.LineGroups) < x.groups {
			p.LineGroups = append(p.LineGroups, LineGroup{Name: fmt.Sprintf("g%d", len(p.LineGroups))})
		}
		p.LineGroups[7].Undetermined = x.knob
		p.Phases = []Phase{{Name: "wide", Effective: Moment{Date: Date{2006, 10, 1}}, Rules: []PhaseRule{
			{Name: "each", Groups: Names(p.LineGroups), Service: "smtp", Remote: "mobile-carrier", Action: Drop},
			{Name: "all", Service: "smtp", Action: Drop},
		}}}
		want := ""
		if x.need > 256 {
			want = fmt.Sprintf(`phases[0].rules: phase "wide" needs %d verdict entries, and a switch has room for 256 of a phase; a rule takes one for each of its `+
				`legs and named line groups: leave groups out where a rule is for every line, or put line groups and classes together`, x.need)
		}
		refused(t, fmt.Sprintf("%d groups and knob %q", x.groups, x.knob), p, b.Inventory, want)
		if n := p.VerdictEntries(&p.Phases[0]); n != x.need {
			t.Errorf("%d groups: %d entries, want %d", x.groups, n, x.need)
		}
	}
}

// TestTooManyLines verifies that a switch can have 8,192 lines, and not one more.
func TestTooManyLines(t *testing.T) {
	for n, want := range map[int]string{
		8192: "", 8193: `switches[0].lines[8192]: switch "edge-1" has 8193 lines; it has room for 8192: move lines to another switch`,
	} {
		b := example(t)
		sw := &b.Inventory.Switches[0]
		for i := len(sw.Lines); i < n; i++ {
			sw.Lines = append(sw.Lines, Line{Name: fmt.Sprint("more-", i), Port: "access-1", VLAN: 7, InnerVLAN: pipeline.VID(1 + i%4000), PPPoE: pipeline.Session(1 + i), Group: "adsl"})
		}
		refused(t, fmt.Sprint(n, " lines"), b.Policy, b.Inventory, want)
	}
}

// TestTooManyServices verifies that a policy can have 247 services, and not one more.
func TestTooManyServices(t *testing.T) {
	for n, want := range map[int]string{247: "", 248: "services[247]: there are 248 services; a switch can number 247"} {
		b := example(t)
		for i := len(b.Policy.Services); i < n; i++ {
			b.Policy.Services = append(b.Policy.Services, Service{Name: fmt.Sprint("more-", i), Ports: []TCPPort{TCPPort(10000 + i)}})
		}
		refused(t, fmt.Sprint(n, " services"), b.Policy, b.Inventory, want)
	}
}

// TestBuiltInNames verifies that a policy's rule cannot have the name of a standing rule or of a rule
// built into the pipeline.
func TestBuiltInNames(t *testing.T) {
	for _, name := range []string{"relay", "submission", "exempt", "fail-closed", "tiny-fragment", "later-fragment", "undetermined", "spoofed"} {
		b := example(t)
		b.Policy.Phases[0].Rules[0].Name = name
		refused(t, name, b.Policy, b.Inventory,
			fmt.Sprintf(`phases[0].rules[0].name: rule %q cannot be defined; it stands in every phase, and its counter would be mixed with this one's: choose another name`, name))
	}
}

// TestWordsMadeInGo verifies that Validate refuses values in documents built in Go that the decoder
// would refuse in a file.
func TestWordsMadeInGo(t *testing.T) {
	group := func(p *Policy, _ *Inventory) *LineGroup { return &p.LineGroups[1] }
	for want, change := range map[string]func(p *Policy, inv *Inventory){
		`lineGroups[1].undetermined: line group "isdn" has undetermined: reject; it must be permit, monitor or drop`:    func(p *Policy, inv *Inventory) { group(p, inv).Undetermined = "reject" },
		`lineGroups[1].laterFragments: line group "isdn" has laterFragments: limit; it must be permit, monitor or drop`: func(p *Policy, inv *Inventory) { group(p, inv).LaterFragments = "limit" },
		`lineGroups[1].sourceCheck: line group "isdn" has sourceCheck: permit; it must be off, monitor or drop`:         func(p *Policy, inv *Inventory) { group(p, inv).SourceCheck = "permit" },
		`lineGroups[1].limit: line group "isdn" has the limit 5 a second with a burst of 0; both must be whole numbers from 1 to 1000000`: func(p *Policy, inv *Inventory) {
			group(p, inv).Limit = Rate{PerSecond: 5}
		},
		`lineGroups[1].limit: line group "isdn" has the limit 1000001 a second with a burst of 1; both must be whole numbers from 1 to 1000000`: func(p *Policy, inv *Inventory) {
			group(p, inv).Limit = Rate{PerSecond: 1000001, Burst: 1}
		},
		`phases[0].rules[0].legs[0]: unknown leg "updst"; did you mean "up_dst"? legs: up_dst, down_src, down_dst, up_src`: func(p *Policy, _ *Inventory) {
			p.Phases[0].Rules[0].Legs = []Leg{"updst"}
		},
		`lineGroups[1].access: line group "isdn" has access: dsl; it must be adsl, vdsl, isdn, dialup, ftth, cable, mobile, fixed-wireless, leased or other`: func(p *Policy, inv *Inventory) {
			group(p, inv).Access = "dsl"
		},
		`lineGroups[1].addressing: line group "isdn" has addressing: dhcp; it must be static or dynamic`: func(p *Policy, inv *Inventory) { group(p, inv).Addressing = "dhcp" },
		`switches[0].foreign: switch "edge-1" has foreign: leave; it must be remove or keep`:             func(_ *Policy, inv *Inventory) { inv.Switches[0].Foreign = "leave" },
		`switches[0].lines[0].addressing: line "adsl-home" has addressing: dhcp; it must be static or dynamic`: func(_ *Policy, inv *Inventory) {
			inv.Switches[0].Lines[0].Addressing = "dhcp"
		},
		`switches[0].tls.ca: switch "edge-1" has tls without ca; a certificate that nobody checks protects nothing: give the file of the authorities' certificates`: func(_ *Policy, inv *Inventory) {
			inv.Switches[0].TLS.ServerName = "edge-1.example"
		},
		`phases[0].rules[0].action: unknown action "deny"; it must be permit, monitor, limit, reject or drop`: func(p *Policy, _ *Inventory) {
			p.Phases[0].Rules[0].Action = "deny"
		},
		`leases[0].tls: lease "login" has tls: always; it must be optional or required`: func(p *Policy, _ *Inventory) {
			p.Leases = []Lease{{Name: "login", Opens: []string{"own-relay"}, For: MinLease, Cap: MaxLease, TLS: "always"}}
		},
		`leases[0].for: lease "login" is for 0s; it must be a duration from 1m to 24h`: func(p *Policy, _ *Inventory) {
			p.Leases = []Lease{{Name: "login", Opens: []string{"own-relay"}, Cap: MaxLease}}
		},
		`phases[0].rules[0].subscriber: rule "smtp-carrier" is for subscriber "exempt"; it must be leased; leave the key out for every subscriber`: func(p *Policy, _ *Inventory) {
			p.Phases[0].Rules[0].Subscriber = "exempt"
		},
		`switches[0].lines[0].vlan: line "adsl-home" has VLAN 4095; it must be a whole number from 0, for untagged, to 4094`: func(_ *Policy, inv *Inventory) {
			inv.Switches[0].Lines[0].VLAN = 4095
		},
		`switches[0].lines[0].innerVLAN: line "adsl-home" has inner VLAN 4095; it must be a whole number from 0, for untagged, to 4094`: func(_ *Policy, inv *Inventory) {
			inv.Switches[0].Lines[0].VLAN, inv.Switches[0].Lines[0].InnerVLAN = 7, 4095
		},
		`switches[0].lines[0].pppoe: line "adsl-home" has PPPoE session 65535; it must be a whole number from 1 to 65534`: func(_ *Policy, inv *Inventory) {
			inv.Switches[0].Lines[0].PPPoE = 65535
		},
	} {
		b := example(t)
		change(b.Policy, b.Inventory)
		refused(t, strings.SplitN(want, ":", 2)[0], b.Policy, b.Inventory, want)
	}
}
