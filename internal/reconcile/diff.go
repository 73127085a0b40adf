package reconcile

import (
	"slices"

	"op25b/internal/pipeline"
)

// A Difference lists the differences between the entries of a switch and the wanted entries.
type Difference struct {
	Added, Removed []pipeline.Entry
	// Kept lists unwanted entries that stay.
	Kept []pipeline.Entry
	// Changed lists entries with another value. Old is zero for a default action that the switch did not report.
	Changed []Change
}

// Compare compares entries by their keys. want must be in the order of pipeline.Key.Compare. keep, if not nil, reports whether an
// unwanted entry stays. A default action is neither added nor removed, because every switch has it.
func Compare(have, want []pipeline.Entry, keep func(pipeline.Entry) bool) Difference {
	var d Difference
	at := make([]int32, len(want)) // for each wanted entry, its index in have plus 1
	for i, e := range have {
		index, wanted := slices.BinarySearchFunc(want, e.Key, func(e pipeline.Entry, k pipeline.Key) int { return e.Key.Compare(k) })
		switch {
		case wanted:
			at[index] = int32(i + 1)
		case e.IsDefault():
		case keep != nil && keep(e):
			d.Kept = append(d.Kept, e)
		default:
			d.Removed = append(d.Removed, e)
		}
	}
	if more := len(want) - len(have); more > 0 {
		d.Added = make([]pipeline.Entry, 0, more)
	}
	for i, e := range want {
		switch {
		case at[i] != 0:
			if old := have[at[i]-1]; old.Value != e.Value {
				d.Changed = append(d.Changed, Change{old, e})
			}
		case e.IsDefault():
			d.Changed = append(d.Changed, Change{New: e})
		default:
			d.Added = append(d.Added, e)
		}
	}
	return d
}
