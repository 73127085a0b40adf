package reconcile

import (
	"fmt"

	"op25b/internal/pipeline"
)

// A Fill is the number of entries in a table, and the size of the table.
type Fill struct {
	Table         string
	Entries, Size int64
}

// fits simulates the steps. It returns ErrNoRoom if a table lacks room at any moment; count is the number of entries of each table at the
// end.
func fits(have []pipeline.Entry, steps []Step, contract *pipeline.Contract) (count map[pipeline.Table]int64, err error) {
	count = map[pipeline.Table]int64{}
	table, run := pipeline.Table(0), int64(0) // entries are read table by table
	for i := range have {
		if have[i].IsDefault() {
			continue
		}
		if of := have[i].Key.Table(); of != table {
			count[table] += run
			table, run = of, 0
		}
		run++
	}
	count[table] += run
	peak := map[pipeline.Table]int64{}
	for _, s := range steps {
		step := map[pipeline.Table]int64{}
		kinds := map[pipeline.Table]pipeline.Kind{} // within a step, all updates of a table are of one kind
		for _, u := range s.Updates {
			step[u.Entry.Key.Table()]++
			kinds[u.Entry.Key.Table()] = u.Kind
		}
		for table, n := range step {
			switch kinds[table] {
			case pipeline.Insert:
				count[table] += n
				peak[table] = max(peak[table], count[table])
			case pipeline.Delete:
				count[table] -= n
			}
		}
	}
	for _, table := range pipeline.Tables() {
		if size, ok := contract.Size(table); ok && peak[table] > size {
			return nil, fmt.Errorf("table %q: %w: %d entries, %d wanted at once; nothing was written", table, ErrNoRoom, size, peak[table])
		}
	}
	return count, nil
}

// Room returns ErrNoRoom if a table cannot hold the number of entries of a state, even in an empty switch. Room creates no entries, so it
// is cheap for a state that is far too large. Fits checks more, and may refuse a state that Room accepts.
func Room(want *pipeline.State, contract *pipeline.Contract) error {
	need := want.Need()
	for _, table := range pipeline.TablesByRank() {
		if size, ok := contract.Size(table); ok && need[table] > size {
			return fmt.Errorf("table %q: %w: %d entries, %d wanted", table, ErrNoRoom, size, need[table])
		}
	}
	return nil
}

// fills returns the Fill of each table that has a size, in the order of their rank.
func fills(count map[pipeline.Table]int64, contract *pipeline.Contract) []Fill {
	var all []Fill
	for _, table := range pipeline.Tables() {
		if size, ok := contract.Size(table); ok && size > 0 {
			all = append(all, Fill{table.String(), count[table], size})
		}
	}
	return all
}

// Fits returns ErrNoRoom, naming the table, its size and the need, if a table cannot hold a state, even in an empty switch. It returns
// pipeline.ErrInvalid if an entry violates a restriction of the program's contract. A switch may still lack room for the steps of a plan.
func Fits(want *pipeline.State, contract *pipeline.Contract) error {
	if err := Room(want, contract); err != nil { // cheap, so it is done first
		return err
	}
	t, err := aim(want, contract)
	if err != nil {
		return err
	}
	need := make([]int64, len(pipeline.TablesByRank()))
	for _, entries := range [][]pipeline.Entry{t.fixed, t.rules} {
		for i := range entries {
			if !entries[i].IsDefault() {
				need[entries[i].Rank()]++
			}
		}
	}
	for i, table := range pipeline.TablesByRank() {
		if size, ok := contract.Size(table); ok && need[i] > size {
			return fmt.Errorf("table %q: %w: %d entries, %d wanted", table, ErrNoRoom, size, need[i])
		}
	}
	return nil
}
