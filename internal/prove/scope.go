package prove

import (
	"net/netip"
	"reflect"
	"slices"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A scope is the part of a switch that a change touches.
type scope struct {
	whole bool // everything
	rules bool // the rules, services, classes or settings of line groups
	ports bool // stations of the network

	lines       map[string]bool
	remotes     map[netip.Prefix]bool
	subscribers map[netip.Prefix]bool
}

func (s *scope) empty() bool {
	return !s.whole && !s.rules && !s.ports && len(s.lines)+len(s.remotes)+len(s.subscribers) == 0
}

// maxTouched is the number of lines and prefixes up to which a change is proved in part. Beyond it, the whole switch is proved.
const maxTouched = 2_000

// scopeOf returns what a change touches, by the compiled states and by the documents. An entry that is missing in both states, although the new
// documents demand it, is thus found too.
func scopeOf(ch *Change) *scope {
	s := &scope{lines: map[string]bool{}, remotes: map[netip.Prefix]bool{}, subscribers: map[netip.Prefix]bool{}}
	if ch.Old == nil || ch.OldBundle == nil {
		s.whole = true
		return s
	}
	was, is := &ch.Old.State, &ch.New.State
	s.whole = !reflect.DeepEqual(was.Ports, is.Ports) || !slices.Equal(was.AllPorts, is.AllPorts) || len(was.Lines) == 0 != (len(is.Lines) == 0)
	s.ports = was.RejectFrom != is.RejectFrom
	old, now := ch.OldBundle.Policy, ch.Bundle.Policy
	s.rules = was.SynOnly != is.SynOnly || s.ports || ch.Old.InForce.String() != ch.New.InForce.String() ||
		differ(was.Verdicts, is.Verdicts) || differ(was.Services, is.Services) || differ(was.SourceChecks, is.SourceChecks)
	if old != now {
		s.rules = s.rules || !reflect.DeepEqual(old.Services, now.Services) || !reflect.DeepEqual(old.LineGroups, now.LineGroups) ||
			!reflect.DeepEqual(old.Phases, now.Phases) || !reflect.DeepEqual(old.Leases, now.Leases) || !reflect.DeepEqual(old.NAT64, now.NAT64)
	}
	s.diffRemotes(ch)
	s.diffSubscribers(ch)
	s.diffLines(ch)
	if len(s.lines)+len(s.remotes)+len(s.subscribers) > maxTouched {
		s.whole = true
	}
	return s
}

// differ reports whether two maps differ.
func differ[K, V comparable](a, b map[K]V) bool {
	if len(a) != len(b) {
		return true
	}
	if reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() {
		return false
	}
	for k, v := range a {
		if w, there := b[k]; !there || v != w {
			return true
		}
	}
	return false
}

// each calls f for each key whose value differs between two maps. It looks up the keys of the larger map, and those of the other one only if it has keys
// that the larger one lacks: a change of one entry among many is found in one pass.
func each[K, V comparable](a, b map[K]V, f func(K)) {
	if len(a) == len(b) && reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() {
		return
	}
	if len(a) < len(b) {
		a, b = b, a
	}
	common := 0
	for k, v := range a {
		w, there := b[k]
		if there {
			common++
		}
		if !there || v != w {
			f(k)
		}
	}
	if common == len(b) {
		return
	}
	for k := range b {
		if _, there := a[k]; !there {
			f(k)
		}
	}
}

func (s *scope) diffRemotes(ch *Change) {
	each(ch.Old.State.Remotes, ch.New.State.Remotes, func(p netip.Prefix) { s.remotes[p] = true })
	if ch.OldBundle.Policy == ch.Bundle.Policy {
		return
	}
	of := func(p *policy.Policy) map[netip.Prefix]string {
		all := map[netip.Prefix]string{}
		for _, r := range p.RemotesWithNAT64() {
			for _, prefix := range r.Prefixes {
				all[prefix] = r.Name
			}
			s.rules = s.rules || !slices.ContainsFunc(ch.OldBundle.Policy.Remotes, func(x policy.Remote) bool {
				return x.Name == r.Name && x.Relay == r.Relay && x.Own == r.Own
			})
		}
		return all
	}
	each(of(ch.OldBundle.Policy), of(ch.Bundle.Policy), func(p netip.Prefix) { s.remotes[p] = true })
}

func (s *scope) diffSubscribers(ch *Change) {
	each(ch.Old.State.Subscribers, ch.New.State.Subscribers, func(p netip.Prefix) { s.subscribers[p] = true })
	if ch.OldBundle.Policy == ch.Bundle.Policy {
		return
	}
	sw, _ := ch.Bundle.Inventory.Switch(ch.Switch)
	here := make(map[string]bool, len(sw.Lines))
	for i := range sw.Lines {
		here[sw.Lines[i].Name] = true
	}
	type holder struct {
		line   string
		prefix netip.Prefix
	}
	of := func(p *policy.Policy) map[holder]bool {
		all := make(map[holder]bool, len(p.Exemptions))
		for i := range p.Exemptions {
			if e := &p.Exemptions[i]; !p.Ended(e, ch.Now) {
				all[holder{e.Line, e.Prefix}] = true
			}
		}
		return all
	}
	each(of(ch.OldBundle.Policy), of(ch.Bundle.Policy), func(h holder) {
		switch {
		case h.line == "":
			s.subscribers[h.prefix] = true
		case here[h.line]:
			s.lines[h.line] = true
		}
	})
}

func (s *scope) diffLines(ch *Change) {
	was, is := &ch.Old.State, &ch.New.State
	byIndex := func(i pipeline.LineIndex) {
		for _, c := range []*compile.Compiled{ch.Old, ch.New} {
			if name, ok := c.Lines[i]; ok {
				s.lines[name] = true
			}
		}
	}
	each(was.Lines, is.Lines, func(k pipeline.LineKey) {
		byIndex(was.Lines[k].Index)
		byIndex(is.Lines[k].Index)
	})
	each(was.Sources, is.Sources, func(k pipeline.SourceKey) { byIndex(k.Line) })
	each(was.Limits, is.Limits, func(k pipeline.LimitKey) { byIndex(k.Line) })
	tags := map[pipeline.VLANKey]bool{}
	each(was.LinePorts, is.LinePorts, func(k pipeline.VLANKey) { tags[k] = true })
	stations := 0
	each(was.Bridge, is.Bridge, func(pipeline.MAC) { stations++ })
	s.ports = s.ports || stations > 0
	old, _ := ch.OldBundle.Inventory.Switch(ch.Switch)
	now, _ := ch.Bundle.Inventory.Switch(ch.Switch)
	if old == nil || old == now {
		return
	}
	before := make(map[string]*policy.Line, len(old.Lines))
	for i := range old.Lines {
		before[old.Lines[i].Name] = &old.Lines[i]
	}
	for i := range now.Lines {
		l := &now.Lines[i]
		x := before[l.Name]
		same := x != nil && x.Group == l.Group && x.Port == l.Port && x.VLAN == l.VLAN && x.InnerVLAN == l.InnerVLAN && x.PPPoE == l.PPPoE &&
			slices.Equal(x.MACs, l.MACs) && slices.Equal(x.Prefixes, l.Prefixes)
		if !same || tags[pipeline.VLANKey{OuterVID: l.VLAN, InnerVID: l.InnerVLAN}] {
			s.lines[l.Name] = true
		}
	}
}

// make makes the packets of the scope.
func (m *maker) make(s *scope, yield func(*shot) bool) {
	m.yield, m.stopped, m.bulk = yield, false, 0
	switch {
	case s.whole:
		m.everything()
		return
	case s.rules:
		m.rules()
		for _, l := range m.forms {
			m.ofLine(l)
		}
	}
	if s.ports {
		m.ofPorts()
	}
	m.sparing = false
	for _, p := range sorted(s.remotes) {
		m.ofRemote(p)
	}
	homes := m.homes()
	for _, p := range sorted(s.subscribers) {
		m.ofSubscriber(p, homes(p))
	}
	for _, l := range m.lines {
		if !s.lines[l.name] {
			continue
		}
		m.ofLine(l)
		for _, p := range l.prefixes {
			if l.exempt && !s.subscribers[p] {
				m.ofSubscriber(p, l)
			}
		}
	}
	m.inside(s)
}

// maxInside is the number of prefixes inside changed prefixes that are tried.
const maxInside = 64

// inside makes packets for the prefixes inside changed prefixes.
func (m *maker) inside(s *scope) {
	contained := func(p netip.Prefix, in map[netip.Prefix]bool) bool {
		for q := range in {
			if q.Bits() < p.Bits() && q.Contains(p.Addr()) {
				return true
			}
		}
		return false
	}
	wide := func(in map[netip.Prefix]bool) map[netip.Prefix]bool {
		all := map[netip.Prefix]bool{}
		for p := range in {
			if !p.IsSingleIP() {
				all[p] = true
			}
		}
		return all
	}
	n := 0
	if in := wide(s.remotes); len(in) > 0 {
		for p := range m.c.State.Remotes {
			if n < maxInside && contained(p, in) {
				n++
				m.ofRemote(p)
			}
		}
	}
	n = 0
	if in := wide(s.subscribers); len(in) > 0 {
		homes := m.homes()
		for p := range m.c.State.Subscribers {
			if n < maxInside && contained(p, in) {
				n++
				m.ofSubscriber(p, homes(p))
			}
		}
	}
}

// homes returns a function that returns the line of a subscriber's entry, or nil if it is for any line.
func (m *maker) homes() func(netip.Prefix) *lineAt {
	return func(p netip.Prefix) *lineAt {
		x, ok := m.c.State.Subscribers[p]
		if !ok || x.Line == 0 {
			return nil
		}
		return m.byName[m.c.Lines[x.Line]]
	}
}

// everything makes all packets. The rules come first, because a fault in them affects most subscribers.
func (m *maker) everything() {
	m.rules()
	m.ofPorts()
	of := make(map[netip.Prefix]bool)
	for _, r := range m.p.RemotesWithNAT64() {
		for _, p := range r.Prefixes {
			of[p] = true
			m.ofRemote(p)
		}
	}
	var more []netip.Prefix
	for p := range m.c.State.Remotes {
		if !of[p] {
			more = append(more, p)
		}
	}
	slices.SortFunc(more, netip.Prefix.Compare)
	for _, p := range more {
		m.ofRemote(p)
	}
	for _, l := range m.lines {
		m.ofLine(l)
	}
	m.sparing = len(m.c.State.Subscribers) > 1000
	more = more[:0]
	tried := make(map[netip.Prefix]bool)
	try := func(p netip.Prefix, l *lineAt) {
		tried[p] = true
		m.ofSubscriber(p, l)
	}
	for i := range m.p.Exemptions {
		e := &m.p.Exemptions[i]
		if m.p.Ended(e, m.now) || m.stopped {
			continue
		}
		if e.Line == "" {
			try(e.Prefix, nil)
		} else if l := m.byName[e.Line]; l != nil {
			for _, p := range l.prefixes {
				try(p, l)
			}
		}
	}
	for p := range m.c.State.Subscribers {
		if !tried[p] {
			more = append(more, p)
		}
	}
	slices.SortFunc(more, netip.Prefix.Compare)
	homes := m.homes()
	for _, p := range more {
		m.ofSubscriber(p, homes(p))
	}
}

func sorted(set map[netip.Prefix]bool) []netip.Prefix {
	all := make([]netip.Prefix, 0, len(set))
	for p := range set {
		all = append(all, p)
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return all
}
