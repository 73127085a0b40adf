package intent

import (
	"op25b/internal/compile"
	"op25b/internal/policy"
)

// Draft returns an intent with documents that are not in a store: without a revision and activations, and with numbers as for the first revision. It
// returns compile.ErrNoNumber if there is no number for a name.
func Draft(b *policy.Bundle) (*Intent, error) {
	numbers, err := compile.Number(nil, b)
	if err != nil {
		return nil, err
	}
	in := &Intent{Bundle: b, Numbers: numbers}
	in.compiler, err = compile.NewCompiler(b, numbers)
	return in, err
}
