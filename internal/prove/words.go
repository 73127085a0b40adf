package prove

import (
	"net/netip"
	"slices"

	"op25b/internal/compile"
	"op25b/internal/meaning"
	"op25b/internal/policy"
	"op25b/internal/reference"
)

// words is the judge by what a plan says.
type words struct {
	c        *compile.Compiled
	outcomes *meaning.Outcomes
	groups   map[string]string // of each line
	exempt   map[netip.Prefix][]string
	lengths  [2][]int
	classes  map[netip.Prefix]string
	lengthsC [2][]int
}

func newWords(c *compile.Compiled, lines []*lineAt, exempt []compile.Exempt) *words {
	w := &words{
		c: c, outcomes: meaning.NewOutcomes(c), groups: make(map[string]string, len(lines)), exempt: make(map[netip.Prefix][]string, len(exempt)),
		classes: make(map[netip.Prefix]string),
	}
	for _, l := range lines {
		w.groups[l.name] = l.group
	}
	for i := range exempt {
		for _, p := range exempt[i].Prefixes {
			w.exempt[p] = append(w.exempt[p], exempt[i].Line)
			longer(&w.lengths, p)
		}
	}
	for _, r := range c.Remotes {
		for _, p := range r.Prefixes {
			w.classes[p] = r.Name
			longer(&w.lengthsC, p)
		}
	}
	return w
}

// longer adds the length of a prefix to the lengths in use, which are in descending order.
func longer(lengths *[2][]int, p netip.Prefix) {
	of := &lengths[family(p.Addr())]
	if i, known := slices.BinarySearchFunc(*of, p.Bits(), func(have, want int) int { return want - have }); !known {
		*of = slices.Insert(*of, i, p.Bits())
	}
}

// class returns the class of a server by the longest prefix that contains it.
func (w *words) class(a netip.Addr) string {
	for _, bits := range w.lengthsC[family(a)] {
		p, _ := a.Prefix(bits)
		if name, ok := w.classes[p]; ok {
			return name
		}
	}
	return ""
}

func (w *words) isExempt(a netip.Addr, line string, up bool) bool {
	for _, bits := range w.lengths[family(a)] {
		p, _ := a.Prefix(bits)
		for _, of := range w.exempt[p] {
			if of == "" || of == line || !up && line == "" {
				return true
			}
		}
	}
	return false
}

// A saying is what the words say of a packet.
type saying struct {
	class, rule string
	action      policy.Action
}

// say returns what the words say of a packet, and whether they say anything. They do not speak of forged sources, of tiny fragments and of frames
// that are not for the filter.
func (w *words) say(s *shot, d *reference.Decision) (saying, bool) {
	if !d.Asked || d.Rule == reference.SpoofedRule {
		return saying{}, false
	}
	group := w.groups[d.Line]
	switch {
	case d.Shape == reference.Undetermined && s.up:
		return saying{rule: policy.RuleUndetermined, action: w.outcomes.Undetermined(group)}, true
	case d.Shape == reference.LaterFragment && s.up:
		action := w.outcomes.LaterFragment(group)
		if action == policy.DefaultLaterFragments {
			return saying{}, true
		}
		return saying{rule: policy.RuleLaterFragment, action: action}, true
	case d.Shape != reference.TCP:
		return saying{}, false
	}
	remote, subscriber := s.from, s.to
	if s.up {
		remote, subscriber = s.to, s.from
	}
	leg := policy.Leg(d.Leg)
	port := remote.Port()
	switch {
	case leg == policy.UpSrc || leg == policy.DownDst:
		port = subscriber.Port()
	case leg == "" && s.up:
		leg = policy.UpDst
	case leg == "":
		leg = policy.DownSrc
	}
	outerFrom, outerTo := s.outer()
	address := outerTo
	if s.up {
		address = outerFrom
	}
	var said saying
	if d.Service != "" {
		said.class = w.class(remote.Addr())
	}
	holder := meaning.Holder{Exempt: w.isExempt(address, d.Line, s.up), Lease: s.lease}
	said.action, said.rule = w.outcomes.Segment(policy.TCPPort(port), leg, group, said.class, holder)
	drained := said.action == policy.Drop || said.action == policy.Reject
	if w.c.State.SynOnly && drained && said.rule != policy.RuleFailClosed && s.flags&flagSYN == 0 {
		said.action = policy.Monitor
	}
	return said, true
}
