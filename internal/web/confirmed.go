package web

import (
	"slices"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// A standing is what the programme knows about where each phase is in force.
type standing struct {
	base
	phases *op25bv1.ListPhasesResponse
	fleet  *op25bv1.ListSwitchesResponse
	last   int                              // the index of the last phase that should be in force for some line; -1 if there is none
	status map[string]*op25bv1.SwitchStatus // by switch
	on     map[string]int                   // the number of phases that should be in force on a switch
}

func (b base) standing(phases *op25bv1.ListPhasesResponse, fleet *op25bv1.ListSwitchesResponse) standing {
	s := standing{base: b, phases: phases, fleet: fleet, last: -1, status: make(map[string]*op25bv1.SwitchStatus), on: make(map[string]int)}
	for _, st := range fleet.GetSwitches() {
		s.status[st.Switch] = st
	}
	for i, p := range phases.Phases {
		if current(p) {
			s.last = i
		}
		for _, f := range p.InForce {
			s.on[f.Switch]++
		}
	}
	return s
}

// current reports whether a phase should be in force for some line.
func current(p *op25bv1.Phase) bool { return p.Everywhere || len(p.InForce) > 0 }

// state names the state of the phase with an index. A phase is only said to be in force if all its switches confirm it.
func (s standing) state(i int) string {
	p := s.phases.Phases[i]
	if current(p) {
		switch open := len(s.open(p)); {
		case open == 0:
			return s.T("phase in force")
		case open < len(p.InForce):
			return s.T("phase in part")
		}
		return s.T("phase unconfirmed")
	}
	switch {
	case i < s.last:
		return s.T("phase past")
	case p.Begins != nil && !p.Begins.AsTime().After(s.Now):
		return s.T("not in force")
	}
	return s.T("phase ahead")
}

// where describes the lines for which a phase should be in force, and which switches confirm it.
func (s standing) where(p *op25bv1.Phase) string {
	if !current(p) {
		return s.T("no line")
	}
	open := s.open(p)
	all, good := len(p.InForce), len(p.InForce)-len(open)
	text := s.T("everywhere")
	if !p.Everywhere {
		text = s.scope(p)
	}
	confirmed := s.T("confirmed switches", prose.Number(good), prose.Number(all))
	if all == 1 {
		confirmed = s.T("confirmed switch", prose.Number(good))
	}
	if lines, seen, ok := s.lines(p); ok && p.Everywhere {
		of := s.T("confirmed lines", prose.Number(seen), prose.Number(lines))
		if lines == 1 {
			of = s.T("confirmed line", seen)
		}
		confirmed = of + s.T("comma") + confirmed
	}
	text += s.T("semicolon") + confirmed
	if len(open) == 0 {
		return text
	}
	var names []string
	for _, name := range open {
		names = append(names, s.lastKnown(name))
	}
	return text + s.T("semicolon") + s.T("unconfirmed on", s.names(names))
}

// scope lists the switches and line groups of a phase that is in force for a part of the lines.
func (s standing) scope(p *op25bv1.Phase) string {
	var where []string
	for _, f := range p.InForce {
		groups := slices.Clone(f.Groups)
		if f.ByDefault && len(groups) > 0 {
			groups = append(groups, s.T("other lines"))
		}
		text := f.Switch
		if len(groups) > 0 && s.on[f.Switch] > 1 {
			text = s.T("in brackets", text, strings.Join(groups, s.T("comma")))
		}
		where = append(where, text)
	}
	return strings.Join(where, s.T("comma"))
}

// open returns the switches of a phase that do not confirm it.
func (s standing) open(p *op25bv1.Phase) (names []string) {
	for _, f := range p.InForce {
		if st := s.status[f.Switch]; !f.Confirmed || st != nil && st.LinesConfirmed < st.Lines {
			names = append(names, f.Switch)
		}
	}
	return names
}

// lines returns the number of lines on the switches of a phase, and the number of those that are confirmed. It reports false if the counts belong
// to another revision.
func (s standing) lines(p *op25bv1.Phase) (all, confirmed int, ok bool) {
	if s.fleet.Revision != s.phases.Revision {
		return 0, 0, false
	}
	for _, f := range p.InForce {
		st := s.status[f.Switch]
		if st == nil {
			return 0, 0, false
		}
		all += int(st.Lines)
		if f.Confirmed { // the two answers may differ by a moment; count what both confirm
			confirmed += int(st.LinesConfirmed)
		}
	}
	return all, confirmed, all > 0
}

// lastKnown names a switch and the time at which it last answered.
func (s standing) lastKnown(name string) string {
	if st := s.status[name]; st != nil && st.Seen != nil {
		return s.T("last known", name, s.At(st.Seen.AsTime()))
	}
	return s.T("never known", name)
}
