package fleet

import (
	"cmp"
	"io"
	"slices"
	"sync"
	"time"

	"op25b/internal/exposition"
)

// An Exporter exports the statuses of the switches that this controller owns, as metrics with a label for the switch. Follow must be called with each
// status. It exports no series for other switches, so that all controllers together export each switch once. A switch has at most six series and two
// for each of its tables, which the program fixes.
type Exporter struct {
	// Now is the clock of the statuses; nil means time.Now.
	Now func() time.Time

	mu sync.Mutex // guards of
	of map[string]Status
}

// Follow takes the status of a switch.
func (x *Exporter) Follow(st Status) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if st.Ownership != Owned {
		delete(x.of, st.Switch)
		return
	}
	if x.of == nil {
		x.of = make(map[string]Status)
	}
	x.of[st.Switch] = st
}

// owned returns the statuses by the name of the switch.
func (x *Exporter) owned() []Status {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make([]Status, 0, len(x.of))
	for _, st := range x.of {
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Switch, b.Switch) })
	return all
}

var _ exposition.Writer = (*Exporter)(nil).WriteMetrics

// WriteMetrics writes the metrics.
func (x *Exporter) WriteMetrics(w io.Writer) error {
	page, all, now := exposition.NewPage(w), x.owned(), time.Now
	if x.Now != nil {
		now = x.Now
	}
	family := func(name, help string, labels []string, sample func(*Status)) {
		page.Begin(&exposition.Family{Name: name, Help: help, Gauge: true, Labels: append([]string{"switch"}, labels...)})
		for i := range all {
			page.Group(all[i].Switch)
			sample(&all[i])
			if page.Flush() != nil {
				return
			}
		}
	}
	flag := func(is bool) uint64 {
		if is {
			return 1
		}
		return 0
	}
	family("op25b_switch_state", "1 for the state of the switch and its reason.", []string{"state", "reason"}, func(st *Status) {
		page.Uint(1, st.State.String(), st.Reason.String())
	})
	family("op25b_switch_revision", "The revision to which the switch was last brought; 0 means none.", nil, func(st *Status) { page.Uint(st.Revision) })
	family("op25b_switch_wanted_revision", "The revision to which the switch should be brought.", nil, func(st *Status) { page.Uint(st.Wanted) })
	family("op25b_switch_held", "1 if an operator holds the switch for maintenance.", nil, func(st *Status) { page.Uint(flag(st.Hold != nil)) })
	family("op25b_switch_held_seconds", "For how long an operator has held the switch for maintenance; 0 if nobody does.", nil, func(st *Status) {
		held := 0.0
		if st.Hold != nil {
			held = max(held, now().Sub(st.Hold.Since).Seconds())
		}
		page.Float(held)
	})
	family("op25b_switch_read_age_seconds", "The time since the whole switch was last read and had what was wanted; absent if it never was.", nil, func(st *Status) {
		if !st.Audited.IsZero() {
			page.Float(max(0, now().Sub(st.Audited).Seconds()))
		}
	})
	family("op25b_switch_entries", "The entries of a table of the switch, when it was last read.", []string{"table"}, func(st *Status) {
		for _, f := range st.Tables {
			page.Uint(uint64(f.Entries), f.Table)
		}
	})
	family("op25b_switch_capacity", "The entries for which a table of the switch has room.", []string{"table"}, func(st *Status) {
		for _, f := range st.Tables {
			page.Uint(uint64(f.Size), f.Table)
		}
	})
	return page.End()
}
