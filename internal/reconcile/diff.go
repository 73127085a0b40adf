package reconcile

import (
	"slices"

	"op25b/internal/pipeline"
)

// A Difference lists how the entries of a switch differ from the desired entries.
type Difference struct {
	Added, Removed []pipeline.Entry
	// Kept lists the undesired entries that stay.
	Kept []pipeline.Entry
	// Changed lists the entries whose value changes. Old is zero for a default action that the switch did not report.
	Changed []Change
}

// Compare compares entries by their keys. want must be in the order of pipeline.Key.Compare. If keep is not nil, it reports
// whether an undesired entry stays. Default actions are neither added nor removed, because every switch has them.
func Compare(have, want []pipeline.Entry, keep func(pipeline.Entry) bool) Difference {
	return compare(have, want, keep, nil)
}

// compare is like Compare, with the option Options.End.
func compare(have, want []pipeline.Entry, keep func(pipeline.Entry) bool, end func(want, have pipeline.Entry) pipeline.Entry) Difference {
	var d Difference
	at := make([]int32, len(want)) // the index in have plus 1, for each desired entry
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
		var old pipeline.Entry
		if at[i] != 0 {
			old = have[at[i]-1]
		}
		if end != nil {
			e = end(e, old)
		}
		switch {
		case at[i] != 0:
			if old.Value != e.Value {
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
