// Package policytest provides documents, random generators and verdict look-ups for tests of packages that use policy.
package policytest

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// CompareAddresses is a go-cmp option that compares prefixes and addresses by value.
var CompareAddresses = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

// ReadFile reads a file for Load, under its base name.
func ReadFile(t testing.TB, path string) strict.File {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strict.File{Name: filepath.Base(path), Data: content}
}

// LoadFiles loads files whose documents must be valid together.
func LoadFiles(t testing.TB, paths ...string) *policy.Bundle {
	t.Helper()
	var files []strict.File
	for _, path := range paths {
		files = append(files, ReadFile(t, path))
	}
	b, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Example loads the worked example.
func Example(t testing.TB) *policy.Bundle {
	t.Helper()
	const dir = "../../examples/spinnet-2006/"
	return LoadFiles(t, dir+"policy.yaml", dir+"inventory.yaml", dir+"exemptions.yaml")
}

// Moment parses a time in RFC 3339 form.
func Moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Fleet loads an inventory of 1,000 switches with 8 lines each and the policy of Full with 64 exemptions.
func Fleet(t testing.TB) *policy.Bundle {
	t.Helper()
	bundle, err := policy.Load(Full())
	if err != nil {
		t.Fatal(err)
	}
	big := bundle.Inventory.Switches[0]
	bundle.Policy.Exemptions = bundle.Policy.Exemptions[:64]
	bundle.Inventory.Switches = nil
	for i := range 1000 {
		sw := big
		sw.Name, sw.DeviceID, sw.Lines = fmt.Sprint("edge-", i), policy.DeviceID(i+1), big.Lines[8*i:8*i+8]
		bundle.Inventory.Switches = append(bundle.Inventory.Switches, sw)
	}
	return bundle
}

// Full returns the documents of one switch at its design limit. It has 8,192 exempt lines with an IPv4 and an IPv6 prefix each, and a
// remote class with 8,192 prefixes.
func Full() []strict.File {
	const n = 8192
	var inv, p, exempt strings.Builder
	inv.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n  - name: edge\n    deviceID: 1\n    p4runtime: h:1\n    gnmi: h:2\n    ports:\n" +
		"      - {port: 500, name: core, role: network}\n      - {port: 1, name: a1, role: access}\n      - {port: 2, name: a2, role: access}\n      - {port: 3, name: a3, role: access}\n    lines:\n")
	p.WriteString("apiVersion: op25b/v1\nkind: Policy\nname: full\nlineGroups: [{name: adsl}]\nservices: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]\n" +
		"remotes:\n  - {name: relay, relay: true, prefixes: [198.51.100.0/28]}\n  - name: carrier\n    prefixes:\n")
	for i := range n {
		fmt.Fprintf(&p, "      - 2001:db8:%x::/48\n", i)
	}
	exempt.WriteString("apiVersion: op25b/v1\nkind: Exemptions\nexemptions:\n")
	for i := range n {
		fmt.Fprintf(&inv, "      - {name: line-%d, port: a%d, vlan: %d, group: adsl, macs: [\"02:00:00:00:%02x:%02x\"], prefixes: [10.0.%d.%d/32, \"2001:db8:ffff:%x::/64\"]}\n",
			i, 1+i/4000, i%4000, i>>8, i&255, i>>8, i&255, i)
		fmt.Fprintf(&exempt, "  - {line: line-%d, owner: noc, reason: server, expires: 2007-03-31}\n", i)
	}
	p.WriteString("phases:\n  - {name: all, effective: 2006-10-01, rules: [{name: smtp-all, service: smtp, action: drop}]}\n")
	return []strict.File{
		{Name: "exemptions.yaml", Data: []byte(exempt.String())}, {Name: "inventory.yaml", Data: []byte(inv.String())}, {Name: "policy.yaml", Data: []byte(p.String())},
	}
}

