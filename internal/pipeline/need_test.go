package pipeline

import (
	"net/netip"
	"testing"
)

// TestNeed verifies that Need returns, for each table, the number of entries that Entries creates.
func TestNeed(t *testing.T) {
	prefix := netip.MustParsePrefix
	s := &State{
		Ports:        map[Port]PortRole{1: Access, 2: Network},
		Lines:        map[LineKey]Line{{Port: 1}: {Index: 1}, {Port: 1, Session: 7}: {Index: 2}, {Port: 1, Session: 8}: {Index: 3}},
		Subscribers:  map[netip.Prefix]Subscriber{prefix("192.0.2.1/32"): {Class: 1, Line: 1}, prefix("2001:db8::/64"): {Class: 1}},
		Remotes:      map[netip.Prefix]Class{prefix("203.0.113.0/24"): 1},
		Sources:      map[SourceKey]struct{}{{1, prefix("192.0.2.1/32")}: {}, {1, prefix("2001:db8::/64")}: {}},
		Limits:       map[LimitKey]Rate{{Line: 1}: {PerSecond: 1, Burst: 1}},
		Bridge:       map[MAC]BridgePort{{2, 0, 0, 0, 0, 1}: {Port: 1}},
		LinePorts:    map[VLANKey]Port{{OuterVID: 5}: 1},
		SourceChecks: map[LineGroup]SourceCheck{1: SourceDrop},
		Services:     map[ServiceKey]ServiceValue{{DstPort: PortMatch{25, true}}: {Leg: UpDst, Service: 1, Priority: 1}},
		Shared: &Shared{State: State{
			Subscribers:  map[netip.Prefix]Subscriber{prefix("192.0.2.1/32"): {Class: 1}, prefix("192.0.2.2/32"): {Class: 1}},
			Remotes:      map[netip.Prefix]Class{prefix("203.0.113.0/24"): 2, prefix("198.51.100.0/24"): 1, prefix("2001:db8:25::/64"): 1},
			SourceChecks: map[LineGroup]SourceCheck{1: SourceMonitor, 2: SourceDrop},
			Services:     map[ServiceKey]ServiceValue{{DstPort: PortMatch{587, true}}: {Leg: UpDst, Service: 2, Priority: 1}},
		}},
	}
	entries, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[Table]int64)
	for _, e := range entries {
		if !e.IsDefault() {
			want[e.Key.Table()]++
		}
	}
	need := s.Need()
	for table, n := range need {
		if want[table] != n {
			t.Errorf("%v: %d, and there are %d entries", table, n, want[table])
		}
	}
	for table := Table(1); table <= lastTable; table++ {
		if !table.OnlyDefault() && table.meaning().use != ruling && need[table] == 0 {
			t.Errorf("%v is not counted", table)
		}
	}
}
