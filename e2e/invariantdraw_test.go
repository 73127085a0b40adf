package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reference/generate"
	"op25b/internal/strict"
)

// An estate is one switch whose policy and inventory are revised repeatedly. The switch's ports and the port of each line do not change, as
// in a real network. All names, numbers, classes, rules and options may change with each revision.
type estate struct {
	r *rand.Rand
	// carried states whether names keep their numbers from one revision to the next. If not, numbers are positions, and their meaning changes
	// when a list is reordered. Lines always keep their numbers. docs/limitations.md explains the cases that estates omit.
	carried bool
	// overlaid states whether lines with PPPoE sessions are added and removed. If so, the line around them never has a source check.
	overlaid bool
	named    [8]string // the name of each slot's line; a line is renamed only while it exists, so that it keeps its index
	numbers  *compile.Numbers
	bundle   policy.Bundle
	in       policy.InForce
}

// firstNetworkPort is the lowest network port of an estate. All lower ports are access ports.
const firstNetworkPort = 11

func newEstate(r *rand.Rand) *estate {
	e := &estate{r: r, carried: r.IntN(2) == 0, overlaid: r.IntN(2) == 0}
	e.redraw()
	return e
}

func one[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// some returns a random, non-empty selection of a list's elements, in random order.
func some[T any](r *rand.Rand, of []T) []T {
	of = slices.Clone(of)
	r.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	return of[:1+r.IntN(len(of))]
}

// revise changes the documents, mostly one part and sometimes all of them.
func (e *estate) revise() {
	p, before, named := e.bundle.Policy, e.bundle, e.named
	next := *p
	e.bundle.Policy = &next
	switch e.r.IntN(10) {
	case 0, 1, 2:
		e.redraw()
	case 3:
		e.lines()
		e.exemptions()
	case 4:
		e.exemptions()
	case 5:
		next.Remotes = e.remotes(names(next.Remotes, func(r policy.Remote) string { return r.Name }))
	case 6:
		e.phases()
	case 7: // only the order changes
		next.LineGroups, next.Services, next.Remotes = shuffled(e.r, next.LineGroups), shuffled(e.r, next.Services), shuffled(e.r, next.Remotes)
	case 8:
		next.LineGroups = e.groups(names(next.LineGroups, func(g policy.LineGroup) string { return g.Name }))
		e.lines()
		e.exemptions()
	}
	if policy.Validate(context.Background(), e.bundle.Policy, e.bundle.Inventory) != nil { // the unchanged parts do not fit the changed ones
		e.bundle, e.named = before, named
		e.redraw()
	}
	e.putInForce()
}

func shuffled[T any](r *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func names[T any](list []T, name func(T) string) []string {
	var all []string
	for _, x := range list {
		all = append(all, name(x))
	}
	return all
}

// redraw draws new documents.
func (e *estate) redraw() {
	p := &policy.Policy{Name: "drawn"}
	e.bundle.Policy = p
	p.LineGroups = e.groups(some(e.r, []string{"adsl", "isdn", "ftth", "fixed"}))
	p.Services = e.services()
	p.Remotes = e.remotes(some(e.r, []string{"relays", "carriers", "providers", "abroad", "partners"}))
	e.lines()
	e.exemptions()
	e.phases()
	e.putInForce()
}

func (e *estate) groups(names []string) []policy.LineGroup {
	knob := func() policy.Knob { return one(e.r, []policy.Knob{"", "permit", "monitor", "drop"}) }
	var all []policy.LineGroup
	for _, name := range names {
		g := policy.LineGroup{
			Name: name, Undetermined: knob(), LaterFragments: knob(),
			SourceCheck: one(e.r, []policy.SourceCheck{"", policy.SourceMonitor, policy.SourceDrop, policy.SourceDrop}),
		}
		if e.r.IntN(3) > 0 {
			g.Limit = policy.Rate{PerSecond: policy.Connections(1 + e.r.IntN(3)), Burst: policy.Connections(1 + e.r.IntN(3))}
		}
		all = append(all, g)
	}
	return all
}

// services draws the services with their ports and names, in random order.
func (e *estate) services() []policy.Service {
	ports := func(p ...policy.TCPPort) []policy.TCPPort { return p }
	all := []policy.Service{{Name: one(e.r, []string{"smtp", "mail"}), Ports: ports(25)}}
	if e.r.IntN(3) == 0 {
		all = append(all, policy.Service{Name: "submission", Ports: ports(465, 587)})
	} else {
		all = append(all, policy.Service{Name: "submission", Ports: ports(587)}, policy.Service{Name: "submissions", Ports: ports(465)})
	}
	for _, s := range []policy.Service{{Name: "pop3", Ports: ports(110, 995)}, {Name: "alternate", Ports: ports(26, 2525)}, {Name: "web", Ports: ports(443)}} {
		if e.r.IntN(2) == 0 {
			all = append(all, s)
		}
	}
	return shuffled(e.r, all)
}

// remotes draws the remote classes and their prefixes. The first class that has a prefix is a relay.
func (e *estate) remotes(names []string) []policy.Remote {
	of := map[string][]netip.Prefix{}
	for len(of) == 0 {
		for _, p := range remotePrefixes {
			if e.r.IntN(3) > 0 {
				name := one(e.r, names)
				of[name] = append(of[name], p)
			}
		}
	}
	var all []policy.Remote
	for _, name := range names {
		if len(of[name]) > 0 {
			all = append(all, policy.Remote{Name: name, Prefixes: of[name], Relay: len(all) == 0 || e.r.IntN(6) == 0})
		}
	}
	for i := range all {
		for j := range all {
			if i != j {
				all[i].Within = append(all[i].Within, all[j].Name)
			}
		}
	}
	return shuffled(e.r, all)
}

// lines draws the lines, their groups and their addresses.
func (e *estate) lines() {
	sw := policy.Switch{
		Name: generate.SwitchName, DeviceID: 1, P4Runtime: "h:1", GNMI: "h:2",
		Ports: []policy.Port{
			{Number: 1, Name: "access-1"},
			{Number: 2, Name: "access-2"},
			{Number: 3, Name: "access-3"},
			{Number: 11, Name: "core-1", Role: pipeline.Network, MACs: []pipeline.MAC{serverMAC}},
			{Number: 12, Name: "core-2", Role: pipeline.Network},
		},
		RejectFrom: one(e.r, [][]netip.Addr{nil, {netip.MustParseAddr("198.51.101.1"), netip.MustParseAddr("2001:db8:ff::1")}}),
	}
	p := e.bundle.Policy
	var unchecked []policy.LineGroup
	for _, g := range p.LineGroups {
		if g.SourceCheck == "" {
			unchecked = append(unchecked, g)
		}
	}
	there := map[string]bool{}
	if e.bundle.Inventory != nil {
		for _, l := range e.bundle.Inventory.Switches[0].Lines {
			there[l.Name] = true
		}
	}
	for _, s := range slots {
		groups := p.LineGroups
		switch {
		case s.under && e.overlaid:
			groups = unchecked
		case s.under, s.session != 0 && !e.overlaid, s.always:
		case e.r.IntN(4) == 0:
			continue
		}
		if len(groups) == 0 {
			continue
		}
		if name := &e.named[s.number]; *name == "" || there[*name] && e.r.IntN(4) == 0 {
			*name = fmt.Sprintf("line-%d-%d", s.number, e.r.IntN(1000))
		}
		l := policy.Line{
			Name: e.named[s.number], Group: one(e.r, groups).Name, Port: fmt.Sprintf("access-%d", s.port),
			VLAN: s.outer, InnerVLAN: s.inner, PPPoE: s.session, MACs: s.macs, Prefixes: some(e.r, s.prefixes),
		}
		sw.Lines = append(sw.Lines, l)
	}
	sw.Lines = shuffled(e.r, sw.Lines)
	e.bundle.Inventory = &policy.Inventory{Switches: []policy.Switch{sw}}
}

// exemptions draws exemptions of lines and prefixes. Some of them have expired.
func (e *estate) exemptions() {
	p := e.bundle.Policy
	p.Exemptions = nil
	add := func(x policy.Exemption) {
		x.Owner, x.Reason, x.Expires = "noc", "server", policy.Date{Year: 2006, Month: 10, Day: one(e.r, []int{31, 31, 15, 14})}
		p.Exemptions = append(p.Exemptions, x)
	}
	for _, l := range e.bundle.Inventory.Switches[0].Lines {
		if e.r.IntN(3) == 0 {
			add(policy.Exemption{Line: l.Name})
		}
	}
	for _, x := range exemptPrefixes {
		if e.r.IntN(4) == 0 {
			add(policy.Exemption{Prefix: x})
		}
	}
}

// phases draws phases. Each phase has narrow rules, followed by rules for the rest of port 25. Narrow rules that Validate rejects as useless
// are removed.
func (e *estate) phases() {
	p := e.bundle.Policy
	smtp := p.Services[slices.IndexFunc(p.Services, func(s policy.Service) bool { return s.Ports[0] == 25 })].Name
	p.Phases = nil
	for i := range 1 + e.r.IntN(3) {
		ph := policy.Phase{Name: fmt.Sprintf("phase-%d", i+1), Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: time.Month(i + 1), Day: 1}}, SynOnly: e.r.IntN(3) == 0}
		narrow := e.r.IntN(6)
		for range narrow {
			ph.Rules = append(ph.Rules, e.rule(smtp))
		}
		// These two rules are always useful, so that a phase without narrow rules is valid.
		ph.Rules = append(ph.Rules,
			policy.PhaseRule{Name: "rest-up", Service: smtp, Legs: one(e.r, [][]policy.Leg{{policy.UpDst}, {policy.UpDst, policy.UpSrc}})},
			policy.PhaseRule{Name: "rest-down", Service: smtp, Legs: one(e.r, [][]policy.Leg{{policy.DownSrc}, {policy.DownSrc, policy.DownDst}})})
		for j := range ph.Rules {
			ph.Rules[j].Action = e.action(ph.Rules[j])
		}
		p.Phases = append(p.Phases, ph)
	}
	for err := policy.Validate(context.Background(), p, e.bundle.Inventory); err != nil; err = policy.Validate(context.Background(), p, e.bundle.Inventory) {
		if !leaveOut(p, err) {
			return // revise handles the error
		}
	}
}

