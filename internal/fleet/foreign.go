package fleet

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"op25b/internal/bring"
)

// bases are what we may have written to a switch: entries that are of none of them, and are not wanted, are foreign.
type bases struct {
	prior Status    // of the owner before; its zero is none, or that it does not count any more
	is    *desired  // what the switch was last brought to
	since []desired // what it was then begun to be brought to, and was not

	waiting *view // by which no phase had begun, if that is so since; nil otherwise

	replaced bool // the store was replaced since the process began, and the switch was not read since
}

// maxTried bounds bases.since: the oldest attempts are forgotten first, and what they left counts as foreign.
const maxTried = 4

func (b *bases) reached(w desired) { *b = bases{is: &w} }

// tried notes that the switch is about to be written to. It returns the revisions that were begun and not reached.
func (b *bases) tried(w desired) (attempted []uint64) {
	if !slices.ContainsFunc(b.all(), w.sameButRules) {
		if len(b.since) == maxTried {
			b.since = b.since[1:]
		}
		b.since = append(b.since[:len(b.since):len(b.since)], w)
	}
	attempted = slices.Clone(b.prior.Attempted)
	for _, d := range b.since {
		attempted = append(attempted, d.Number)
	}
	return attempted[max(0, len(attempted)-maxTried):]
}

func (b *bases) all() []desired {
	if b.is != nil {
		return append([]desired{*b.is}, b.since...)
	}
	return b.since
}

// expected says whether the switch was left as it is wanted, so that what differs was another's doing.
func (b *bases) expected(w desired) bool {
	switch {
	case len(b.since) > 0:
		return false
	case b.is != nil:
		return b.is.same(w)
	default:
		return b.prior.Revision == w.Number && b.prior.Wanted == w.Number && b.prior.InForce == w.Phases.String() && w.SameExemptions(b.prior.Audited, w.At)
	}
}

// foreign is for a switch that is about to be brought to want.
func (b *bases) foreign(ctx context.Context, t *term, want desired) *bring.Foreign {
	applied := b.prior.applied()
	var since []bring.Desired
	for _, d := range b.all() {
		since = append(since, d.Desired)
	}
	return bring.NewForeign(want.Desired, func() ([]bring.Desired, error) {
		past, err := applied.Past(ctx, t.name, t.c.Book.At)
		return append(past, since...), err
	})
}

// attempts reports which revisions were begun and not reached. What the switch may hold must be known to whoever has it next.
func (t *term) attempts(revisions []uint64) {
	t.mu.Lock()
	before, reached := t.status.Attempted, t.status.Revision
	t.mu.Unlock()
	revisions = slices.DeleteFunc(revisions, func(n uint64) bool { return n == reached })
	if slices.Equal(before, revisions) {
		return
	}
	t.tell(func(st *Status) error {
		st.Attempted = revisions
		return nil
	})
}

// logForeign logs the foreign entries that were removed, and whether some may have been op25b's own.
func (t *term) logForeign(f *bring.Foreign) {
	if err := f.Err(); err != nil {
		t.log.Warn("an earlier revision that the switch had is not known: its entries count as foreign", zap.Error(err))
	}
	removed := f.Removed()
	if len(removed) == 0 {
		return
	}
	some := make([]string, 0, MaxDrift)
	for _, e := range removed {
		if len(some) < MaxDrift {
			some = append(some, e.String())
		}
	}
	t.log.Warn("foreign entries removed", zap.Int("entries", len(removed)), zap.Strings("some", some))
}

// applied is what the status says of the revisions that were written to the switch.
func (st *Status) applied() bring.Applied {
	return bring.Applied{Revision: st.Revision, Attempted: st.Attempted, Wanted: st.Wanted, Audited: st.Audited}
}
