// Package bringtest brings switches to a desired state for tests.
package bringtest

import (
	"context"

	"op25b/internal/bring"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
)

// Converge brings the switch of a primary session to the desired state. The switch gets the program that is
// embedded in this build.
func Converge(ctx context.Context, s *p4rt.Session, want *pipeline.State) (bring.Result, error) {
	p, err := bring.Load()
	if err != nil {
		return bring.Result{}, err
	}
	pushed, err := p.Ensure(ctx, s)
	if err != nil {
		return bring.Result{}, err
	}
	r, _, err := p.Apply(ctx, s, want, reconcile.Options{})
	r.Pushed = pushed
	return r, err
}
