package main

import (
	"os"
	"strings"
	"testing"
)

// TestDashboardIsCurrent verifies that go generate was run after the last change of the panels.
func TestDashboardIsCurrent(t *testing.T) {
	want, err := render(panels())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../op25b.grafana.json")
	if err != nil || string(got) != string(want) {
		t.Errorf("op25b.grafana.json is not what the program writes (%v): run go generate ./examples/prometheus/...", err)
	}
}

// TestPanels verifies that every query uses the dashboard's variables, and that no panel covers another one.
func TestPanels(t *testing.T) {
	taken := map[[2]int]string{}
	for _, p := range place(panels()) {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, is := taken[[2]int{x, y}]; is || x >= columns {
					t.Errorf("%q is at %d, %d, where %q is; there are %d columns", p.Title, x, y, other, columns)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource == nil || *p.Datasource != source || len(p.Targets) == 0 {
			t.Errorf("%q has no query of the data source", p.Title)
		}
		for _, q := range p.Targets {
			if q.Datasource == nil || q.Expr == "" || q.Instant == q.Range {
				t.Errorf("%q: %+v", p.Title, q)
			}
			// A query about switches uses the variable, unless its result has no label for the switch.
			ofSwitches := strings.Contains(q.Expr, "switch:") || strings.Contains(q.Expr, "op25b_rule_") || strings.Contains(q.Expr, "op25b_interface_")
			if ofSwitches && !strings.Contains(q.Expr, `switch=~"$switch`) {
				t.Errorf("%q: %s does not select switches", p.Title, q.Expr)
			}
		}
	}
}
