package drive

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"op25b/internal/rollout"
)

// TestEveryGateIsShown verifies that the reason why a rollout is held or goes back is a metric and part of the audit record, whichever gate it is.
func TestEveryGateIsShown(t *testing.T) {
	stage := rollout.Stage{Name: "first", Switches: []string{"a"}, Gates: rollout.DefaultGates()}
	found := stage.Gates.Evaluate(stage, rollout.Reading{Time: time.Now()})
	if len(found) != 10 {
		t.Fatalf("there are %d gates", len(found))
	}
	for _, f := range found {
		for _, v := range []rollout.Verdict{rollout.NoData, rollout.Hold, rollout.GoBack} {
			f.Verdict, f.Text = v, "the reason"
			s := &Stored{Record: rollout.Record{ID: "1", State: rollout.Held, Stages: []rollout.Stage{stage}, Findings: []rollout.Finding{f}}}
			if record := s.audit("controller noc-1", ""); record.Verb != "rollout held" || !strings.Contains(record.Detail, f.String()) {
				t.Errorf("%v: the audit record is %+v", f, record)
			}
			registry := prometheus.NewPedanticRegistry()
			NewMetrics(registry).follow(s)
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			shown := ""
			for _, family := range families {
				if family.GetName() == "op25b_rollout_findings" {
					shown += family.Metric[0].Label[0].GetValue() + " " + family.Metric[0].Label[1].GetValue()
				}
			}
			if want := string(f.Gate) + " " + v.String(); shown != want {
				t.Errorf("the metric shows %q, want %q", shown, want)
			}
		}
	}
}
