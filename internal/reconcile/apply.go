package reconcile

import (
	"context"
	"errors"
	"fmt"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// A Reader reads one switch. *p4rt.Reader implements it.
type Reader interface {
	// ReadEntries calls fn with every entry that the tables hold.
	ReadEntries(ctx context.Context, tables []pipeline.Table, fn func(pipeline.Entry) error) error
}

// A Switch can be read and written. *p4rt.Session implements it.
type Switch interface {
	Reader
	// WriteEntries sends updates in order, in any number of batches. Its error may be a *p4rt.WriteError, which accounts for every
	// update.
	WriteEntries(ctx context.Context, updates []pipeline.Update) error
}

var (
	_ Reader = (*p4rt.Reader)(nil)
	_ Switch = (*p4rt.Session)(nil)
)

// maxRounds is the maximum number of times that Apply reads the switch and plans. The first round makes the change. A second round handles
// failed updates and changes that another controller made meanwhile, and a third is in reserve.
const maxRounds = 3

// Apply brings the switch to want. It returns the first plan, which describes the difference that it found. Apply reads the switch before
// it writes and, if it wrote anything, afterwards: an answer of success proves nothing, because some targets keep entries that they
// refuse and lose entries that they accept. If the switch still differs after the writes, Apply plans and writes again, up to maxRounds
// times.
//
// If the switch applies only part of a step, only the rest of the step is sent again. A step begins only when the step before it is
// complete.
func Apply(ctx context.Context, sw Switch, want *pipeline.State, contract *pipeline.Contract, opts Options) (*Plan, *Memory, error) {
	t, err := aim(want, contract)
	if err != nil {
		return nil, nil, err
	}
	var first *Plan
	var failed error
	for range maxRounds {
		have, err := t.read(ctx, sw)
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
			return first, remember(now), nil
		}
		if opts.Planned != nil {
			opts.Planned(plan)
		}
		if failed = carryOut(ctx, sw, plan, opts.Progress); failed != nil && !worthAnotherRound(failed) {
			return first, nil, failed
		}
	}
	have, err := t.read(ctx, sw)
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

// worthAnotherRound reports whether another round may succeed: the switch answered, and is not full.
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

// Progress is the progress in carrying out a plan.
type Progress struct {
	Step        string // name of the step that was completed last
	Done, Total int    // numbers of updates
}

// Read reads everything that a State can hold, table by table.
func Read(ctx context.Context, sw Reader) ([]pipeline.Entry, error) {
	return readTables(ctx, sw, pipeline.TablesByRank(), 0)
}

// read is Read for a switch that probably holds about as many entries as the target.
func (t *target) read(ctx context.Context, sw Reader) ([]pipeline.Entry, error) {
	return readTables(ctx, sw, pipeline.TablesByRank(), len(t.fixed)+len(t.rules))
}

// readTables reads tables. about is the expected number of entries.
func readTables(ctx context.Context, sw Reader, tables []pipeline.Table, about int) ([]pipeline.Entry, error) {
	have := make([]pipeline.Entry, 0, about)
	err := sw.ReadEntries(ctx, tables, func(e pipeline.Entry) error {
		have = append(have, e)
		return nil
	})
	if err != nil {
		return nil, err
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
