package generate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// SwitchName is the switch's name in a drawn inventory.
const SwitchName = "edge"

// Now returns a time at which some exemptions of a drawn policy are in force and others have expired. If the policy's offset is UTC, one
// exemption may expire exactly at Now.
func Now() time.Time { return time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC) }

// Documents draws a policy and an inventory that policy.Validate accepts.
func Documents(src Source) (*policy.Policy, *policy.Inventory) {
	d := &documents{src: src, p: &policy.Policy{Name: "drawn", UTCOffset: pick(src, []policy.Offset{0, 9 * 60, -210, 14 * 60})}}
	d.lineGroups()
	d.services()
	d.remotes()
	d.leases()
	inv := &policy.Inventory{Switches: []policy.Switch{d.edge()}}
	d.exemptions(inv.Switches[0].Lines)
	for i := range 1 + src.IntN(3) {
		d.phase(i)
	}
	// Only Validate can determine whether other rules already cover everything that a rule matches.
	for err := policy.Validate(context.Background(), d.p, inv); err != nil; err = policy.Validate(context.Background(), d.p, inv) {
		if !d.dropRule(err) {
			panic(fmt.Sprintf("generate: the plainest policy is not valid: %v", err))
		}
	}
	return d.p, inv
}

// documents contains a policy under construction.
type documents struct {
	src    Source
	p      *policy.Policy
	own    []int // for each phase, how many rules for own servers it begins with
	narrow []int // for each phase, how many of the rules behind those may be removed
}

func (d *documents) lineGroups() {
	knob := func() policy.Knob {
		return pick(d.src, []policy.Knob{"", policy.Knob(policy.Permit), policy.Knob(policy.Monitor), policy.Knob(policy.Drop)})
	}
	for i := range 1 + d.src.IntN(4) {
		g := policy.LineGroup{
			Name: fmt.Sprintf("group-%d", i+1), Undetermined: knob(), LaterFragments: knob(),
			SourceCheck: pick(d.src, []policy.SourceCheck{"", policy.SourceOff, policy.SourceMonitor, policy.SourceDrop}),
		}
		if d.src.IntN(3) > 0 {
			g.Limit = policy.Rate{PerSecond: policy.Connections(1 + d.src.IntN(100)), Burst: policy.Connections(1 + d.src.IntN(10))}
		}
		d.p.LineGroups = append(d.p.LineGroups, g)
	}
}

func (d *documents) services() {
	d.p.Services = slices.Clone(pick(d.src, [][]policy.Service{
		{{Name: "smtp", Ports: []policy.TCPPort{25}}, {Name: "submission", Ports: []policy.TCPPort{587}}, {Name: "submissions", Ports: []policy.TCPPort{465}}},
		{{Name: "pop3", Ports: []policy.TCPPort{110, 995}}, {Name: "submission", Ports: []policy.TCPPort{465, 587}}, {Name: "smtp", Ports: []policy.TCPPort{25}}},
		{
			{Name: "submission", Ports: []policy.TCPPort{587}},
			{Name: "smtp", Ports: []policy.TCPPort{25}},
			{Name: "alternate", Ports: []policy.TCPPort{26, 2525}},
			{Name: "submissions", Ports: []policy.TCPPort{465}},
			{Name: "pop3", Ports: []policy.TCPPort{110}},
		},
	}))
}

func v4(a, b, c, d byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c, d}), bits)
}

// v6 returns a prefix within 2001:db8::/32, whose third and fourth groups are a and b.
func v6(a, b uint16, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(a >> 8), byte(a), byte(b >> 8), byte(b)}), bits)
}

// remotes draws remote classes with prefixes of both families, some nested. The first class is a relay or has own servers.
func (d *documents) remotes() {
	for i := range 1 + d.src.IntN(6) {
		r := policy.Remote{Name: fmt.Sprintf("class-%d", i+1), Relay: i == 0 || d.src.IntN(6) == 1}
		if d.src.IntN(4) == 3 {
			r.Relay, r.Own = false, true
		}
		r.Prefixes = append(r.Prefixes, v4(198, 51, 100, byte(16*i), 28), v6(0x100+uint16(i), 0, 48))
		if i > 0 && d.src.IntN(2) == 1 {
			r.Within = []string{"class-1"}
			r.Prefixes = append(r.Prefixes, v4(198, 51, 100, byte(i), 32), v6(0x100, uint16(i), 64))
		}
		d.p.Remotes = append(d.p.Remotes, r)
	}
	for range d.src.IntN(3) {
		n := pick(d.src, nat64s)
		if !slices.Contains(d.p.NAT64, n) {
			d.p.NAT64 = append(d.p.NAT64, n)
		}
	}
}

