package fleet

import (
	"strings"
	"testing"
	"time"
)

// The statuses of owned switches are exported, with a bounded number of series, and those of other switches are not.
func TestExporter(t *testing.T) {
	now := time.Date(2006, 6, 1, 0, 0, 0, 0, time.UTC)
	x := &Exporter{Now: func() time.Time { return now }}
	page := func() string {
		t.Helper()
		var b strings.Builder
		if err := x.WriteMetrics(&b); err != nil {
			t.Fatal(err)
		}
		var samples []string
		for line := range strings.Lines(b.String()) {
			if !strings.HasPrefix(line, "#") {
				samples = append(samples, strings.TrimSpace(line))
			}
		}
		return strings.Join(samples, "\n")
	}
	if got := page(); got != "" {
		t.Errorf("without switches: %s", got)
	}
	x.Follow(Status{
		Switch: "edge-1", Ownership: Owned, State: StateHeld, Reason: ReasonMaintenance, Hold: &Hold{Who: "ann", Since: now.Add(-25 * time.Hour)}, Revision: 6, Wanted: 7,
		Audited: now.Add(-90 * time.Second), Tables: []TableFill{{"line", 4, 10240}},
	})
	x.Follow(Status{Switch: "edge-2", Ownership: Waiting, State: StateConverged})
	const want = `op25b_switch_state{switch="edge-1",state="held",reason="maintenance"} 1
op25b_switch_revision{switch="edge-1"} 6
op25b_switch_wanted_revision{switch="edge-1"} 7
op25b_switch_held{switch="edge-1"} 1
op25b_switch_held_seconds{switch="edge-1"} 90000
op25b_switch_read_age_seconds{switch="edge-1"} 90
op25b_switch_entries{switch="edge-1",table="line"} 4
op25b_switch_capacity{switch="edge-1",table="line"} 10240`
	if got := page(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	x.Follow(Status{Switch: "edge-1", Ownership: Lost, State: StateHeld})
	if got := page(); got != "" {
		t.Errorf("after the ownership was lost: %s", got)
	}
}
