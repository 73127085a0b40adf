package engine

import "op25b/internal/softswitch/match"

// ReleaseEntries lets the control side change and delete the entries that the program declares. The JSON does not distinguish `const
// entries` from `entries`, but the P4Info does. Callers use ReleaseEntries if the entries are not const.
func (t *Table) ReleaseEntries() {
	t.e.ctl.Lock()
	defer t.e.ctl.Unlock()
	t.isConst = false
	t.rows.Range(func(row *match.Entry[entry]) bool {
		row.Value.ctl.Const = false
		return true
	})
}
