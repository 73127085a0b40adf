package drive

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"op25b/internal/rollout"
)

// TestMetrics verifies that the metrics show the state and the reasons of the rollout that this controller drives, and nothing of others.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	held := &Stored{Record: rollout.Record{State: rollout.Held, Findings: []rollout.Finding{
		{Gate: rollout.Affected, Verdict: rollout.Hold}, {Gate: rollout.Probes, Verdict: rollout.NoData},
	}}}
	m.follow(held)
	m.moved(rollout.Held)
	exported := func(name string) int {
		t.Helper()
		n, err := testutil.GatherAndCount(registry, name)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	want := `# HELP op25b_rollout_findings The reasons why the rollout is held or goes back, by gate and verdict.
# TYPE op25b_rollout_findings gauge
op25b_rollout_findings{gate="affected",verdict="hold"} 1
op25b_rollout_findings{gate="probes",verdict="no-data"} 1
# HELP op25b_rollout_state 1 for the state of the rollout that runs or that ended last.
# TYPE op25b_rollout_state gauge
op25b_rollout_state{state="advancing"} 0
op25b_rollout_state{state="done"} 0
op25b_rollout_state{state="going-back"} 0
op25b_rollout_state{state="held"} 1
op25b_rollout_state{state="measuring"} 0
op25b_rollout_state{state="paused"} 0
op25b_rollout_state{state="rehearsing"} 0
op25b_rollout_state{state="soaking"} 0
op25b_rollout_state{state="taking-back"} 0
op25b_rollout_state{state="went-back"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "op25b_rollout_findings", "op25b_rollout_state"); err != nil {
		t.Error(err)
	}
	for state, want := range map[rollout.State]float64{rollout.Held: 1, rollout.Soaking: 0} {
		if got := testutil.ToFloat64(m.entered.WithLabelValues(string(state))); got != want {
			t.Errorf("%s was entered %v times, want %v", state, got, want)
		}
	}
	m.follow(&Stored{Record: rollout.Record{State: rollout.Soaking}})
	if got := exported("op25b_rollout_findings"); got != 0 {
		t.Errorf("%d findings of a rollout that goes on", got)
	}
	m.follow(nil)
	if got := exported("op25b_rollout_state"); got != 0 {
		t.Errorf("%d states of a rollout that another controller drives", got)
	}
	var none *Metrics
	none.follow(held)
	none.moved(rollout.Held)
}
