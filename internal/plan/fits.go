package plan

import (
	"context"
	"errors"
	"fmt"

	"op25b/internal/intent"
	"op25b/internal/policy"
)

// ErrRefused means that switches would refuse an intent as a whole.
var ErrRefused = errors.New("nothing was stored")

// Fits checks that each switch of an inventory could hold an intent: that it compiles, and that every table has room. It asks no switch:
// the sizes of tables come from the program that this controller carries, so that an unreachable switch does not matter.
//
// ErrRefused names the first switch that would refuse and the reason, such as the table, its size and the need, and counts the others.
func (p *Planner) Fits(ctx context.Context, in *intent.Intent) error {
	now := p.cfg.Now()
	var first error
	others := 0
	for i := range in.Bundle.Inventory.Switches {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name := in.Bundle.Inventory.Switches[i].Name
		compiled, err := in.Compile(name, now)
		if errors.Is(err, intent.ErrNoPhase) { // the switch will need as much room then
			compiled, err = in.CompileAs(name, policy.Everywhere(in.Bundle.Policy.Phases[0].Name), now)
		}
		if err == nil {
			err = p.program.Fits(compiled.Sharing())
		}
		switch {
		case err == nil:
		case first == nil:
			first = fmt.Errorf("switch %q: %w", name, err)
		default:
			others++
		}
	}
	switch {
	case first == nil:
		return nil
	case others == 1:
		first = fmt.Errorf("%w (and 1 more switch)", first)
	case others > 1:
		first = fmt.Errorf("%w (and %d more switches)", first, others)
	}
	return fmt.Errorf("%w: %w", ErrRefused, first)
}