// DrawBundle returns a random valid policy and an inventory of one switch that has a line in each group. Some of the lines are exempt.
func DrawBundle(t *rapid.T) (*policy.Policy, *policy.Inventory) {
	p := &policy.Policy{Name: "drawn", UTCOffset: policy.Offset(rapid.IntRange(-14*60, 14*60).Draw(t, "offset"))}
	sw := policy.Switch{Name: "edge", DeviceID: 1, P4Runtime: "h:1", GNMI: "h:2", Ports: []policy.Port{{Number: 1, Name: "access"}, {Number: 2, Name: "core", Role: pipeline.Network}}}
	limit := rapid.SampledFrom([]policy.Rate{{}, {PerSecond: 10, Burst: 5}}).Draw(t, "limit of all groups")
	knob := rapid.SampledFrom([]policy.Knob{"", "permit", "monitor", "drop"})
	for i := range rapid.IntRange(1, 5).Draw(t, "groups") {
		name := fmt.Sprintf("group-%d", i+1)
		p.LineGroups = append(p.LineGroups, policy.LineGroup{
			Name: name, Undetermined: knob.Draw(t, "undetermined"), LaterFragments: knob.Draw(t, "later fragments"), Limit: limit,
			SourceCheck:   rapid.SampledFrom([]policy.SourceCheck{"", policy.SourceOff, policy.SourceMonitor, policy.SourceDrop}).Draw(t, "source check"),
			WatchInfected: rapid.Bool().Draw(t, "watch infected"),
		})
		line := policy.Line{
			Name: fmt.Sprintf("line-%d", i+1), Port: "access", VLAN: pipeline.VID(i), Group: name,
			Prefixes: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)},
		}
		sw.Lines = append(sw.Lines, line)
		if rapid.Bool().Draw(t, "exempt") {
			p.Exemptions = append(p.Exemptions, policy.Exemption{Line: line.Name, Owner: "noc", Reason: "server", Expires: policy.Date{Year: 2006, Month: 10, Day: rapid.IntRange(1, 31).Draw(t, "expires")}})
		}
	}
	p.Services = rapid.SampledFrom([][]policy.Service{
		{{Name: "smtp", Ports: []policy.TCPPort{25}}, {Name: "submission", Ports: []policy.TCPPort{587}}, {Name: "submissions", Ports: []policy.TCPPort{465}}},
		{{Name: "pop3", Ports: []policy.TCPPort{110, 995}}, {Name: "submission", Ports: []policy.TCPPort{465, 587}}, {Name: "smtp", Ports: []policy.TCPPort{25}}},
		{{Name: "pop3", Ports: []policy.TCPPort{110}}, {Name: "submissions", Ports: []policy.TCPPort{465}}, {Name: "submission", Ports: []policy.TCPPort{587}}, {Name: "smtp", Ports: []policy.TCPPort{25}}},
	}).Draw(t, "services")
	for i := range rapid.IntRange(1, 5).Draw(t, "remotes") {
		r := policy.Remote{Name: fmt.Sprintf("class-%d", i+1), Relay: i == 0 || rapid.Bool().Draw(t, "relay")}
		if rapid.IntRange(0, 2).Draw(t, "own") == 1 {
			r.Relay, r.Own = false, true
		}
		r.Prefixes = append(r.Prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(16 * i)}), 28))
		if i > 0 && rapid.Bool().Draw(t, "nested") {
			r.Within = []string{"class-1"}
			r.Prefixes = append(r.Prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 32))
		}
		p.Remotes = append(p.Remotes, r)
	}
	drawLeases(t, p)
	for i := range rapid.IntRange(1, 3).Draw(t, "phases") {
		p.Phases = append(p.Phases, DrawPhase(t, p, i))
	}
	return p, &policy.Inventory{Switches: []policy.Switch{sw}}
}

