package bring

import (
	"context"
	"fmt"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"

	"op25b/internal/compile"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
	"op25b/p4src"
)

// A Result describes how a switch was brought to a state.
type Result struct {
	Pushed bool            // whether the program was pushed, because the switch ran no program or another one
	Plan   *reconcile.Plan // the plan that was carried out; it has no steps if the switch already had the desired state
}

// A Program is the pipeline that every switch should run.
type Program struct {
	info     *configv1.P4Info
	device   []byte
	cookie   uint64
	contract *pipeline.Contract
}

// Load returns the program that is embedded in this build.
func Load() (*Program, error) { return NewProgram(p4src.P4Info(), p4src.DeviceConfig()) }

// NewProgram returns a Program for compiled files. It returns an error if the program lacks something that op25b needs.
func NewProgram(info *configv1.P4Info, device []byte) (*Program, error) {
	contract, err := pipeline.NewContract(info)
	if err != nil {
		return nil, err
	}
	return &Program{info, device, p4rt.Cookie(info, device), contract}, nil
}

// Cookie returns the cookie by which P4Runtime identifies the program.
func (p *Program) Cookie() uint64 { return p.cookie }

// Apply brings the switch of a primary session, which must run the program, to the state want. It returns a Memory of the switch's rule sets.
func (p *Program) Apply(ctx context.Context, s *p4rt.Session, want *pipeline.State, opts reconcile.Options) (Result, *reconcile.Memory, error) {
	plan, memory, err := reconcile.Apply(ctx, s, want, p.contract, opts)
	return Result{Plan: plan}, memory, err
}

// Plan returns the plan that Apply would carry out on a switch with the entries have. It does not depend on sessions: the entries that the
// switch has by them stay. Nor does it depend on the clock of the switch: the ends of exemptions stay.
func (p *Program) Plan(have []pipeline.Entry, want *pipeline.State, foreign *Foreign, lines *compile.SessionLines) (*reconcile.Plan, error) {
	return reconcile.Make(have, want, p.contract, reconcile.Options{Keep: foreign.Filter(), Layer: lines.Held, End: KeepEnds, Name: lines.Text})
}

// Room returns reconcile.ErrNoRoom if a table is too small for the number of entries of a state. Room does not create the
// entries.
func (p *Program) Room(want *pipeline.State) error { return reconcile.Room(want, p.contract) }

// RoomFor is like Room, for given numbers of entries of some tables, and the room for sessions and leases.
func (p *Program) RoomFor(need map[pipeline.Table]int64, sessions pipeline.SessionRoom) error {
	return reconcile.RoomFor(need, sessions, p.contract)
}

// Fits returns reconcile.ErrNoRoom or pipeline.ErrInvalid if not even an empty switch could hold a state.
func (p *Program) Fits(want *pipeline.State) error { return reconcile.Fits(want, p.contract) }

// Ensure pushes the program unless the switch already runs it. Unlike p4rt's EnsurePipeline, Ensure does not hash the program
// on each call.
func (p *Program) Ensure(ctx context.Context, s *p4rt.Session) (pushed bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("pipeline: %w", err)
		}
	}()
	if have, ok, err := s.PipelineCookie(ctx); err != nil || ok && have == p.cookie && have != 0 {
		return false, err
	}
	return s.EnsurePipeline(ctx, p.info, p.device)
}