// nat64s contains a NAT64 prefix of every length that RFC 6052 defines.
var nat64s = []policy.NAT64{
	{Prefix: netip.MustParsePrefix("64:ff9b::/96")},
	{Prefix: netip.MustParsePrefix("2001:db9::/32")},
	{Prefix: netip.MustParsePrefix("2001:dba:100::/40")},
	{Prefix: netip.MustParsePrefix("2001:dba:201::/48")},
	{Prefix: netip.MustParsePrefix("2001:dba:301:100::/56")},
	{Prefix: netip.MustParsePrefix("2001:dba:401:101::/64")},
	{Prefix: netip.MustParsePrefix("2001:dba:501:101::1:0:0/96")},
}

// leases draws leases for some of the own classes and line groups.
func (d *documents) leases() {
	var own []string
	for _, r := range d.p.Remotes {
		if r.Ours() {
			own = append(own, r.Name)
		}
	}
	for i := range d.src.IntN(3) {
		l := policy.Lease{Name: fmt.Sprintf("lease-%d", i+1), For: policy.MinLease, Cap: policy.MaxLease, Groups: d.someGroups(), Addresses: d.src.IntN(2) == 1}
		first := d.src.IntN(len(own))
		l.Opens = own[first : first+1+d.src.IntN(len(own)-first)]
		d.p.Leases = append(d.p.Leases, l)
	}
}

// someGroups draws a list of line groups, or nil for every line.
func (d *documents) someGroups() (groups []string) {
	for _, g := range d.p.LineGroups {
		if d.src.IntN(2) == 1 {
			groups = append(groups, g.Name)
		}
	}
	return groups
}

