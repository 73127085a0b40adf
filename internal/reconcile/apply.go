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
	// ReadEntries calls fn with every entry in the tables.
	ReadEntries(ctx context.Context, tables []pipeline.Table, fn func(pipeline.Entry) error) error
}

// A Switch is a switch that can be read and written. *p4rt.Session implements it.
type Switch interface {
	Reader
	// WriteEntries sends updates in order, in any number of batches. The error may be a *p4rt.WriteError, which reports the outcome of
	// every update.
	WriteEntries(ctx context.Context, updates []pipeline.Update) error
}

var (
	_ Reader = (*p4rt.Reader)(nil)
	_ Switch = (*p4rt.Session)(nil)
)

// maxRounds is the maximum number of times that Apply reads the switch, plans and writes. The first round makes the change. The second
// round handles failed updates and changes that another controller made meanwhile. The third is a reserve.
const maxRounds = 3

// Apply brings the switch to the state want and returns the first plan, which describes the initial difference. After the writes, Apply
// reads the switch again, because a successful response proves nothing: some targets keep entries that they refused, and lose entries that
// they accepted. If the switch still differs, Apply plans and writes again, up to maxRounds times.
//
// If a switch applies only part of a step, Apply sends only the rest of the step again. A step begins only after the step before it is
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
		if failed = carryOut(ctx, sw, plan, opts); failed != nil && !worthAnotherRound(failed) {
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
		ErrNotConverged, len(left.Added), len(left.Changed), len(left.Removed), opts.text(left.first()))
}

// worthAnotherRound reports whether another round may succeed after an error. This is the case if the switch responded and is not full.
func worthAnotherRound(err error) bool {
	if errors.Is(err, ErrNoRoom) {
		return false
	}
	var w *p4rt.WriteError
	return errors.As(err, &w) && (w.Answered() || errors.Is(w, p4rt.ErrUnclear) && !errors.Is(w, p4rt.ErrUnreachable))
}

// carryOut writes the steps of a plan in order and reports progress after each step.
func carryOut(ctx context.Context, sw Switch, plan *Plan, opts Options) error {
	total, done := plan.Updates(), 0
	for _, s := range plan.Steps {
		if err := write(ctx, sw, s.Updates, opts.text); err != nil {
			return fmt.Errorf("%s: %w", s.Why, err)
		}
		done += len(s.Updates)
		if opts.Progress != nil {
			opts.Progress(Progress{Step: s.Why, Done: done, Total: total})
		}
	}
	return nil
}

// Progress reports how much of a plan has been carried out.
type Progress struct {
	Step        string // the name of the step that was completed last
	Done, Total int    // the numbers of updates written and planned
}

// Read reads all entries that a State can define, table by table.
func Read(ctx context.Context, sw Reader) ([]pipeline.Entry, error) {
	return readTables(ctx, sw, pipeline.TablesByRank(), 0)
}

// read is like Read, and allocates room for as many entries as the target has.
func (t *target) read(ctx context.Context, sw Reader) ([]pipeline.Entry, error) {
	return readTables(ctx, sw, pipeline.TablesByRank(), len(t.fixed)+len(t.rules))
}

// readTables reads the entries of tables. about is the expected number of entries.
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
