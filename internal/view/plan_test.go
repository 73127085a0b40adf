package view

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

func planText(t *testing.T, p *op25bv1.Plan) string {
	t.Helper()
	var b bytes.Buffer
	if err := Table(&b, options()).Plan(p, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Switches with the same plan share a section, and switches that do not change take only a few
// words.
func TestPlanOfFewWords(t *testing.T) {
	at := timestamppb.New(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	many := &op25bv1.Plan{Policy: "p", Time: at}
	for i := range 1000 {
		many.Switches = append(many.Switches, &op25bv1.SwitchPlan{
			Switch: fmt.Sprintf("edge-%d", i+1), Address: fmt.Sprintf("192.0.2.1:%d", i), Standing: standingRead, AppliedRevision: 3,
		})
	}
	many.Switches = append(
		many.Switches,
		&op25bv1.SwitchPlan{Switch: "old", Address: "192.0.2.9:1", Standing: standingGone, Reason: "it is gone"},
		&op25bv1.SwitchPlan{Switch: "bad\x1b[2J", Address: "192.0.2.9:2", Standing: standingRead, Error: "table \"verdict\": no room"},
		&op25bv1.SwitchPlan{Switch: "staging", Address: "192.0.2.9:3", Standing: standingRead, Updates: 1234, Steps: []*op25bv1.PlanStep{{Updates: 1234}}},
	)
	many.Totals = &op25bv1.Totals{Switches: 1003, SwitchesChanged: 1, SwitchesRefused: 1, Updates: 1234}
	want := `plan as the first revision, policy p, made 2026-05-01 09:00:00 +0900

1,000 switches: edge-1, edge-2, edge-3, edge-4, edge-5, edge-6, edge-7, edge-8 and 992 more, brought
to revision 3
  nothing to write

switch old at 192.0.2.9:1
  gone: it is gone

switch bad\u001b[2J at 192.0.2.9:2
  error: table "verdict": no room

switch staging at 192.0.2.9:3
  1,234 updates, all for rule sets of later phases: no packet meets them yet

nothing to change except rule sets of later phases, by 1,234 updates to 1 of 1,003 switches
1 switch would refuse this, for the errors above
`
	if got := planText(t, many); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	nothing := &op25bv1.Plan{Base: 7, Policy: "p", Time: at, UtcOffset: "Z"}
	want = "plan on revision 7, policy p, made 2026-05-01 00:00:00 +0000\n\n" +
		"nothing to change: documents and switches are as wanted, as far as they could be read\n"
	if got := planText(t, nothing); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
