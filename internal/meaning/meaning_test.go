package meaning

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// numbersOf numbers documents and fails the test if there are not enough numbers.
func numbersOf(t testing.TB, prev *compile.Numbers, b *policy.Bundle) *compile.Numbers {
	t.Helper()
	n, err := compile.Number(prev, b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// said returns each sentence as a line of text with its severity.
func said(list []Sentence) []string {
	var all []string
	for _, s := range list {
		all = append(all, fmt.Sprintf("%s %s: %s", s.Severity, s.Kind, s.Text))
	}
	return all
}

// TestMeaning has a case for each kind of change to the worked example.
func TestMeaning(t *testing.T) {
	prefix := netip.MustParsePrefix
	line := func(b *policy.Bundle, i int) *policy.Line { return &b.Inventory.Switches[0].Lines[i] }
	for name, x := range map[string]struct {
		from, to string                 // the phases before and after; the default is mobile-carriers
		before   func(b *policy.Bundle) // changes the documents for both states
		change   func(b *policy.Bundle)
		want     []string
	}{
		"nothing": {change: func(*policy.Bundle) {}},
		"phase": {
			to: "all-destinations",
			want: []string{
				"stops verdict: every line: TCP/25 to other servers monitor -> drop",
				"neutral phase: phase in force: mobile-carriers -> all-destinations",
			},
		},
		"back": {
			to: "before",
			want: []string{
				"opens verdict: every line: TCP/25 to mobile-carrier (2 prefixes) drop -> monitor",
				"neutral phase: phase in force: mobile-carriers -> before",
			},
		},
		"rule of a group": {
			change: func(b *policy.Bundle) {
				rules := &b.Policy.Phases[1].Rules
				*rules = slices.Insert(*rules, 1, policy.PhaseRule{Name: "mobile-all", Groups: []string{"mobile"}, Service: "smtp", Action: policy.Reject})
			},
			want: []string{"stops verdict: mobile lines: TCP/25 to other servers monitor -> reject"},
		},
		"rule under another name": {
			change: func(b *policy.Bundle) { b.Policy.Phases[1].Rules[1].Name = "rest" },
			want:   []string{"neutral verdict: every line: TCP/25 to other servers monitor, counted under smtp-all -> rest"},
		},
		"another leg": {
			change: func(b *policy.Bundle) {
				b.Policy.Phases[1].Rules = append(b.Policy.Phases[1].Rules, policy.PhaseRule{Name: "servers", Service: "smtp", Legs: []policy.Leg{policy.DownDst}, Action: policy.Drop})
			},
			want: []string{
				"stops verdict: every line: TCP/25 to mobile-carrier (2 prefixes), other servers on down_dst not looked at -> drop",
				"neutral verdict: every line: TCP/25 to own-relay (2 prefixes) on down_dst not looked at -> permit",
				"neutral verdict: every line: TCP/465, 587 to any server on down_src not looked at -> permit",
			},
		},
		"drain": {
			change: func(b *policy.Bundle) { b.Policy.Phases[1].SynOnly = true },
			want:   []string{"opens phase: drain begins: what rules drop or reject is new connections alone"},
		},
		"exemption": {
			change: func(b *policy.Bundle) {
				b.Policy.Exemptions = []policy.Exemption{{Line: "mobile-sim", Owner: "noc@isp.example", Reason: "test", Expires: policy.Date{Year: 2006, Month: 12, Day: 31}}}
			},
			want: []string{
				"stops exemption: exemption of line business-fixed (192.0.2.13/32, 2001:db8:1::13/128) removed, owner noc@isp.example",
				"opens exemption: exemption of line mobile-sim (192.0.2.14/32, 2001:db8:1::14/128) added until 2006-12-31, owner noc@isp.example",
			},
		},
		"exemption for longer": {
			change: func(b *policy.Bundle) {
				b.Policy.Exemptions[0].Expires, b.Policy.Exemptions[0].Owner = policy.Date{Year: 2008, Month: 3, Day: 31}, "abuse@isp.example"
				b.Policy.Exemptions[0].Review, b.Policy.Exemptions[0].Ticket = policy.Date{Year: 2007, Month: 9, Day: 30}, ""
				line(b, 2).Prefixes = line(b, 2).Prefixes[:1]
			},
			want: []string{
				"stops exemption: exemption of line business-fixed (192.0.2.13/32): -1 prefix, until 2007-03-31 -> 2008-03-31, owner noc@isp.example -> abuse@isp.example, " +
					"ticket OP25B-17 -> none, review 2006-12-31 -> 2007-09-30",
			},
		},
		"exemption ends": {
			change: func(b *policy.Bundle) {
				b.Policy.Exemptions[0].Expires, b.Policy.Exemptions[0].Review = policy.Date{Year: 2006, Month: 7, Day: 31}, policy.Date{}
			},
			want: []string{"stops exemption: exemption of line business-fixed (192.0.2.13/32, 2001:db8:1::13/128) ended 2006-07-31, owner noc@isp.example"},
		},
		"exemption where nothing is stopped": {
			from: "before", to: "before",
			change: func(b *policy.Bundle) {
				b.Policy.Exemptions = append(b.Policy.Exemptions, policy.Exemption{Prefix: prefix("192.0.2.128/25"), Owner: "noc", Reason: "lab", Expires: policy.Date{Year: 2007, Month: 1, Day: 1}})
			},
			want: []string{"neutral exemption: exemption of 192.0.2.128/25 added until 2007-01-01, owner noc"},
		},
		"lines": {
			change: func(b *policy.Bundle) {
				sw := &b.Inventory.Switches[0]
				sw.Lines[0].Group, sw.Lines[1].Name = "isdn", "adsl-clean"
				sw.Lines[3].VLAN, sw.Lines[3].PPPoE = 7, 4097
				for i := range 7 {
					sw.Lines = append(sw.Lines, policy.Line{Name: fmt.Sprint("adsl-", 71+i), Port: "access-1", VLAN: pipeline.VID(10 + i), Group: "adsl"})
				}
				sw.Lines = slices.Delete(sw.Lines, 2, 3)
				b.Policy.Exemptions = nil
			},
			want: []string{
				"stops exemption: exemption of line business-fixed (192.0.2.13/32, 2001:db8:1::13/128) removed, owner noc@isp.example",
				"neutral line: line mobile-sim moved from port 4 to port 4, VLAN 7, PPPoE session 4097",
				"neutral line: 7 lines (adsl-71, adsl-72, adsl-73, adsl-74, adsl-75 and 2 more) added to adsl",
				"neutral line: line adsl-home moved from adsl to isdn",
				"neutral line: line business-fixed removed from bflets",
				"neutral line: line adsl-bot is now called adsl-clean",
				"neutral switch: 1 station removed",
			},
		},
		"lines to and from stricter groups": {
			before: func(b *policy.Bundle) {
				rules := &b.Policy.Phases[1].Rules
				*rules = slices.Insert(*rules, 1, policy.PhaseRule{Name: "strict", Groups: []string{"mobile", "isdn"}, Service: "smtp", Action: policy.Drop})
				b.Policy.LineGroups[3].SourceCheck, b.Policy.LineGroups[3].Addressing = policy.SourceDrop, policy.Static
			},
			change: func(b *policy.Bundle) {
				line(b, 0).Group, line(b, 1).Group = "isdn", "hikari-premium"
				line(b, 3).Group = "adsl"
			},
			want: []string{
				"stops line: line adsl-bot moved from adsl to hikari-premium",
				"stops line: line adsl-home moved from adsl to isdn",
				"opens line: line mobile-sim moved from mobile to adsl",
			},
		},
		"addresses": {
			before: func(b *policy.Bundle) {
				b.Policy.LineGroups[0].SourceCheck, b.Policy.LineGroups[0].Addressing = policy.SourceDrop, policy.Static
			},
			change: func(b *policy.Bundle) {
				line(b, 0).Prefixes = line(b, 0).Prefixes[:1]
				line(b, 1).Prefixes = append(line(b, 1).Prefixes, prefix("192.0.2.112/32"))
			},
			want: []string{
				"stops line: line adsl-home: other addresses for the source check",
				"opens line: line adsl-bot: other addresses for the source check",
			},
		},
		"prefixes of a class": {
			change: func(b *policy.Bundle) {
				b.Policy.Remotes[1].Prefixes = []netip.Prefix{prefix("203.0.113.0/26"), prefix("203.0.113.64/26"), prefix("2001:db8:cb::/48")}
			},
			want: []string{
				"stops verdict: every line: TCP/25 to 203.0.113.64/26, 2001:db8:cb::/48, new in mobile-carrier monitor -> drop",
				"stops class: class mobile-carrier: +2 -1 prefixes",
				"opens verdict: every line: TCP/25 to 2001:db8:ca::/48, no longer in mobile-carrier drop -> monitor",
			},
		},
		"relay narrowed": { // the other half of the prefix stays a relay
			from: "all-destinations", to: "all-destinations",
			change: func(b *policy.Bundle) { b.Policy.Remotes[0].Prefixes[0] = prefix("198.51.100.16/29") },
			want: []string{
				"stops verdict: every line: TCP/25 to 198.51.100.24/29, no longer in own-relay permit -> drop",
				"stops class: relay own-relay: +1 -1 prefix",
				"neutral verdict: every line: TCP/465, 587 to 198.51.100.24/29, no longer in own-relay permit, counted under relay -> submission",
			},
		},
		"relay narrowed to what is left around": { // a /64 is replaced by all of its /66 prefixes except one
			from: "all-destinations", to: "all-destinations",
			change: func(b *policy.Bundle) {
				b.Policy.Remotes[0].Prefixes = []netip.Prefix{prefix("198.51.100.16/28"), prefix("2001:db8:25::/65"), prefix("2001:db8:25:0:c000::/66")}
			},
			want: []string{
				"stops verdict: every line: TCP/25 to 2001:db8:25:0:8000::/66, no longer in own-relay permit -> drop",
				"stops class: relay own-relay: +2 -1 prefixes",
				"neutral verdict: every line: TCP/465, 587 to 2001:db8:25:0:8000::/66, no longer in own-relay permit, counted under relay -> submission",
			},
		},
		"prefix widened": {
			change: func(b *policy.Bundle) { b.Policy.Remotes[1].Prefixes[0] = prefix("203.0.113.0/24") },
			want: []string{
				"stops verdict: every line: TCP/25 to 203.0.113.64/26, 203.0.113.128/25, new in mobile-carrier monitor -> drop",
				"stops class: class mobile-carrier: +1 -1 prefix",
			},
		},
		"prefix split": {
			change: func(b *policy.Bundle) {
				b.Policy.Remotes[1].Prefixes = []netip.Prefix{prefix("203.0.113.0/27"), prefix("203.0.113.32/27"), prefix("2001:db8:ca::/48")}
			},
			want: []string{"neutral class: class mobile-carrier: +2 -1 prefixes"},
		},
		"prefixes merged": {
			before: func(b *policy.Bundle) {
				b.Policy.Remotes[1].Prefixes = []netip.Prefix{prefix("203.0.113.0/26"), prefix("2001:db8:ca::/49"), prefix("2001:db8:ca:8000::/49")}
			},
			change: func(b *policy.Bundle) {
				b.Policy.Remotes[1].Prefixes = []netip.Prefix{prefix("203.0.113.0/26"), prefix("2001:db8:ca::/48")}
			},
			want: []string{"neutral class: class mobile-carrier: +1 -2 prefixes"},
		},
		"prefix inside another of its class": { // the shorter prefix already contains the new prefix's addresses
			change: func(b *policy.Bundle) {
				b.Policy.Remotes[1].Prefixes = append(b.Policy.Remotes[1].Prefixes, prefix("203.0.113.8/29"))
			},
			want: []string{"neutral class: class mobile-carrier: +1 prefix"},
		},
		"class inside another": {
			change: func(b *policy.Bundle) {
				b.Policy.Remotes = append(b.Policy.Remotes, policy.Remote{Name: "lab", Within: []string{"mobile-carrier"}, Prefixes: []netip.Prefix{prefix("203.0.113.16/28")}})
			},
			want: []string{
				"opens verdict: every line: TCP/25 to 203.0.113.16/28, from mobile-carrier to lab drop -> monitor",
				"opens class: class lab added (1 prefix)",
			},
		},
		"class of another's addresses and new ones": {
			change: func(b *policy.Bundle) {
				b.Policy.Remotes = append(b.Policy.Remotes, policy.Remote{
					Name: "lab", Within: []string{"mobile-carrier"}, Prefixes: []netip.Prefix{prefix("203.0.113.16/28"), prefix("192.0.2.240/29")},
				})
				rules := &b.Policy.Phases[1].Rules
				*rules = slices.Insert(*rules, 0, policy.PhaseRule{Name: "to-lab", Service: "smtp", Remote: "lab", Action: policy.Reject})
			},
			want: []string{
				"stops verdict: every line: TCP/25 to 192.0.2.240/29, new in lab monitor -> reject",
				"stops class: class lab added (2 prefixes)",
				"neutral verdict: every line: TCP/25 to 203.0.113.16/28, from mobile-carrier to lab drop -> reject",
			},
		},
		"class inside another that narrows": { // 203.0.113.32/27 is removed, except the addresses of lab in it
			before: func(b *policy.Bundle) {
				b.Policy.Remotes = append(b.Policy.Remotes, policy.Remote{Name: "lab", Within: []string{"mobile-carrier"}, Prefixes: []netip.Prefix{prefix("203.0.113.48/28")}})
			},
			change: func(b *policy.Bundle) { b.Policy.Remotes[1].Prefixes[0] = prefix("203.0.113.0/27") },
			want: []string{
				"opens verdict: every line: TCP/25 to 203.0.113.32/28, no longer in mobile-carrier drop -> monitor",
				"opens class: class mobile-carrier: +1 -1 prefix",
			},
		},
		"class around another": { // mobile-carrier keeps its addresses
			from: "before", to: "before",
			change: func(b *policy.Bundle) {
				b.Policy.Remotes[1].Within = []string{"lab"}
				b.Policy.Remotes = append(b.Policy.Remotes, policy.Remote{Name: "lab", Prefixes: []netip.Prefix{prefix("203.0.113.0/24")}})
				rules := &b.Policy.Phases[0].Rules
				*rules = slices.Insert(*rules, 0, policy.PhaseRule{Name: "to-lab", Service: "smtp", Remote: "lab", Action: policy.Drop})
			},
			want: []string{
				"stops verdict: every line: TCP/25 to lab (1 prefix) monitor -> drop",
				"stops class: class lab added (1 prefix)",
			},
		},
		"relay whose addresses are all another class's": { // longer prefixes have all of its addresses, so its removal changes nothing
			from: "all-destinations", to: "all-destinations",
			before: func(b *policy.Bundle) {
				b.Policy.Remotes[1].Within = []string{"lab"}
				b.Policy.Remotes[1].Prefixes = []netip.Prefix{prefix("203.0.113.0/26"), prefix("203.0.113.64/26")}
				b.Policy.Remotes = append(b.Policy.Remotes, policy.Remote{Name: "lab", Relay: true, Prefixes: []netip.Prefix{prefix("203.0.113.0/25")}})
			},
			change: func(b *policy.Bundle) {
				b.Policy.Remotes[1].Within = nil
				b.Policy.Remotes = b.Policy.Remotes[:2]
			},
			want: []string{"neutral class: relay lab removed (1 prefix)"},
		},
		"addresses from two classes to a third": {
			before: func(b *policy.Bundle) {
				b.Policy.Remotes = append(b.Policy.Remotes, policy.Remote{Name: "lab", Prefixes: []netip.Prefix{prefix("192.0.2.240/29")}})
			},
			change: func(b *policy.Bundle) {
				b.Policy.Remotes[0].Prefixes[0] = prefix("198.51.100.16/29")
				b.Policy.Remotes[1].Prefixes[0] = prefix("203.0.113.0/27")
				b.Policy.Remotes[2].Prefixes = []netip.Prefix{prefix("198.51.100.24/29"), prefix("203.0.113.32/27"), prefix("192.0.2.240/28")}
			},
			want: []string{
				"opens verdict: every line: TCP/25 to 203.0.113.32/27, from mobile-carrier to lab drop -> monitor",
				"opens class: class lab: +3 -1 prefixes",
				"opens class: class mobile-carrier: +1 -1 prefix",
				"neutral verdict: every line: TCP/25 to 198.51.100.24/29, from own-relay to lab permit -> monitor",
				"neutral verdict: every line: TCP/465, 587 to 198.51.100.24/29, from own-relay to lab permit, counted under relay -> submission",
				"neutral class: relay own-relay: +1 -1 prefix",
			},
		},
		"prefix and phase at once": { // before the change, mail to the class is rejected, and mail to the addresses that the class gains is monitored
			from: "before", to: "mobile-carriers",
			before: func(b *policy.Bundle) {
				b.Policy.Remotes[1].Prefixes[0] = prefix("203.0.113.0/27")
				b.Policy.Phases[0].Rules[0].Action = policy.Reject
			},
			change: func(b *policy.Bundle) { b.Policy.Remotes[1].Prefixes[0] = prefix("203.0.113.0/26") },
			want: []string{
				"stops verdict: every line: TCP/25 to 203.0.113.32/27, new in mobile-carrier monitor -> drop",
				"stops class: class mobile-carrier: +1 -1 prefix",
				"neutral phase: phase in force: before -> mobile-carriers",
				"neutral verdict: every line: TCP/25 to 203.0.113.0/27, 2001:db8:ca::/48, still in mobile-carrier reject -> drop",
			},
		},
		"class of other servers and phase at once": { // none of the new prefix's addresses was in the class before
			from: "before", to: "mobile-carriers",
			before: func(b *policy.Bundle) { b.Policy.Phases[0].Rules[0].Action = policy.Reject },
			change: func(b *policy.Bundle) { b.Policy.Remotes[1].Prefixes = []netip.Prefix{prefix("203.0.113.64/26")} },
			want: []string{
				"stops verdict: every line: TCP/25 to mobile-carrier (1 prefix) monitor -> drop",
				"stops class: class mobile-carrier: +1 -2 prefixes",
				"opens verdict: every line: TCP/25 to 203.0.113.0/26, 2001:db8:ca::/48, no longer in mobile-carrier reject -> monitor",
				"neutral phase: phase in force: before -> mobile-carriers",
			},
		},
		"relay removed": {
			from: "all-destinations", to: "all-destinations",
			change: func(b *policy.Bundle) {
				b.Policy.Remotes = []policy.Remote{{Name: "new-relay", Relay: true, Prefixes: []netip.Prefix{prefix("198.51.100.64/28")}}, b.Policy.Remotes[1]}
			},
			want: []string{
				"stops verdict: every line: TCP/25 to 198.51.100.16/28, 2001:db8:25::/64, no longer in own-relay permit -> drop",
				"stops class: relay own-relay removed (2 prefixes): mail of every line to it is then stopped",
				"opens verdict: every line: TCP/25 to new-relay (1 prefix) drop -> permit",
				"opens class: relay new-relay added (1 prefix)",
				"neutral verdict: every line: TCP/465, 587 to new-relay (1 prefix) permit, counted under submission -> relay",
				"neutral verdict: every line: TCP/465, 587 to 198.51.100.16/28, 2001:db8:25::/64, no longer in own-relay permit, counted under relay -> submission",
			},
		},
		"line group": {
			change: func(b *policy.Bundle) {
				g := b.Policy.LineGroups
				g[0].Undetermined, g[1].Undetermined, g[1].LaterFragments = policy.Knob(policy.Monitor), policy.Knob(policy.Monitor), policy.Knob(policy.Drop)
				g[4].SourceCheck, g[4].Addressing = policy.SourceDrop, policy.Static
				g[2].Limit = policy.Rate{PerSecond: 1, Burst: 10}
				b.Policy.LineGroups = append(g, policy.LineGroup{Name: "cable"})
			},
			want: []string{
				"stops group: isdn lines: fragments without ports permit -> drop",
				"stops group: mobile lines: source check off -> drop",
				"opens group: adsl, isdn lines: what cannot be read to its TCP ports drop -> monitor",
				"neutral group: line group cable added",
				"neutral group: bflets lines: new connections under a limit none -> 1/s with a burst of 10",
			},
		},
		"service": {
			change: func(b *policy.Bundle) {
				b.Policy.Services[2].Ports = []policy.TCPPort{465}
				b.Policy.Services = append(b.Policy.Services, policy.Service{Name: "pop3", Ports: []policy.TCPPort{110, 995}})
				b.Policy.Phases[1].Rules = append(b.Policy.Phases[1].Rules, policy.PhaseRule{Name: "plain", Service: "pop3", Action: policy.Drop})
			},
			want: []string{
				"stops verdict: every line: TCP/110, 995 to any server not looked at -> drop",
				"neutral service: service pop3 (TCP 110, 995) added",
			},
		},
		"switch": {
			change: func(b *policy.Bundle) {
				sw := &b.Inventory.Switches[0]
				sw.Ports[5].Role, sw.Ports[5].MACs = pipeline.Access, nil
				sw.Ports = append(sw.Ports, policy.Port{Number: 14, Name: "core-4", Role: pipeline.Network})
				sw.RejectFrom = sw.RejectFrom[:1]
			},
			want: []string{
				"stops switch: port 12 becomes access: what comes in there is filtered",
				"opens switch: port 14 becomes network: what comes in there is not filtered",
				"neutral switch: 1 port added",
				"neutral switch: rejects of IPv6 come from 2001:db8:ff::1 -> nowhere",
				"neutral switch: 1 station removed",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			phase := func(name string) policy.InForce {
				if name == "" {
					name = "mobile-carriers"
				}
				return policy.Everywhere(name)
			}
			at := policytest.Moment(t, "2006-08-01T00:00:00+09:00")
			b := policytest.Example(t)
			if x.before != nil {
				x.before(b)
			}
			n := numbersOf(t, nil, b)
			old, err := compiletest.Compile(b, n, "edge-1", phase(x.from), at)
			if err != nil {
				t.Fatal(err)
			}
			b = policytest.Example(t)
			if x.before != nil {
				x.before(b)
			}
			if x.change != nil {
				x.change(b)
			}
			now, err := compiletest.Compile(b, numbersOf(t, n, b), "edge-1", phase(x.to), at)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(x.want, said(of(old, now))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestMeaningOfFirst verifies the sentences for a switch that was empty before.
func TestMeaningOfFirst(t *testing.T) {
	c, err := compiletest.Compile(policytest.Example(t), nil, "edge-1", policy.Everywhere("mobile-carriers"), policytest.Moment(t, "2006-08-01T00:00:00+09:00"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"opens verdict: every line: TCP/25 to own-relay (2 prefixes) drop -> permit",
		"opens verdict: every line: TCP/25 to other servers drop -> monitor",
		"opens class: relay own-relay added (2 prefixes)",
		"opens exemption: exemption of line business-fixed (192.0.2.13/32, 2001:db8:1::13/128) added until 2007-03-31, owner noc@isp.example",
		"opens switch: ports 11, 12, 13 become network: what comes in there is not filtered",
		"neutral phase: phase in force: none -> mobile-carriers",
		"neutral verdict: every line: TCP/25 to mobile-carrier (2 prefixes) drop, counted under fail-closed -> smtp-carrier",
		"neutral verdict: every line: TCP/465, 587 to any server not looked at -> permit",
		"neutral class: class mobile-carrier added (2 prefixes)",
		"neutral service: service smtp (TCP 25) added",
		"neutral service: service submission (TCP 587) added",
		"neutral service: service submissions (TCP 465) added",
		"neutral line: 2 lines (adsl-bot, adsl-home) added to adsl",
		"neutral line: line business-fixed added to bflets",
		"neutral line: line mobile-sim added to mobile",
		"neutral switch: 7 ports added",
		"neutral switch: rejects of IPv4 come from nowhere -> 198.51.100.1",
		"neutral switch: rejects of IPv6 come from nowhere -> 2001:db8:ff::1",
		"neutral switch: 7 stations added",
	}
	if diff := cmp.Diff(want, said(of(nil, c))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// of returns the consequences of a change, with as many single exemptions and lines as a plan shows.
func of(old, new *compile.Compiled) []Sentence { return Of(old, new, DefaultSingle) }
