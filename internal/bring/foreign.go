package bring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// An Applied is which revisions were written to a switch, as its status reports it.
type Applied struct {
	Revision  uint64    // the last that the switch was brought to; 0 for none
	Attempted []uint64  // those begun since, the oldest first
	Wanted    uint64    // the one that its controller reported as wanted; it may have been begun
	Audited   time.Time // when the switch was last seen to hold Revision
}

// Past returns the states that the switch may hold entries of. at returns a revision of the intent. The error names the revisions that are
// not kept any more; the states are complete but for them.
func (a Applied) Past(ctx context.Context, name string, at func(context.Context, uint64) (*intent.Intent, error)) ([]Desired, error) {
	var all []Desired
	var failed []error
	var seen []uint64
	for _, number := range slices.Concat([]uint64{a.Revision}, a.Attempted, []uint64{a.Wanted}) {
		if number == 0 || slices.Contains(seen, number) {
			continue
		}
		seen = append(seen, number)
		in, err := at(ctx, number)
		if err == nil {
			var d Desired
			if d, err = past(in, name, a.Audited); err == nil {
				all = append(all, d)
			}
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("revision %d: %w", number, err))
		}
	}
	return all, errors.Join(failed...)
}

// past is what a switch held of a revision. Exemptions only end, so that an early moment gives every entry that the switch may have had.
func past(in *intent.Intent, name string, at time.Time) (Desired, error) {
	if at.IsZero() {
		at = in.Time
	}
	d, err := At(in, name, at)
	if err != nil {
		if len(in.Bundle.Policy.Phases) == 0 {
			return Desired{}, err
		}
		d.Phases = policy.Everywhere(in.Bundle.Policy.Phases[0].Name) // only the rules depend on the phase
	}
	return d, nil
}

// A Foreign finds the entries of one switch that no revision asked for. It is for one use by one goroutine.
type Foreign struct {
	want  Desired
	keep  bool
	past  func() ([]Desired, error)
	ours  *keySet // nil until the first entry is asked about: compiling the past is expensive, and most switches have nothing to ask
	found map[pipeline.Key]pipeline.Entry
	err   error
}

// NewForeign returns what is foreign to a switch that is about to be brought to want. past returns the states that it may hold entries of.
func NewForeign(want Desired, past func() ([]Desired, error)) *Foreign {
	sw, _ := want.Bundle.Inventory.Switch(want.Switch)
	return &Foreign{want: want, keep: sw != nil && sw.Foreign == policy.KeepForeign, past: past, found: make(map[pipeline.Key]pipeline.Entry)}
}

// Is reports whether no revision that was written to the switch asked for an entry.
func (f *Foreign) Is(e pipeline.Entry) bool {
	if f.ours == nil {
		f.ours = &keySet{make(map[pipeline.Key]struct{}), make(map[pipeline.Key]struct{})}
		past, err := f.past()
		failed := []error{err}
		for _, d := range past {
			if d.SameButRules(f.want) {
				continue // what it has is wanted
			}
			if err := f.ours.add(d); err != nil {
				failed = append(failed, fmt.Errorf("revision %d: %w", d.Number, err))
			}
		}
		f.err = errors.Join(failed...)
	}
	return !f.ours.has(e)
}

// Keep reports whether an entry that is not wanted stays in the switch: see reconcile.Options.
func (f *Foreign) Keep(e pipeline.Entry) bool {
	if !f.Is(e) {
		return false
	}
	f.found[e.Key] = e
	return f.keep
}

// Filter returns Keep, or nil if foreign entries do not stay in the switch, so that it need not be asked.
func (f *Foreign) Filter() func(pipeline.Entry) bool {
	if !f.keep {
		return nil
	}
	return f.Keep
}

// Removed returns the foreign entries that Keep was asked about and did not keep.
func (f *Foreign) Removed() map[pipeline.Key]pipeline.Entry {
	if f.keep {
		return nil
	}
	return f.found
}

// Err returns why some of what is ours may be taken for foreign, or nil.
func (f *Foreign) Err() error { return f.err }
