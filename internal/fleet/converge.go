// Package fleet brings switches to the state that their policy compiles to, and keeps them there.
//
// It decides neither what that state is (policy) nor what to write in which order (reconcile); it owns the sessions and the workers.
package fleet

import (
	"context"
	"fmt"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
	"op25b/p4src"
)

// A Result is what Converge had to do.
type Result struct {
	Pushed bool            // the switch ran another program, or none
	Plan   *reconcile.Plan // what was written; empty if the switch was as it should be
}

// Converge brings the switch of a primary session to the desired state: the program first, if it runs another one, then the entries that
// differ. A switch that is in that state is read and not written (I5).
func Converge(ctx context.Context, s *p4rt.Session, want *pipeline.State) (Result, error) {
	info := p4src.P4Info()
	contract, err := pipeline.NewContract(info)
	if err != nil { // a program of somebody's own in p4src/build
		return Result{}, err
	}
	pushed, err := s.EnsurePipeline(ctx, info, p4src.DeviceConfig())
	if err != nil {
		return Result{}, fmt.Errorf("pipeline: %w", err)
	}
	plan, err := reconcile.Apply(ctx, s, want, contract)
	return Result{Pushed: pushed, Plan: plan}, err
}
