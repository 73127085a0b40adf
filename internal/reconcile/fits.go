package reconcile

import (
	"fmt"

	"op25b/internal/pipeline"
)

// A Fill is the number of entries in a table and the table's size.
type Fill struct {
	Table         string
	Entries, Size int64
}

// fits simulates the steps. It returns ErrNoRoom if a table would lack room after any step. count maps each table to its final number of
// entries.
func fits(have []pipeline.Entry, steps []Step, contract *pipeline.Contract) (count map[pipeline.Table]int64, err error) {
	count = map[pipeline.Table]int64{}
	table, run := pipeline.Table(0), int64(0) // consecutive entries are mostly of one table, so count them in runs
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
		kinds := map[pipeline.Table]pipeline.Kind{} // all updates of a table in one step have the same kind
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

// Room returns ErrNoRoom if even an empty switch has a table that cannot hold the entries of a state. Room counts the entries without
// creating them, so it is cheap even for a state that is far too large. The room for sessions and leases counts as entries. Fits checks more, and
// may refuse a state that Room accepts.
func Room(want *pipeline.State, contract *pipeline.Contract) error {
	return RoomFor(want.Need(), want.Sessions, contract)
}

// RoomFor is like Room, for given numbers of entries and the room for sessions and leases.
func RoomFor(need map[pipeline.Table]int64, sessions pipeline.SessionRoom, contract *pipeline.Contract) error {
	reserve := (&pipeline.State{Sessions: sessions}).Reserve()
	for _, table := range pipeline.TablesByRank() {
		size, ok := contract.Size(table)
		if !ok || need[table]+reserve[table] <= size {
			continue
		}
		if reserve[table] > 0 {
			return fmt.Errorf("table %q: %w: %d entries, %d wanted, and room for %d of %s", table, ErrNoRoom, size, need[table], reserve[table], reservedFor(sessions))
		}
		return fmt.Errorf("table %q: %w: %d entries, %d wanted", table, ErrNoRoom, size, need[table])
	}
	return nil
}

// reservedFor names what needs the room of pipeline.State.Reserve.
func reservedFor(room pipeline.SessionRoom) string {
	switch {
	case room.Leases == 0:
		return "sessions"
	case room.Sources+room.Subscribers == 0:
		return "leases"
	}
	return "sessions and leases"
}

// fills returns a Fill for each table of limited size, in the tables' order.
func fills(count map[pipeline.Table]int64, contract *pipeline.Contract) []Fill {
	var all []Fill
	for _, table := range pipeline.Tables() {
		if size, ok := contract.Size(table); ok && size > 0 {
			all = append(all, Fill{table.String(), count[table], size})
		}
	}
	return all
}

// Fits returns ErrNoRoom if even an empty switch has a table that cannot hold the entries of a state. The message states the table, its
// size and the number of entries. Fits returns pipeline.ErrInvalid if an entry violates a restriction of the program. A switch may still
// lack room for the steps of a plan.
func Fits(want *pipeline.State, contract *pipeline.Contract) error {
	if err := Room(want, contract); err != nil { // first, because Room is cheap
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
