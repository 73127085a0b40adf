package pipeline

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLosses verifies that entries are counted by table, that a changed entry is no loss, and that rules are not counted.
func TestLosses(t *testing.T) {
	prefix := netip.MustParsePrefix
	old := &State{
		Lines:       map[LineKey]Line{{Port: 1, OuterVID: 1}: {}, {Port: 1, OuterVID: 2}: {}, {Port: 1, OuterVID: 3, Session: 9}: {}},
		Remotes:     map[netip.Prefix]Class{prefix("192.0.2.0/24"): 1, prefix("198.51.100.0/24"): 1, prefix("2001:db8::/32"): 1},
		Subscribers: map[netip.Prefix]Subscriber{prefix("192.0.2.1/32"): {}},
		Verdicts:    map[VerdictKey]Verdict{{}: {}},
	}
	now := &State{
		Lines:       map[LineKey]Line{{Port: 1, OuterVID: 2}: {Index: 7}},
		Remotes:     map[netip.Prefix]Class{prefix("192.0.2.0/24"): 2, prefix("203.0.113.0/24"): 1},
		Subscribers: map[netip.Prefix]Subscriber{prefix("192.0.2.1/32"): {}, prefix("192.0.2.2/32"): {}},
	}
	want := map[string][2]int{"line": {1, 2}, "session": {1, 1}, "remote_v4": {1, 2}, "remote_v6": {1, 1}}
	got := map[string][2]int{}
	for _, l := range Losses(old, now) {
		got[l.Table.String()] = [2]int{l.Removed, l.Of}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if losses := Losses(old, old); len(losses) > 0 {
		t.Errorf("the same state loses %v", losses)
	}
}
