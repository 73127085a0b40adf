package rollout

import (
	"testing"
	"time"
)

// TestReasonsAreCurrent verifies that a rollout that is held for other missing data than before says so, and that a text alone, such as the age of a
// sample, changes nothing: each change is an audit record.
func TestReasonsAreCurrent(t *testing.T) {
	missing := func(g GateName, text string) func(*Observation) {
		return func(o *Observation) {
			for i := range o.Findings {
				if o.Findings[i].Gate == g {
					o.Findings[i].Verdict, o.Findings[i].Text = NoData, text
				}
			}
		}
	}
	w := newWorld(2)
	w.until(t, Soaking)
	for _, c := range []struct {
		gate       GateName
		text, want string
	}{
		{Probes, "not probed", "probes of ring ring-0: no-data: not probed"},
		{TicketsOpened, "heard 6m ago", "tickets of ring ring-0: no-data: heard 6m ago"},
		{TicketsOpened, "heard 7m ago", "tickets of ring ring-0: no-data: heard 6m ago"},
		{Probes, "not probed", "probes of ring ring-0: no-data: not probed"},
	} {
		w.step(time.Second, missing(c.gate, c.text))
		if len(w.record.Findings) != 1 || w.record.State != Held || w.record.Findings[0].String() != c.want {
			t.Errorf("the rollout is %s: %v, want held: %s", w.record.State, w.record.Findings, c.want)
		}
	}
}
