package engine

import "op25b/internal/softswitch/match"

// ReleaseEntries lets the control side change and delete the entries that the program declares. Callers use it if the entries are
// not const. The engine cannot decide this, because only the P4Info distinguishes `const entries` from `entries`, and the JSON does
// not.
func (t *Table) ReleaseEntries() {
	t.e.ctl.Lock()
	defer t.e.ctl.Unlock()
	t.isConst = false
	t.rows.Range(func(row *match.Entry[entry]) bool {
		row.Value.ctl.Const = false
		return true
	})
}
