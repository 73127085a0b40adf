package engine

import "op25b/internal/softswitch/match"

// ReleaseEntries lets the control side change and delete the entries that the program declares. The JSON does not tell
// `const entries` from `entries`; a P4Info does, and the one who has it calls this for the latter.
func (t *Table) ReleaseEntries() {
	t.e.ctl.Lock()
	defer t.e.ctl.Unlock()
	t.isConst = false
	t.rows.Range(func(row *match.Entry[entry]) bool {
		row.Value.ctl.Const = false
		return true
	})
}
