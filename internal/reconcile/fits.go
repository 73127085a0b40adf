package reconcile

import (
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/pipeline"
)

// A Fill is how full a table is.
type Fill struct {
	Table         string
	Entries, Size int64
}

// fits follows the steps and says whether every table has room at every moment; count is the entries of each table at the end.
func fits(have []pipeline.Entry, steps []Step, contract *pipeline.Contract) (count map[string]int64, err error) {
	count = map[string]int64{}
	ranks := map[int]int64{}
	rank, run := -1, int64(0) // a switch is read table by table
	for _, e := range have {
		if e.IsDefault() {
			continue
		}
		if e.Rank() != rank {
			ranks[rank] += run
			rank, run = e.Rank(), 0
		}
		run++
	}
	ranks[rank] += run
	for i, table := range pipeline.TablesByRank() {
		if ranks[i] > 0 {
			count[table] = ranks[i]
		}
	}
	peak := map[string]int64{}
	for _, s := range steps {
		step := map[uint32]int64{} // by the table's id; of one step all updates are of one kind
		last := map[uint32]*p4v1.Update{}
		for _, u := range s.Updates {
			id := u.GetEntity().GetTableEntry().GetTableId()
			step[id]++
			last[id] = u
		}
		for id, n := range step {
			table := pipeline.TableOf(last[id].GetEntity())
			switch last[id].GetType() {
			case p4v1.Update_INSERT:
				count[table] += n
				peak[table] = max(peak[table], count[table])
			case p4v1.Update_DELETE:
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

// Room returns ErrNoRoom if a table cannot hold a state by its number of entries alone, whatever the switch has. It makes no entries, and so
// costs little where there are far too many. What it accepts, Fits may refuse.
func Room(want *pipeline.State, contract *pipeline.Contract) error {
	need := want.Need()
	for _, table := range pipeline.TablesByRank() {
		if size, ok := contract.Size(table); ok && need[table] > size {
			return fmt.Errorf("table %q: %w: %d entries, %d wanted", table, ErrNoRoom, size, need[table])
		}
	}
	return nil
}

// fills are the tables that have a size, in the order of their rank.
func fills(count map[string]int64, contract *pipeline.Contract) []Fill {
	var all []Fill
	for _, table := range pipeline.Tables() {
		if size, ok := contract.Size(table); ok && size > 0 {
			all = append(all, Fill{table, count[table], size})
		}
	}
	return all
}

// Fits returns ErrNoRoom, naming the table, its size and the need, if a table cannot hold a state, whatever else the switch has, and
// pipeline.ErrInvalid if an entry breaks a restriction of the program's contract. A switch may still have no room for the way there.
func Fits(want *pipeline.State, contract *pipeline.Contract) error {
	if err := Room(want, contract); err != nil { // which costs little
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
