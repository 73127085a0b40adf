package check

import (
	"fmt"
	"slices"
	"time"

	"op25b/internal/policy"
	"op25b/internal/strict"
)

// A span is a time between two moments at which what decides about a line changes: the phase of its group on its switch, or the one of
// unnamed lines there. A switch that does not know the way back to a line takes it for one of these.
type span struct {
	since time.Time
	in    policy.InForce // on the switch
}

// A history is what is in force for a line, one span after the other, also those to come.
type history struct {
	group string // of the line; "" if it is unnamed
	spans []span
	at    int  // the one that a question is about; -1 for a phase that is never in force for the line
	asked span // it, with what is in force on the switch at the moment of the question
}

// spansOf are those of the lines of a group on a switch, in order.
func spansOf(turns []policy.Turn, group string) []span {
	var all []span
	for _, turn := range turns {
		if n := len(all); n == 0 || all[n-1].in.Default != turn.In.Default || all[n-1].in.Phase(group) != turn.In.Phase(group) {
			all = append(all, span{turn.At, turn.In})
		}
	}
	return all
}

// history finds what a question is about: what is in force at its moment, or the phase that it names. now is the moment of the question.
func (c *Checker) history(q *Question, s *subscriber, now time.Time) (*history, error) {
	h := &history{at: -1}
	if s.line != nil {
		h.group = s.line.Group
	}
	turns := c.policy.Turns(c.activations, s.sw.Name, now)
	h.spans = spansOf(turns, h.group)
	for i := range h.spans {
		if (q.Phase == "" || q.Phase == h.phase(i)) && !h.spans[i].since.After(q.At) {
			h.at = i
		}
	}
	if q.Phase != "" {
		return h, c.askNamed(h, q.Phase)
	}
	begun := len(turns)
	for begun > 0 && turns[begun-1].At.After(q.At) {
		begun--
	}
	if begun == 0 {
		first := "the policy has no phases"
		if len(h.spans) > 0 {
			first = fmt.Sprintf("the first, %q, begins at %s", h.phase(0), h.spans[0].since.Format(time.RFC3339))
		}
		return nil, fmt.Errorf("%w at %s on switch %q: %s", ErrNoPhase, q.At.Format(time.RFC3339), s.sw.Name, first)
	}
	h.asked = span{h.begins(), turns[begun-1].In}
	return h, nil
}

// phase is the line's in a span.
func (h *history) phase(i int) string { return h.spans[i].in.Phase(h.group) }

// begins is since when the phase in question has been in force for the line.
func (h *history) begins() time.Time {
	first := h.at
	for first > 0 && h.phase(first-1) == h.phase(h.at) {
		first--
	}
	return h.spans[first].since
}

// askNamed puts a phase that a question names into a history. One that is not in force yet is the next time that it is, and one that never
// is has its date.
func (c *Checker) askNamed(h *history, name string) error {
	ph, ok := c.policy.Phase(name)
	if !ok {
		names := make([]string, len(c.policy.Phases))
		for i := range c.policy.Phases {
			names[i] = c.policy.Phases[i].Name
		}
		return fmt.Errorf("%w %q; %s", policy.ErrUnknownPhase, name, strict.Nearest(name, names, "phases"))
	}
	if h.at < 0 {
		h.at = slices.IndexFunc(h.spans, func(x span) bool { return x.in.Phase(h.group) == name })
	}
	h.asked = span{c.policy.Begins(ph), policy.Everywhere(name)}
	if h.at >= 0 {
		h.asked.since = h.begins()
	}
	return nil
}

// phaseOf is a phase as answers have it.
func (c *Checker) phaseOf(name string, since time.Time) Phase {
	p := Phase{Named{Name: name}, since}
	if ph, ok := c.policy.Phase(name); ok {
		p.Title = ph.Title
	}
	return p
}