// edge draws a switch with lines of every kind of access.
func (d *documents) edge() policy.Switch {
	sw := policy.Switch{Name: SwitchName, DeviceID: 1, P4Runtime: "h:1", GNMI: "h:2"}
	numbers := []pipeline.Port{1, 2, 3, 4, 7, 8, 255, 256, 509}
	port := func(name string, role pipeline.PortRole) {
		i := d.src.IntN(len(numbers))
		p := policy.Port{Number: numbers[i], Name: name, Role: role}
		numbers = slices.Delete(numbers, i, i+1)
		for range d.src.IntN(3) {
			if role == pipeline.Network {
				p.MACs = append(p.MACs, d.mac(len(sw.Ports), len(p.MACs)))
			}
		}
		sw.Ports = append(sw.Ports, p)
	}
	var access []string
	for i := range 1 + d.src.IntN(3) {
		access = append(access, fmt.Sprintf("access-%d", i+1))
		port(access[i], pipeline.Access)
	}
	for i := range 1 + d.src.IntN(3) {
		port(fmt.Sprintf("core-%d", i+1), pipeline.Network)
	}
	type place struct {
		port        string
		outer, in   pipeline.VID
		pppoeNumber pipeline.Session
	}
	taken := map[place]bool{}
	for i := range 1 + d.src.IntN(8) {
		group := pick(d.src, d.p.LineGroups)
		l := policy.Line{Name: fmt.Sprintf("line-%d", i+1), Port: pick(d.src, access), Group: group.Name}
		if d.src.IntN(3) > 0 {
			l.VLAN = pick(d.src, []pipeline.VID{100, 101, 1, 4094})
			if d.src.IntN(2) == 1 {
				l.InnerVLAN = pick(d.src, []pipeline.VID{100, 7, 4094})
			}
		}
		if d.src.IntN(3) == 1 {
			l.PPPoE = pick(d.src, []pipeline.Session{1, 2, 65534})
		}
		here := place{l.Port, l.VLAN, l.InnerVLAN, l.PPPoE}
		if taken[here] {
			continue
		}
		taken[here] = true
		for range d.src.IntN(3) {
			l.MACs = append(l.MACs, d.mac(16+i, len(l.MACs)))
		}
		if checked := group.SourceCheck == policy.SourceMonitor || group.SourceCheck == policy.SourceDrop; checked || d.src.IntN(8) != 1 {
			l.Prefixes = pick(d.src, [][]netip.Prefix{
				{v4(192, 0, 2, byte(i), 32), v6(0x1000+uint16(i), 0, 56)},
				{v4(192, 0, 2, byte(64+8*i), 29), v4(192, 0, 2, byte(i), 32), v6(0x1000+uint16(i), 0, 64)},
				{v6(0x1000+uint16(i), 0, 56)},
				{v4(192, 0, 2, byte(i), 32)},
			})
		}
		sw.Lines = append(sw.Lines, l)
	}
	sw.RejectFrom = pick(d.src, [][]netip.Addr{
		{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:ff::1")},
		{netip.MustParseAddr("2001:db8:ff::1"), netip.MustParseAddr("203.0.113.1")},
		{netip.MustParseAddr("203.0.113.1")},
		{netip.MustParseAddr("2001:db8:ff::1")},
		nil,
	})
	return sw
}

func (d *documents) mac(of, i int) pipeline.MAC { return pipeline.MAC{2, 0, 0, 0, byte(of), byte(i)} }

// exemptions draws exemptions of lines and of prefixes. Some are in force and others have expired.
func (d *documents) exemptions(lines []policy.Line) {
	add := func(e policy.Exemption) {
		e.Owner, e.Reason = "noc", "server"
		e.Expires = policy.Date{Year: 2006, Month: 10, Day: pick(d.src, []int{31, 15, 14, 13})}
		d.p.Exemptions = append(d.p.Exemptions, e)
	}
	for _, l := range lines {
		if len(l.Prefixes) > 0 && d.src.IntN(4) == 1 {
			add(policy.Exemption{Line: l.Name})
		}
	}
	for _, prefix := range []netip.Prefix{v4(192, 0, 2, 0, 29), v6(0x1000, 0, 40), v4(203, 0, 113, 252, 31)} {
		if d.src.IntN(4) == 1 {
			add(policy.Exemption{Prefix: prefix})
		}
	}
}

// phase draws a phase. It has narrow rules first, and then one or two rules for the rest of port 25.
func (d *documents) phase(i int) {
	ph := policy.Phase{
		Name: fmt.Sprintf("phase-%d", i+1), Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: time.Month(i + 1), Day: 1}},
		SynOnly: d.src.IntN(3) == 1,
	}
	add := func(r policy.PhaseRule) {
		if !slices.ContainsFunc(ph.Rules, func(e policy.PhaseRule) bool { return e.Name == r.Name }) {
			r.Action = d.action(r)
			ph.Rules = append(ph.Rules, r)
		}
	}
	d.ownServices(&ph, add)
	d.own = append(d.own, len(ph.Rules))
	for range d.src.IntN(8) {
		add(d.rule())
	}
	for _, class := range d.p.Remotes { // mail to relays passes without a lease
		leased := policy.PhaseRule{Name: "leased-" + class.Name, Service: "pop3", Remote: class.Name, Subscriber: policy.Leased, Groups: d.someGroups()}
		if class.Relay && d.p.Service("pop3") != nil && len(d.p.LeasesOf(leased)) > 0 {
			add(leased)
			add(policy.PhaseRule{Name: "unleased-" + class.Name, Service: "pop3", Remote: class.Name})
		}
	}
	for _, leg := range []policy.Leg{policy.DownDst, policy.UpSrc} {
		if d.src.IntN(2) == 1 {
			add(policy.PhaseRule{Name: "server-" + string(leg), Service: "smtp", Legs: []policy.Leg{leg}})
		}
	}
	d.narrow = append(d.narrow, len(ph.Rules)-d.own[i])
	var all []string
	if d.src.IntN(3) == 1 { // name all groups, so that fail-closed decides for unnamed lines
		for _, g := range d.p.LineGroups {
			all = append(all, g.Name)
		}
	}
	if d.src.IntN(2) == 1 {
		add(policy.PhaseRule{Name: "rest-up", Service: "smtp", Groups: all, Legs: []policy.Leg{policy.UpDst}})
		add(policy.PhaseRule{Name: "rest-down", Service: "smtp", Groups: all, Legs: []policy.Leg{policy.DownSrc}})
	} else {
		add(policy.PhaseRule{Name: "rest", Service: "smtp", Groups: all, Remote: pick(d.src, []string{"", policy.AnyRemote})})
	}
	d.p.Phases = append(d.p.Phases, ph)
}