// DrawPhase returns a random valid phase. It has narrow rules, none of which earlier rules cover, followed by one rule for all other
// traffic or by one such rule per direction.
func DrawPhase(t *rapid.T, p *policy.Policy, i int) policy.Phase {
	ph := policy.Phase{Name: fmt.Sprintf("phase-%d", i+1), Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: time.Month(i + 1), Day: 1}}, SynOnly: rapid.Bool().Draw(t, "SYN only")}
	if rapid.IntRange(0, 2).Draw(t, "hour") == 1 {
		ph.Effective.Minute = rapid.IntRange(0, 24*60-1).Draw(t, "minute")
	}
	if i > 0 && rapid.IntRange(0, 2).Draw(t, "dates of groups") == 1 { // phases begin a month apart
		group := rapid.SampledFrom(p.LineGroups).Draw(t, "group with a date").Name
		day := policy.Moment{Date: ph.Effective.Date, Minute: rapid.IntRange(0, 24*60-1).Draw(t, "minute of the group")}
		day.Day = rapid.IntRange(1, 28).Draw(t, "day of the group")
		ph.EffectiveFor = []policy.GroupDate{{Groups: []string{group}, Effective: day}}
	}
	valid := []policy.Action{policy.Permit, policy.Monitor, policy.Drop, policy.Reject}
	if p.LineGroups[0].Limit != (policy.Rate{}) {
		valid = append(valid, policy.Limit)
	}
	actions := rapid.SampledFrom(valid)
	drawOwnServices(t, p, &ph, actions)
	for range rapid.IntRange(0, 5).Draw(t, "narrow rules") {
		class := rapid.SampledFrom(p.Remotes).Draw(t, "remote")
		r := policy.PhaseRule{Service: rapid.SampledFrom([]string{"smtp", p.Services[0].Name}).Draw(t, "service"), Remote: class.Name, Action: actions.Draw(t, "action")}
		if rapid.Bool().Draw(t, "of groups") {
			groups := rapid.Permutation(policy.Names(p.LineGroups)).Draw(t, "order")
			r.Groups = groups[:rapid.IntRange(1, len(groups)).Draw(t, "groups of the rule")]
		}
		if r.Service == "smtp" && rapid.Bool().Draw(t, "of legs") {
			r.Legs = rapid.Permutation(policy.Legs()).Draw(t, "order of legs")[:rapid.IntRange(1, 4).Draw(t, "legs of the rule")]
		} else if rapid.Bool().Draw(t, "of the only leg") {
			r.Legs = []policy.Leg{policy.UpDst}
		}
		r.Name = fmt.Sprintf("%s-to-%s-%d", r.Service, r.Remote, len(r.Groups))
		useless := class.Own || class.Relay && r.Service != "pop3" || slices.ContainsFunc(ph.Rules, func(e policy.PhaseRule) bool { return e.Name == r.Name }) ||
			!slices.ContainsFunc(p.LegsOf(r), func(leg policy.Leg) bool {
				return !slices.ContainsFunc(ph.Rules, func(e policy.PhaseRule) bool { return p.Covers(e, r, leg) })
			})
		if !useless {
			ph.Rules = append(ph.Rules, r)
		}
	}
	for _, class := range p.Remotes { // mail to relays passes without a lease
		r := policy.PhaseRule{Name: "leased-" + class.Name, Service: "pop3", Remote: class.Name, Subscriber: policy.Leased, Action: policy.Permit}
		r.Groups = drawGroups(t, p)
		covered := slices.ContainsFunc(ph.Rules, func(e policy.PhaseRule) bool { return p.Covers(e, r, policy.UpDst) })
		if class.Relay && p.Service("pop3") != nil && len(p.LeasesOf(r)) > 0 && !covered {
			ph.Rules = append(ph.Rules, r)
			if rapid.Bool().Draw(t, "closed without a lease") {
				r.Name, r.Subscriber, r.Groups, r.Action = "unleased-"+class.Name, "", nil, actions.Draw(t, "action without a lease")
				ph.Rules = append(ph.Rules, r)
			}
		}
	}
	all := func(name string, legs ...policy.Leg) {
		ph.Rules = append(ph.Rules, policy.PhaseRule{Name: name, Service: "smtp", Legs: legs, Action: actions.Draw(t, "action for all")})
	}
	switch rapid.IntRange(0, 3).Draw(t, "the rest") {
	case 0:
		all("smtp-all")
	case 1:
		all("smtp-all", policy.DownSrc, policy.DownDst, policy.UpDst)
	case 2:
		all("smtp-up", policy.UpDst, policy.UpSrc)
		all("smtp-down", policy.DownSrc)
	case 3:
		all("smtp-down", policy.DownSrc, policy.DownDst)
		all("smtp-all")
	}
	return ph
}

