package engine

import (
	"fmt"
	"testing"
	"unsafe"
)

// TestEntriesAreAligned verifies that what a hit reads of an entry lies in one cache line of 64 bytes, for keys of one to four words.
func TestEntriesAreAligned(t *testing.T) {
	if end := unsafe.Offsetof(entry{}.near) + unsafe.Sizeof(entry{}.near); end > 64 {
		t.Errorf("the action, its arguments and the next node take %d bytes, want 64 at most", end)
	}
	e := op25b(t)
	for table, widths := range map[string]map[int]int{ // the width of each key field, by the kind of the field
		"subscriber_v4": {4: 32}, "subscriber_v6": {16: 128}, "remote_v4": {4: 32}, "remote_v6": {16: 128},
	} {
		tb, ok := e.Table("SwitchIngress.filter." + table)
		if !ok {
			t.Fatalf("no table %s", table)
		}
		name := tb.ActionNames()[0]
		params, _ := tb.ActionParams(name)
		for i := range 200 {
			en := Entry{Action: ActionCall{Name: name}}
			for _, p := range params {
				en.Action.Args = append(en.Action.Args, make([]byte, (p.Width+7)/8))
			}
			for bytes, bits := range widths {
				v := make([]byte, bytes)
				v[bytes-1] = byte(i)
				en.Matches = append(en.Matches, Match{Value: v, PrefixLen: bits})
			}
			if err := tb.Insert(en); err != nil {
				t.Fatal(err)
			}
		}
		for row := range tb.rows.All() {
			if at := uintptr(unsafe.Pointer(&row.Value)); at%64 != 0 {
				t.Fatalf("%s: an entry begins %d bytes into a cache line", table, at%64)
			}
			if n := len(row.Value.args); n > 0 && n <= len(row.Value.near) && fmt.Sprintf("%p", row.Value.args) != fmt.Sprintf("%p", &row.Value.near) {
				t.Fatalf("%s: %d arguments are not in the entry", table, n)
			}
		}
	}
}
