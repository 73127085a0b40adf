package api

import (
	"sync"
	"time"

	"op25b/internal/intent"
	"op25b/internal/policy"
	op25bv1 "op25b/proto/op25b/v1"
)

// lineCounts counts the lines of the inventory's switches, and the lines that are confirmed to be under the phase that should be in force for
// them. The lines are counted once for each version of the documents, and the wanted phases are computed once for each revision and date, so
// that a changed status costs no more than the comparison of two texts.
type lineCounts struct {
	mu     sync.Mutex                   // guards the fields below
	docs   *intent.Intent               // an intent with the documents of groups
	groups map[string]map[string]uint32 // the lines by switch and line group

	in          *intent.Intent
	from, until time.Time // the period for which wanted is valid; a zero until means that it does not end
	wanted      map[string]wantedPhases
}

// wantedPhases are the phases that should be in force on a switch, and the switch's lines. A switch for which no phase has begun has none.
type wantedPhases struct {
	policy.InForce
	text  string
	lines uint32
}

// add sets the counts of lines in statuses that have not been updated by byStore yet. It returns the date until which the counts are valid,
// which is zero if no date changes them.
func (c *lineCounts) add(in *intent.Intent, all []*op25bv1.SwitchStatus, now time.Time) (until time.Time) {
	if len(inventoryOf(in)) == 0 {
		return time.Time{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.prepareLocked(in, now)
	for _, st := range all {
		if w, should := c.wanted[st.Switch]; should {
			st.Lines, st.LinesConfirmed = w.lines, c.confirmedLocked(w, st)
		}
	}
	return c.until
}

func (c *lineCounts) prepareLocked(in *intent.Intent, now time.Time) {
	if c.docs == nil || !c.docs.SameDocuments(in) {
		c.docs, c.groups = in, make(map[string]map[string]uint32)
		for _, sw := range inventoryOf(in) {
			of := make(map[string]uint32)
			for i := range sw.Lines {
				of[sw.Lines[i].Group]++
			}
			c.groups[sw.Name] = of
		}
	}
	if c.in == in && !now.Before(c.from) && (c.until.IsZero() || now.Before(c.until)) {
		return
	}
	c.in, c.from, c.wanted = in, now, make(map[string]wantedPhases)
	c.until, _ = in.NextEvent(now)
	for _, sw := range inventoryOf(in) {
		if phases, err := in.InForce(sw.Name, now); err == nil {
			c.wanted[sw.Name] = wantedPhases{phases, phases.String(), uint32(len(sw.Lines))}
		}
	}
}

// confirmedLocked returns the number of a switch's lines that are confirmed to be under the wanted phases.
func (c *lineCounts) confirmedLocked(w wantedPhases, st *op25bv1.SwitchStatus) uint32 {
	switch {
	case !confirmed(c.in, st):
		return 0
	case !st.Converged && len(w.Groups) > 0:
		// The switch has the lines of older documents, so a line may be in another group there.
		return 0
	case st.InForce == w.text:
		return w.lines
	case !st.Converged:
		return 0
	}
	seen, err := policy.ParseInForce(st.InForce)
	if err != nil {
		return 0
	}
	n := uint32(0)
	for group, lines := range c.groups[st.Switch] {
		if seen.Phase(group) == w.Phase(group) {
			n += lines
		}
	}
	return n
}
