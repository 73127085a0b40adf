package fleet

import (
	"context"
	"fmt"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"

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
	p, err := loadProgram()
	if err != nil {
		return Result{}, err
	}
	r, _, err := p.converge(ctx, s, want, reconcile.Options{})
	return r, err
}

// A program is what every switch runs.
type program struct {
	info     *configv1.P4Info
	device   []byte
	cookie   uint64
	contract *pipeline.Contract
}

func loadProgram() (*program, error) {
	p := &program{info: p4src.P4Info(), device: p4src.DeviceConfig()}
	p.cookie = p4rt.Cookie(p.info, p.device)
	var err error
	if p.contract, err = pipeline.NewContract(p.info); err != nil { // a program of somebody's own in p4src/build
		return nil, err
	}
	return p, nil
}

func (p *program) converge(ctx context.Context, s *p4rt.Session, want *pipeline.State, opts reconcile.Options) (Result, *reconcile.Memory, error) {
	pushed, err := p.ensure(ctx, s)
	if err != nil {
		return Result{}, nil, fmt.Errorf("pipeline: %w", err)
	}
	plan, memory, err := reconcile.Apply(ctx, s, want, p.contract, opts)
	return Result{Pushed: pushed, Plan: plan}, memory, err
}

// ensure pushes the program unless the switch has it. EnsurePipeline does the same, and hashes the program each time.
func (p *program) ensure(ctx context.Context, s *p4rt.Session) (pushed bool, err error) {
	if have, ok, err := s.PipelineCookie(ctx); err != nil || ok && have == p.cookie && have != 0 {
		return false, err
	}
	return s.EnsurePipeline(ctx, p.info, p.device)
}
