package view

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	op25bv1 "op25b/proto/op25b/v1"
)

// Times are shown in the policy's UTC offset, followed by the offset. With +09:00, the first moment of a day must not be shown as the
// day before, whatever the caller's zone is.
func TestTimesOfAPolicy(t *testing.T) {
	const offset = "+09:00"
	midnight := at("2026-11-30T15:00:00Z") // the start of 1 December in Japan
	turn := &op25bv1.PhaseTurn{Time: midnight, Phase: "drain"}
	for _, c := range []struct {
		name    string
		message proto.Message
		show    func(View, proto.Message) error
		want    []string
	}{
		{
			"plan", &op25bv1.Plan{Time: midnight, Policy: "p", UtcOffset: offset},
			func(v View, m proto.Message) error { return v.Plan(m.(*op25bv1.Plan), false) },
			[]string{"made 2026-12-01 00:00:00 +0900\n"},
		},
		{
			"check", &op25bv1.CheckResponse{At: midnight, Phase: &op25bv1.PhaseSince{Name: "drain"}, UtcOffset: offset, Results: []*op25bv1.CheckResult{{
				Outcome: "blocked", Since: &op25bv1.PhaseSince{Name: "drain", Since: midnight}, Next: &op25bv1.CheckNext{Outcome: "delivered", Phase: &op25bv1.PhaseSince{Since: midnight}},
				Exemption: &op25bv1.CheckExemption{Line: "a", Expires: at("2026-12-01T15:00:00Z")}, // the end of 1 December
			}}},
			func(v View, m proto.Message) error { return v.Check(m.(*op25bv1.CheckResponse)) },
			[]string{"at 2026-12-01 00:00:00 +0900", "since    2026-12-01 00:00:00 +0900", "from 2026-12-01 00:00:00 +0900", "until the end of 2026-12-01"},
		},
		{
			"phase list", &op25bv1.ListPhasesResponse{Policy: "p", Next: midnight, NextTurn: turn, UtcOffset: offset},
			func(v View, m proto.Message) error { return v.Phases(m.(*op25bv1.ListPhasesResponse)) },
			[]string{"changes by itself at 2026-12-01 00:00:00 +0900", "drain changes this at 2026-12-01 00:00:00 +0900"},
		},
		{
			"phase show", &op25bv1.ShowPhaseResponse{Phase: &op25bv1.Phase{Name: "drain", Effective: "2026-12-01", Begins: midnight}, UtcOffset: offset},
			func(v View, m proto.Message) error { return v.Phase(m.(*op25bv1.ShowPhaseResponse)) },
			[]string{"2026-12-01 00:00:00 +0900"},
		},
		{
			"preview", &op25bv1.PreviewResponse{NextTurn: turn, Undoes: &op25bv1.Activation{Phase: "drain", Time: midnight}, UtcOffset: offset},
			func(v View, m proto.Message) error { return v.Preview(m.(*op25bv1.PreviewResponse)) },
			[]string{"revision 0 of 2026-12-01 00:00:00 +0900", "drain changes this at 2026-12-01 00:00:00 +0900"},
		},
		{
			"history", &op25bv1.HistoryResponse{UtcOffset: offset, Revisions: []*op25bv1.Revision{{Number: 1, Time: midnight, Author: "a"}}},
			func(v View, m proto.Message) error { return v.History(m.(*op25bv1.HistoryResponse), 50) },
			[]string{"WHEN (+0900)", "1         2026-12-01 00:00:00"},
		},
		{
			"audit", &op25bv1.ListRecordsResponse{UtcOffset: offset, Records: []*op25bv1.AuditRecord{{Seq: 1, Time: midnight, Who: "a"}}},
			func(v View, m proto.Message) error { return v.Records(m.(*op25bv1.ListRecordsResponse), Listing{}) },
			[]string{"WHEN (+0900)", "1       2026-12-01 00:00:00"},
		},
	} {
		var out bytes.Buffer
		if err := c.show(Table(&out, Options{Now: time.Now, Location: time.UTC}), c.message); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, out.String())
			}
		}
		if strings.Contains(out.String(), "2026-11-30") {
			t.Errorf("%s: the day before is shown:\n%s", c.name, out.String())
		}
	}
}
