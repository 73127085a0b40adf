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

// An Applied lists the revisions that were written to a switch, as reported in its status.
type Applied struct {
	Revision  uint64    // the last revision that was applied completely, or 0 for none
	Attempted []uint64  // the revisions whose application began since then, the oldest first
	Wanted    uint64    // the revision that the controller last reported as wanted; its application may have begun
	Audited   time.Time // when the switch was last seen to have the state of Revision
}

// Past returns the states from which the switch may still have entries. at returns the revision with a given number. The error names the
// revisions that at could not return; the result contains all other states.
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

// past returns the state of a switch at a revision. Exemptions can only expire, so the state at an early time has every entry that the
// switch may have had.
func past(in *intent.Intent, name string, at time.Time) (Desired, error) {
	if at.IsZero() {
		at = in.Time
	}
	d, err := At(in, name, at)
	if err != nil {
		if len(d.Bundle.Policy.Phases) == 0 {
			return Desired{}, err
		}
		d.Phases = policy.Everywhere(d.Bundle.Policy.Phases[0].Name) // any phase will do, because only the rules depend on the phase
	}
	return d, nil
}

// A Foreign finds the entries of one switch that no applied revision has. It is for a single use and must not be used concurrently.
type Foreign struct {
	want  Desired
	keep  bool
	past  func() ([]Desired, error)
	ours  *keySet // nil until the first call of Is, because past states are expensive to compile and most switches need no call of Is
	found map[pipeline.Key]pipeline.Entry
	err   error
}

// NewForeign returns a Foreign for a switch that is about to be brought to want. past returns the states from which the switch may still
// have entries.
func NewForeign(want Desired, past func() ([]Desired, error)) *Foreign {
	sw, _ := want.Bundle.Inventory.Switch(want.Switch)
	return &Foreign{want: want, keep: sw != nil && sw.Foreign == policy.KeepForeign, past: past, found: make(map[pipeline.Key]pipeline.Entry)}
}

// Is reports whether an undesired entry is foreign, which means that no revision that was applied to the switch has the entry, and that no
// session of these revisions' lines could have it.
func (f *Foreign) Is(e pipeline.Entry) bool {
	if f.ours == nil {
		f.ours = &keySet{entries: make(map[pipeline.Key]struct{}), rules: make(map[pipeline.Key]struct{})}
		if lines, err := f.want.Layer(); err == nil { // otherwise the state does not compile either
			f.ours.lines = append(f.ours.lines, lines)
		}
		past, err := f.past()
		failed := []error{err}
		for _, d := range past {
			if d.SameButRules(f.want) {
				continue // Is is not called for entries of want, and this state has the same entries
			}
			if err := f.ours.add(d); err != nil {
				failed = append(failed, fmt.Errorf("revision %d: %w", d.Number, err))
			}
		}
		f.err = errors.Join(failed...)
	}
	return !f.ours.has(e)
}

// Keep reports whether an undesired entry stays in the switch. See reconcile.Options.
func (f *Foreign) Keep(e pipeline.Entry) bool {
	if !f.Is(e) {
		return false
	}
	f.found[e.Key] = e
	return f.keep
}

// Filter returns Keep, or nil if the inventory does not keep foreign entries. In that case Keep need not be called.
func (f *Foreign) Filter() func(pipeline.Entry) bool {
	if !f.keep {
		return nil
	}
	return f.Keep
}

// Removed returns the foreign entries for which Keep returned false.
func (f *Foreign) Removed() map[pipeline.Key]pipeline.Entry {
	if f.keep {
		return nil
	}
	return f.found
}

// Err returns the reason why Is may mistake op25b's own entries for foreign entries, or nil.
func (f *Foreign) Err() error { return f.err }