func (e *estate) rule(smtp string) policy.PhaseRule {
	p := e.bundle.Policy
	r := policy.PhaseRule{Service: smtp, Remote: policy.AnyRemote}
	if e.r.IntN(4) == 0 {
		r.Service = one(e.r, p.Services).Name
	}
	if e.r.IntN(3) > 0 {
		r.Remote = one(e.r, p.Remotes).Name
	}
	if e.r.IntN(2) == 0 {
		r.Groups = some(e.r, names(p.LineGroups, func(g policy.LineGroup) string { return g.Name }))
	}
	if r.Service == smtp {
		r.Legs = one(e.r, [][]policy.Leg{nil, {policy.UpDst}, {policy.DownSrc}, {policy.DownDst}, {policy.UpSrc}, {policy.UpDst, policy.DownSrc, policy.DownDst, policy.UpSrc}})
	}
	r.Name = fmt.Sprintf("%s-%s-%d", r.Service, r.Remote, e.r.IntN(3))
	return r
}

// action draws the action of a rule. It returns Limit only if all of the rule's groups have a rate.
func (e *estate) action(r policy.PhaseRule) policy.Action {
	a := one(e.r, []policy.Action{policy.Drop, policy.Drop, policy.Permit, policy.Permit, policy.Monitor, policy.Reject, policy.Limit})
	for _, g := range e.bundle.Policy.LineGroups {
		if of := r.Groups == nil || slices.Contains(r.Groups, g.Name); a == policy.Limit && of && g.Limit == (policy.Rate{}) {
			return policy.Drop
		}
	}
	return a
}

