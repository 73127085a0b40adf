package plan

import (
	"context"
	"errors"
	"fmt"

	"op25b/internal/intent"
	"op25b/internal/policy"
)

// ErrRefused means that at least one switch would refuse an intent.
var ErrRefused = errors.New("nothing was stored")

// Fits checks that each switch of an inventory could hold an intent: that it compiles, and that every table has room. Fits does not contact
// switches: the sizes of tables come from the embedded pipeline, so that an unreachable switch does not matter.
//
// Fits returns ErrRefused if a switch would refuse the intent. The message names the first such switch and the reason, such as the table,
// its size and the need, and counts the other switches.
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
		if errors.Is(err, intent.ErrNoPhase) { // check the room for the first phase instead
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
