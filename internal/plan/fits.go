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

// Fits checks that the intent compiles for each switch of the inventory, and that every table has room for the entries. Fits uses the
// table sizes of the embedded pipeline and does not contact the switches, so it also works while switches are unreachable.
//
// Fits returns ErrRefused if a switch would refuse the intent. The message names the first such switch with the reason, such as a table
// that is too small. It also states how many more switches would refuse the intent.
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
		if errors.Is(err, intent.ErrNoPhase) { // no phase has begun, so check the room for the first phase
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