// leaveOut removes a narrow rule, preferably one that err names. It reports whether there was a narrow rule to remove.
func leaveOut(p *policy.Policy, err error) bool {
	var faults strict.Faults
	errors.As(err, &faults)
	for _, f := range faults {
		var phase, rule int
		if n, _ := fmt.Sscanf(f.Path, "phases[%d].rules[%d]", &phase, &rule); n == 2 && rule < len(p.Phases[phase].Rules)-2 {
			p.Phases[phase].Rules = slices.Delete(p.Phases[phase].Rules, rule, rule+1)
			return true
		}
	}
	for i := range p.Phases {
		if n := len(p.Phases[i].Rules) - 3; n >= 0 {
			p.Phases[i].Rules = slices.Delete(p.Phases[i].Rules, n, n+1)
			return true
		}
	}
	return false
}

// putInForce draws the phases in force, which may differ between line groups.
func (e *estate) putInForce() {
	phases := names(e.bundle.Policy.Phases, func(ph policy.Phase) string { return ph.Name })
	e.in = policy.Everywhere(one(e.r, phases))
	if e.r.IntN(2) == 0 {
		e.in.Groups = map[string]string{}
		for _, g := range e.bundle.Policy.LineGroups {
			if e.r.IntN(2) == 0 {
				e.in.Groups[g.Name] = one(e.r, phases)
			}
		}
	}
}

// compile returns the desired state of the switch.
func (e *estate) compile() (*pipeline.State, error) {
	carried, err := compile.Number(e.numbers, &e.bundle)
	if err != nil {
		return nil, err
	}
	e.numbers = carried
	if !e.carried {
		anew, err := compile.Number(nil, &e.bundle)
		if err != nil {
			return nil, err
		}
		anew.Lines = carried.Lines
		carried = anew
	}
	c, err := compiletest.Compile(&e.bundle, carried, generate.SwitchName, e.in, generate.Now())
	if err != nil {
		return nil, err
	}
	return &c.State, nil
}
