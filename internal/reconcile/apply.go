package reconcile

import (
	"context"
	"errors"
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// A Switch is what Apply needs of a session.
type Switch interface {
	// ReadEncoded gives fn everything that the requests match, each entity in its encoding, valid until fn returns.
	ReadEncoded(ctx context.Context, fn func(entity []byte) error, requests ...*p4v1.Entity) error
	// Write sends updates in order, in as many batches as it likes. Its error may be a *p4rt.WriteError, which accounts for every update.
	Write(ctx context.Context, updates []*p4v1.Update) error
}

// maxRounds is how often Apply reads the switch and plans anew: once for what it found, once for what it got wrong or another hand did
// meanwhile, and once more.
const maxRounds = 3

// Apply brings the switch to want and returns the first plan that it made, with what was in the switch before. The switch is read before
// and, if anything was written, after: an answer of success alone proves nothing (some targets keep what they refuse, some lose what they
// accept). What a read after the writes still finds wrong is planned and written again, a few times.
//
// Of a step that the switch took in part only the rest is sent again. No step is begun before the one before it is whole.
func Apply(ctx context.Context, sw Switch, want *pipeline.State, contract *pipeline.Contract, opts Options) (*Plan, *Memory, error) {
	t, err := aim(want, contract)
	if err != nil {
		return nil, nil, err
	}
	var first *Plan
	var failed error
	expected := want.KnownAlready()
	for range maxRounds {
		have, err := readExpecting(ctx, sw, expected, len(t.fixed)+len(t.rules))
		if err != nil {
			return first, nil, err
		}
		plan, now, err := t.planFrom(have, opts)
		if err != nil {
			return first, nil, err
		}
		if first == nil {
			first = plan
		}
		if len(plan.Steps) == 0 {
			want.Known() // for the next switch, which is likely to have it too
			return first, remember(now), nil
		}
		if opts.Planned != nil {
			opts.Planned(plan)
		}
		if failed = carryOut(ctx, sw, plan, opts.Progress); failed != nil && !worthAnotherRound(failed) {
			return first, nil, failed
		}
		expected = want.Known()
	}
	have, err := readExpecting(ctx, sw, expected, len(t.fixed)+len(t.rules))
	if err != nil {
		return first, nil, err
	}
	left, now, err := t.planFrom(have, opts)
	switch {
	case err != nil:
		return first, nil, err
	case len(left.Steps) == 0:
		return first, remember(now), nil
	case failed != nil:
		return first, nil, failed
	}
	return first, nil, fmt.Errorf("%w: %d entries to add, %d to change, %d to remove are left; first: %s",
		ErrNotConverged, len(left.Added), len(left.Changed), len(left.Removed), left.first())
}

// worthAnotherRound says whether the switch, read again, may turn out well: it answered, and not that it is full.
func worthAnotherRound(err error) bool {
	if errors.Is(err, ErrNoRoom) {
		return false
	}
	var w *p4rt.WriteError
	return errors.As(err, &w) && (w.Answered() || errors.Is(w, p4rt.ErrUnclear) && !errors.Is(w, p4rt.ErrUnreachable))
}

// carryOut writes the steps of a plan.
func carryOut(ctx context.Context, sw Switch, plan *Plan, progress func(Progress)) error {
	total, done := plan.Updates(), 0
	for _, s := range plan.Steps {
		if err := write(ctx, sw, s.Updates); err != nil {
			return fmt.Errorf("%s: %w", s.Why, err)
		}
		done += len(s.Updates)
		if progress != nil {
			progress(Progress{Step: s.Why, Done: done, Total: total})
		}
	}
	return nil
}

// Progress is how far a plan is.
type Progress struct {
	Step        string // that has just been done
	Done, Total int    // updates
}

// Read reads all that a State can hold, table by table.
func Read(ctx context.Context, sw Switch) ([]pipeline.Entry, error) {
	return readExpecting(ctx, sw, nil, 0)
}

// readExpecting is Read where entries that are known may be there, and about so many in all.
func readExpecting(ctx context.Context, sw Switch, known *pipeline.Known, size int) ([]pipeline.Entry, error) {
	have := make([]pipeline.Entry, 0, size)
	for _, request := range pipeline.Reads() {
		err := sw.ReadEncoded(ctx, func(entity []byte) error {
			e, err := known.Decode(entity)
			have = append(have, e)
			return err
		}, request)
		if err != nil {
			return nil, fmt.Errorf("read %v: %w", request, err)
		}
	}
	return have, nil
}

func (p *Plan) first() pipeline.Entry {
	switch {
	case len(p.Added) > 0:
		return p.Added[0]
	case len(p.Changed) > 0:
		return p.Changed[0].New
	case len(p.Removed) > 0:
		return p.Removed[0]
	}
	return pipeline.Entry{}
}
