package fleet

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"op25b/internal/bring"
	"op25b/internal/pipeline"
)

// origins lists the states that op25b may have written to a switch. An entry is foreign if it is in none of these states and is not wanted.
type origins struct {
	prior Status    // status that the previous owner stored; zero if there was no previous owner, or after the switch was brought to a state
	last  *desired  // state to which the switch was last brought
	begun []desired // states that were begun since then but not reached

	waiting *view // view in which no phase had begun, if the switch has been waiting for a phase since; otherwise nil

	replaced bool // whether the store was replaced since the process began and the switch was not read since
}

// maxTried is the maximum length of origins.begun. If the list is full, the oldest attempt is dropped, and its entries then count as
// foreign.
const maxTried = 4

func (o *origins) reached(want desired) { *o = origins{last: &want} }

// tried records that the switch is about to be brought to want. It returns the revisions that were begun but not reached.
func (o *origins) tried(want desired) (attempted []uint64) {
	if !slices.ContainsFunc(o.all(), want.sameButRules) {
		if len(o.begun) == maxTried {
			o.begun = o.begun[1:]
		}
		o.begun = append(o.begun[:len(o.begun):len(o.begun)], want)
	}
	attempted = slices.Clone(o.prior.Attempted)
	for _, d := range o.begun {
		attempted = append(attempted, d.Number)
	}
	return attempted[max(0, len(attempted)-maxTried):]
}

func (o *origins) all() []desired {
	if o.last != nil {
		return append([]desired{*o.last}, o.begun...)
	}
	return o.begun
}

// expected reports whether the switch was left in the wanted state. If so, other clients caused all differences that are found.
func (o *origins) expected(want desired) bool {
	switch {
	case len(o.begun) > 0:
		return false
	case o.last != nil:
		return o.last.same(want)
	default:
		return o.prior.Revision == want.Number && o.prior.Wanted == want.Number && o.prior.InForce == want.Phases.String() && want.SameExemptions(o.prior.Audited, want.At)
	}
}

// foreign returns the *bring.Foreign that classifies entries of a switch which is about to be brought to want.
func (o *origins) foreign(ctx context.Context, w *worker, want desired) *bring.Foreign {
	applied := o.prior.applied()
	var since []bring.Desired
	for _, d := range o.all() {
		since = append(since, d.Desired)
	}
	return bring.NewForeign(want.Desired, func() ([]bring.Desired, error) {
		past, err := applied.Past(ctx, w.name, w.c.Book.At)
		return append(past, since...), err
	})
}

// attempts reports the revisions that were begun but not reached. The next owner and plans need them.
func (w *worker) attempts(revisions []uint64) {
	w.mu.Lock()
	before, reached := w.status.Attempted, w.status.Revision
	w.mu.Unlock()
	revisions = slices.DeleteFunc(revisions, func(n uint64) bool { return n == reached })
	if slices.Equal(before, revisions) {
		return
	}
	w.report(func(st *Status) error {
		st.Attempted = revisions
		return nil
	})
}

// logForeign logs the foreign entries that were removed. It also logs whether some of them may have been written by op25b.
func (w *worker) logForeign(f *bring.Foreign, text func(pipeline.Entry) string) {
	if err := f.Err(); err != nil {
		w.log.Warn("an earlier revision on the switch is unknown: its entries count as foreign", zap.Error(err))
	}
	removed := f.Removed()
	if len(removed) == 0 {
		return
	}
	some := make([]string, 0, MaxDrift)
	for _, e := range removed {
		if len(some) < MaxDrift {
			some = append(some, text(e))
		}
	}
	w.log.Warn("foreign entries removed", zap.Int("entries", len(removed)), zap.Strings("some", some))
}

// applied returns the revisions that were written to the switch according to its status.
func (st *Status) applied() bring.Applied {
	return bring.Applied{Revision: st.Revision, Attempted: st.Attempted, Wanted: st.Wanted, Audited: st.Audited}
}