// ownServices may draw the services that reach own servers, with rules that decide all other services for every line group.
func (d *documents) ownServices(ph *policy.Phase, add func(policy.PhaseRule)) {
	if !slices.ContainsFunc(d.p.Remotes, func(r policy.Remote) bool { return r.Own }) || d.src.IntN(3) == 0 {
		return
	}
	for _, s := range d.p.Services {
		if slices.Contains(s.Ports, policy.PortSubmissions) || d.src.IntN(2) == 1 {
			ph.OwnServices = append(ph.OwnServices, s.Name)
		}
	}
	for _, class := range d.p.Remotes {
		for _, s := range d.p.Services {
			if !class.Own || !ph.LeavesOut(s.Name) {
				continue
			}
			leased := policy.PhaseRule{
				Name: fmt.Sprintf("own-%s-%s-leased", s.Name, class.Name), Service: s.Name, Remote: class.Name, Subscriber: policy.Leased, Groups: d.someGroups(),
			}
			if len(d.p.LeasesOf(leased)) > 0 {
				add(leased)
			}
			groups := policy.Names(d.p.LineGroups)
			turn := d.src.IntN(len(groups))
			r := policy.PhaseRule{Service: s.Name, Remote: class.Name}
			if s.Name == "smtp" {
				r.Legs = slices.Clone(pick(d.src, [][]policy.Leg{nil, {policy.UpDst}, {policy.UpDst, policy.DownSrc, policy.DownDst, policy.UpSrc}}))
			}
			if turn > 0 {
				r.Name, r.Groups = fmt.Sprintf("own-%s-%s-turn", s.Name, class.Name), groups[:turn]
				add(r)
			}
			r.Name, r.Groups = fmt.Sprintf("own-%s-%s", s.Name, class.Name), nil
			if d.src.IntN(2) == 1 {
				r.Groups = groups[turn:] // the unnamed line then keeps the standing permit
			}
			add(r)
		}
	}
}

// rule draws a narrow rule without its action. The rule's name contains its service and its remote class, because rules with the same
// name in different phases must have the same service and class.
func (d *documents) rule() policy.PhaseRule {
	r := policy.PhaseRule{Service: "smtp"}
	if d.src.IntN(4) == 3 {
		r.Service = pick(d.src, d.p.Services).Name
	}
	remote := policy.AnyRemote
	if d.src.IntN(3) > 0 {
		if class := pick(d.src, d.p.Remotes); !class.Own { // ownServices draws the rules for own servers
			remote = class.Name
			r.Remote = remote
		}
	}
	if d.src.IntN(2) == 1 {
		for _, g := range d.p.LineGroups {
			if d.src.IntN(2) == 0 {
				r.Groups = append(r.Groups, g.Name)
			}
		}
	}
	if r.Service == "smtp" {
		r.Legs = slices.Clone(pick(d.src, [][]policy.Leg{
			nil,
			{policy.UpDst},
			{policy.DownSrc},
			{policy.DownDst},
			{policy.UpSrc},
			{policy.DownDst, policy.UpSrc},
			{policy.UpSrc, policy.UpDst},
			{policy.UpDst, policy.DownSrc, policy.DownDst, policy.UpSrc},
		}))
	}
	r.Name = fmt.Sprintf("%s-%s-%d", r.Service, remote, d.src.IntN(3))
	return r
}

// action draws the action of a rule. It returns Limit only if all of the rule's groups have a rate.
func (d *documents) action(r policy.PhaseRule) policy.Action {
	if r.Leased() {
		return policy.Permit
	}
	if r.Service == "alternate" {
		return pick(d.src, []policy.Action{policy.Permit, policy.Monitor})
	}
	a := pick(d.src, []policy.Action{policy.Drop, policy.Reject, policy.Monitor, policy.Permit, policy.Limit, policy.Reject})
	for _, g := range d.p.LineGroups {
		if of := r.Groups == nil || slices.Contains(r.Groups, g.Name); a == policy.Limit && of && g.Limit == (policy.Rate{}) {
			return policy.Drop
		}
	}
	return a
}

// dropRule removes the narrow rule that Validate rejects, or else the last narrow rule. It reports whether it removed a rule.
func (d *documents) dropRule(err error) bool {
	var faults strict.Faults
	errors.As(err, &faults)
	for _, f := range faults {
		var phase, rule int
		if n, _ := fmt.Sscanf(f.Path, "phases[%d].rules[%d]", &phase, &rule); n == 2 && rule >= d.own[phase] && rule < d.own[phase]+d.narrow[phase] {
			d.drop(phase, rule)
			return true
		}
	}
	for i := len(d.narrow) - 1; i >= 0; i-- {
		if n := d.narrow[i]; n > 0 {
			d.drop(i, d.own[i]+n-1)
			return true
		}
	}
	return false
}

func (d *documents) drop(phase, rule int) {
	d.p.Phases[phase].Rules = slices.Delete(d.p.Phases[phase].Rules, rule, rule+1)
	d.narrow[phase]--
}
