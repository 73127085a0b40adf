package check

import (
	"fmt"
	"slices"
	"time"

	"op25b/internal/policy"
	"op25b/internal/strict"
)

// A span is a period in which the phase of a line's group and the phase of unnamed lines on the same switch do not change. The phase of
// unnamed lines matters, because a switch that cannot assign replies to a line treats them as replies to an unnamed line.
type span struct {
	since time.Time
	in    policy.InForce // the phases in force on the switch
}

// A history is the sequence of a line's past and future spans.
type history struct {
	group string // the line's group; empty for an unnamed line
	spans []span
	at    int  // the index of the question's span in spans, or -1 if the phase in the question is never in force for the line
	asked span // the question's span, with the phases in force on the switch at the time of the question
}

// spansOf returns the spans for lines of a group on a switch, in chronological order.
func spansOf(turns []policy.Turn, group string) []span {
	var all []span
	for _, turn := range turns {
		if n := len(all); n == 0 || all[n-1].in.Default != turn.In.Default || all[n-1].in.Phase(group) != turn.In.Phase(group) {
			all = append(all, span{turn.At, turn.In})
		}
	}
	return all
}

// turnsOf returns the turns of a switch. They depend on the present time only while an activation's time is in the future, because a
// controller's clock was fast.
func (c *Checker) turnsOf(sw string, now time.Time) []policy.Turn {
	if slices.ContainsFunc(c.activations, func(a policy.Activation) bool { return a.At.After(now) }) {
		return c.policy.Turns(c.activations, sw, now)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	turns, known := c.turns[sw]
	if !known {
		turns = c.policy.Turns(c.activations, sw, now)
		c.turns[sw] = turns
	}
	return turns
}

// history returns the history of a subscriber's line. The question's span is determined by the time or the phase in the question.
func (c *Checker) history(q *Question, s *subscriber, now time.Time) (*history, error) {
	h := &history{at: -1}
	if s.line != nil {
		h.group = s.line.Group
	}
	turns := c.turnsOf(s.sw.Name, now)
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

// phase returns the line's phase in span i.
func (h *history) phase(i int) string { return h.spans[i].in.Phase(h.group) }

// begins returns the time from which the phase of the question's span is in force for the line.
func (h *history) begins() time.Time {
	first := h.at
	for first > 0 && h.phase(first-1) == h.phase(h.at) {
		first--
	}
	return h.spans[first].since
}

// askNamed completes the history for a question that names a phase. If the phase is not in force yet, the question's span is the first span
// with that phase. If the phase is never in force for the line, it is treated as beginning at its own date.
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

// phaseOf returns the phase with the given name and start time, as it appears in answers.
func (c *Checker) phaseOf(name string, since time.Time) Phase {
	p := Phase{Named{Name: name}, since}
	if ph, ok := c.policy.Phase(name); ok {
		p.Title = ph.Title
	}
	return p
}
