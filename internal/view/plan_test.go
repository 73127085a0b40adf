package view

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

func planText(t *testing.T, p *op25bv1.Plan) string { return planTextOf(t, p, false) }

func planTextOf(t *testing.T, p *op25bv1.Plan, full bool) string {
	t.Helper()
	var b bytes.Buffer
	if err := Table(&b, options()).Plan(p, full); err != nil {
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
		&op25bv1.SwitchPlan{Switch: "old", Address: "192.0.2.9:1", Standing: standingGone, Reason: "it keeps its entries"},
		&op25bv1.SwitchPlan{Switch: "bad\x1b[2J", Address: "192.0.2.9:2", Standing: standingRead, Error: "table \"verdict\": no room"},
		&op25bv1.SwitchPlan{Switch: "staging", Address: "192.0.2.9:3", Standing: standingRead, Updates: 1234, Steps: []*op25bv1.PlanStep{{Updates: 1234}}},
	)
	many.Totals = &op25bv1.Totals{Switches: 1003, SwitchesChanged: 1, SwitchesRefused: 1, SwitchesGone: 1, Updates: 1234}
	want := `plan as the first revision, policy p, made 2026-05-01 09:00:00 +0900

1,000 switches: edge-1, edge-2, edge-3, edge-4, edge-5, edge-6, edge-7, edge-8 and 992 more, brought
to revision 3
  nothing to write

switch old at 192.0.2.9:1
  GONE   it keeps its entries

switch bad\u001b[2J at 192.0.2.9:2
  error: table "verdict": no room

switch staging at 192.0.2.9:3
  1,234 updates, all for rule sets of later phases: no packet meets them yet

nothing to change except rule sets of later phases, by 1,234 updates to 1 of 1,003 switches
1 switch would refuse this, for the errors above
1 switch is no longer in the inventory: see GONE
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

// Switches whose plans differ only in the numbers and names of many exemptions share a section. With full, each has a section of its own.
func TestPlanOfSums(t *testing.T) {
	p := &op25bv1.Plan{Base: 4, Policy: "p", Time: timestamppb.New(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)), Changes: true}
	add := func(name string, exemptions uint32, terms string, phase string) {
		p.Switches = append(p.Switches, &op25bv1.SwitchPlan{
			Switch: name, Address: "192.0.2.1:1", Standing: standingRead, AppliedRevision: 4, PhaseAfter: phase, Updates: uint64(exemptions),
			Steps: []*op25bv1.PlanStep{{Updates: exemptions}},
			Change: &op25bv1.Difference{Added: uint64(exemptions), Entries: []*op25bv1.EntryChange{
				{Kind: "added", Table: "subscriber_v4", New: "subscriber_v4 prefix=192.0.2." + name[len(name)-1:]},
			}},
			Tables: []*op25bv1.TableFill{{Table: "subscriber_v4", Entries: uint64(exemptions), Size: 81920}, {Table: "line", Entries: 10, Size: 8192}},
			Meaning: []*op25bv1.Sentence{{
				Kind: "exemption", Severity: "opens", Count: exemptions, What: "exemptions of lines added", Terms: terms,
				Text: fmt.Sprintf("%d exemptions of lines added%s: the lines of %s", exemptions, terms, name),
			}},
		})
	}
	add("edge-1", 3000, " until 2027-03-31, owner noc", "watch")
	add("edge-2", 41000, " until 2027-03-31, owner noc", "watch")
	add("edge-3", 3000, " until 2027-03-31, owner noc", "drain") // another phase is in force, so the plan is another
	add("edge-4", 20, " until 2027-03-31, owner noc", "watch")   // not many
	p.Totals = &op25bv1.Totals{Switches: 4, SwitchesChanged: 4, Added: 47020, Updates: 47020, Opens: 4}
	want := `plan on revision 4, policy p, made 2026-05-01 09:00:00 +0900

2 switches: edge-1, edge-2, brought to revision 4
  opens  44,000 exemptions of lines added until 2027-03-31, owner noc: edge-1 3,000, edge-2 41,000
  44,000 entries to add, 0 to change, 0 to remove, by 44,000 updates on 2 switches; --full lists
  them
  capacity: subscriber_v4 41,000 of 81,920

switch edge-3 at 192.0.2.1:1, brought to revision 4
  opens  3000 exemptions of lines added until 2027-03-31, owner noc: the lines of edge-3
  3,000 entries to add, 0 to change, 0 to remove, by 3,000 updates in 1 step
    + subscriber_v4 prefix=192.0.2.3
    ... and 2,999 more
  capacity: subscriber_v4 3,000 of 81,920; all others have more room

switch edge-4 at 192.0.2.1:1, brought to revision 4
  opens  20 exemptions of lines added until 2027-03-31, owner noc: the lines of edge-4
  20 entries to add, 0 to change, 0 to remove, by 20 updates in 1 step
    + subscriber_v4 prefix=192.0.2.4
    ... and 19 more
  capacity: line 10 of 8,192; all others have more room

47,020 entries to add, 0 to change, 0 to remove, by 47,020 updates to 4 of 4 switches
`
	if got := planText(t, p); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	full := planTextOf(t, p, true)
	for _, name := range []string{"edge-1", "edge-2", "edge-3", "edge-4"} {
		if !strings.Contains(full, "switch "+name+" at ") {
			t.Errorf("with full, %s has no section:\n%s", name, full)
		}
	}
	p.Switches[1].Meaning[0].Terms = " until 2027-04-30, 2 owners"
	if got, want := planText(t, p), "44,000 exemptions of lines added: edge-1 3,000, edge-2 41,000\n"; !strings.Contains(got, want) {
		t.Errorf("with other terms on each switch, %q is not in\n%s", want, got)
	}
}