// drawLeases draws leases, each for some of the own classes and line groups.
func drawLeases(t *rapid.T, p *policy.Policy) {
	var own []string
	for _, r := range p.Remotes {
		if r.Ours() {
			own = append(own, r.Name)
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "leases") {
		p.Leases = append(p.Leases, policy.Lease{
			Name: fmt.Sprintf("lease-%d", i+1), Opens: rapid.Permutation(own).Draw(t, "order of classes")[:rapid.IntRange(1, len(own)).Draw(t, "classes")],
			For: policy.MinLease, Cap: policy.MaxLease, Groups: drawGroups(t, p), Addresses: rapid.Bool().Draw(t, "addresses"),
		})
	}
}

// drawGroups returns some of the line groups, or nil for every line.
func drawGroups(t *rapid.T, p *policy.Policy) []string {
	if rapid.Bool().Draw(t, "for every line") {
		return nil
	}
	groups := rapid.Permutation(policy.Names(p.LineGroups)).Draw(t, "order of groups")
	return groups[:rapid.IntRange(1, len(groups)).Draw(t, "number of groups")]
}

// drawOwnServices may draw the services that reach own servers in a phase, with rules that decide all other services of every line group.
func drawOwnServices(t *rapid.T, p *policy.Policy, ph *policy.Phase, actions *rapid.Generator[policy.Action]) {
	if !slices.ContainsFunc(p.Remotes, func(r policy.Remote) bool { return r.Own }) || rapid.IntRange(0, 2).Draw(t, "own services") == 0 {
		return
	}
	for _, s := range p.Services {
		if slices.Contains(s.Ports, policy.PortSubmissions) || rapid.Bool().Draw(t, "reaches own servers") {
			ph.OwnServices = append(ph.OwnServices, s.Name)
		}
	}
	for _, class := range p.Remotes {
		for _, s := range p.Services {
			if !class.Own || !ph.LeavesOut(s.Name) {
				continue
			}
			add := func(variant string, groups []string) {
				ph.Rules = append(ph.Rules, policy.PhaseRule{
					Name: fmt.Sprintf("own-%s-%s-%s", s.Name, class.Name, variant), Groups: groups, Service: s.Name, Remote: class.Name, Action: actions.Draw(t, "action for own"),
				})
			}
			leased := policy.PhaseRule{
				Name: fmt.Sprintf("own-%s-%s-leased", s.Name, class.Name), Service: s.Name, Remote: class.Name, Subscriber: policy.Leased, Action: policy.Permit,
			}
			if leased.Groups = drawGroups(t, p); len(p.LeasesOf(leased)) > 0 && rapid.Bool().Draw(t, "leased") {
				ph.Rules = append(ph.Rules, leased)
			}
			groups := policy.Names(p.LineGroups)
			if n := rapid.IntRange(0, len(groups)-1).Draw(t, "groups in turn"); n > 0 {
				add("turn", groups[:n])
				groups = groups[n:]
			}
			if rapid.Bool().Draw(t, "own of every line") {
				groups = nil
			}
			add("rest", groups)
		}
	}
}

// DrawInForce returns either one phase for every line, or a default phase and other phases for some line groups.
func DrawInForce(t *rapid.T, p *policy.Policy) policy.InForce {
	phase := rapid.SampledFrom(policy.Names(p.Phases))
	in := policy.Everywhere(phase.Draw(t, "phase"))
	if rapid.Bool().Draw(t, "phases side by side") {
		in.Groups = make(map[string]string)
		for _, g := range p.LineGroups {
			if rapid.Bool().Draw(t, "apart") {
				in.Groups[g.Name] = phase.Draw(t, "phase of "+g.Name)
			}
		}
	}
	return in
}

// A Segment is a TCP segment between a line and a remote end, with the fields that the pipeline's tables match.
type Segment struct {
	From              pipeline.PortRole
	Remote, Own       uint16 // the TCP ports of the remote end and of the line
	Group             pipeline.LineGroup
	Class, Subscriber pipeline.Class
	Handshake         pipeline.Handshake // 0: neither SYN nor SYN-ACK
}

// Lookup returns the verdict of the matching entry with the highest priority.
func Lookup(t *rapid.T, s pipeline.State, x Segment, leg pipeline.Leg, service pipeline.Service) (v pipeline.Verdict, ok bool) {
	best := int32(0)
	for key, entry := range s.Verdicts {
		match := matches(key.Group, x.Group) && matches(key.Leg, leg) && matches(key.Service, service) &&
			matches(key.RemoteClass, x.Class) && matches(key.SubscriberClass, x.Subscriber)
		if match && key.Priority == best {
			t.Fatalf("%+v matches two entries with priority %d", x, best)
		}
		if match && key.Priority > best {
			v, ok, best = entry, true, key.Priority
		}
	}
	return v, ok
}

func matches[T ~uint8](m pipeline.Match[T], v T) bool { return !m.Set || m.Value == v }
