package history

import (
	"maps"
	"math"
)

// A table holds the states of a switch's keys or counters, ordered by id.
type table[N comparable, S any] struct {
	all    []S
	byName map[N]int // the positions in all
	next   uint32    // the id of the next new state; ids start at 1, as the encoding requires
	shared bool      // byName is shared with the previous table
}

// full reports whether there is no room for another state.
func (t *table[N, S]) full() bool { return len(t.all) >= maxSwitchNames || t.next == math.MaxUint32 }

// add adds a state and returns its position. The id of the state must be next.
func (t *table[N, S]) add(name N, s S) int {
	if t.shared {
		t.byName, t.shared = maps.Clone(t.byName), false
	}
	if t.byName == nil {
		t.byName = make(map[N]int)
	}
	at := len(t.all)
	t.all = append(t.all, s)
	t.byName[name] = at
	t.next++
	return at
}

// copyWithout makes t independent of the table that it was copied from, removes the states that are old, and returns their ids. It calls old
// with a state and the number of seconds for which states are kept.
func (t *table[N, S]) copyWithout(old func(s *S, keep int64) (id uint32, is bool)) (dropped []uint32) {
	t.next = max(1, t.next)
	t.shared = true
	keep := int64(keepName)
	if t.full() {
		keep = keepFull
	}
	all := make([]S, 0, len(t.all))
	moved := make([]int, len(t.all))
	for i := range t.all {
		moved[i] = -1
		if id, is := old(&t.all[i], keep); is {
			dropped = append(dropped, id)
			continue
		}
		moved[i] = len(all)
		all = append(all, t.all[i])
	}
	t.all = all
	if len(dropped) == 0 {
		return nil
	}
	byName := make(map[N]int, len(all))
	for name, at := range t.byName {
		if moved[at] >= 0 {
			byName[name] = moved[at]
		}
	}
	t.byName, t.shared = byName, false
	return dropped
}
