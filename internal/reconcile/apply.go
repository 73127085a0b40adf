package reconcile

import (
	"context"
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/pipeline"
)

// A Switch is what Apply needs of a session.
type Switch interface {
	// Read returns everything that one request matches.
	Read(ctx context.Context, entities ...*p4v1.Entity) ([]*p4v1.Entity, error)
	// Write sends updates in order, in as many batches as it likes.
	Write(ctx context.Context, updates []*p4v1.Update) error
}

// Apply brings the switch to want and returns the plan that it carried out. The switch is read before and, if anything was written,
// after: an answer of success alone proves nothing (some targets keep what they refuse, some lose what they accept).
func Apply(ctx context.Context, sw Switch, want *pipeline.State, contract *pipeline.Contract) (*Plan, error) {
	have, err := Read(ctx, sw)
	if err != nil {
		return nil, err
	}
	plan, err := Make(have, want, contract)
	if err != nil {
		return nil, err
	}
	if len(plan.Steps) == 0 {
		return plan, nil
	}
	for _, s := range plan.Steps {
		if err := sw.Write(ctx, s.Updates); err != nil {
			return plan, fmt.Errorf("%s: %w", s.Why, err)
		}
	}
	if have, err = Read(ctx, sw); err != nil {
		return plan, fmt.Errorf("read back: %w", err)
	}
	left, err := Make(have, want, contract)
	if err != nil {
		return plan, fmt.Errorf("read back: %w", err)
	}
	if len(left.Steps) > 0 {
		return plan, fmt.Errorf("%w: %d entries to add, %d to change, %d to remove are left; first: %s",
			ErrNotConverged, len(left.Added), len(left.Changed), len(left.Removed), first(left))
	}
	return plan, nil
}

// Read reads all that a State can hold, table by table.
func Read(ctx context.Context, sw Switch) ([]pipeline.Entry, error) {
	var have []pipeline.Entry
	for _, request := range pipeline.Reads() {
		entities, err := sw.Read(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("read %v: %w", request, err)
		}
		for _, entity := range entities {
			e, err := pipeline.FromEntity(entity)
			if err != nil {
				return nil, fmt.Errorf("read %v: %w", request, err)
			}
			have = append(have, e)
		}
	}
	return have, nil
}

func first(p *Plan) pipeline.Entry {
	for _, list := range [][]pipeline.Entry{p.Added, p.Changed, p.Removed} {
		if len(list) > 0 {
			return list[0]
		}
	}
	return pipeline.Entry{}
}
