package answer

import "op25b/internal/check/desk"

const (
	// lookupWithin is the longest time of a look-up. A visitor waits for it.
	lookupWithin = desk.LookupWithin
	// lookedFor is the time for which an answer that depends on a look-up is kept.
	lookedFor = desk.LookedFor
)

// A Resolver bounds the look-ups of visitors.
type Resolver = desk.Bounded

// NewResolver returns a resolver that asks next.
func NewResolver(next desk.Resolver) *Resolver { return desk.NewBounded(next) }
