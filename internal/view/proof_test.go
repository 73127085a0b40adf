package view

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestProofTexts verifies the line of a proof, its table, and the text of a change that is not proved.
func TestProofTexts(t *testing.T) {
	head := "plan as the first revision, policy p, made 2026-05-01 09:00:00 +0900\n\n"
	tail := "nothing to change: documents and switches are as wanted, as far as they could be read\n"
	proved := &op25bv1.Proof{
		Proved: true, Packets: 1788, States: 17, UnhitCount: 4, Limited: true,
		Tables: []*op25bv1.ProofTable{{Table: "line", Entries: 4, Hit: 3, Missed: true}, {Table: "verdict", Entries: 1, Hit: 1}, {Table: "session"}},
		Unhit:  []*op25bv1.ProofUnhit{{Entry: "line port=1", Why: "not tried"}, {Entry: "verdict epoch=1", Why: "no line", Never: true}},
	}
	for _, tc := range []struct {
		proof *op25bv1.Proof
		full  bool
		want  string
	}{
		{proved, false, "proved on the twin: 1,788 packets and 17 states agree with the documents and this plan; 4 of 5\n" +
			"entries hit; some packets were left out, because there are too many\n"},
		{proved, true, "proved on the twin: 1,788 packets and 17 states agree with the documents and this plan; 4 of 5\n" +
			"entries hit; some packets were left out, because there are too many\n" +
			"  line: 3 of 4 entries hit, miss tried\n  verdict: 1 of 1 entry hit, no miss tried\n  not hit: line port=1: not tried\n  no packet can hit: verdict epoch=1: no line\n  and 2 more\n"},
		{&op25bv1.Proof{Proved: true, Packets: 1926}, true, "proved on the twin: 1,926 packets agree with the documents and this plan\n"},
		{&op25bv1.Proof{Proved: true}, false, "proved on the twin: the change touches no entry\n"},
		{&op25bv1.Proof{Error: "not proved on the twin: late"}, false, "not proved on the twin: late; apply refuses the change\n"},
		{
			&op25bv1.Proof{Packets: 9, Disagreements: 2, Counterexamples: []*op25bv1.Counterexample{{Text: "SYN from line x\n  the switch would do: drop\x1b\n"}}}, false,
			"not proved on the twin: 2 packets of 9 judged differently by the switch, the documents and this\n" +
				"plan; apply refuses the change\n  SYN from line x\n    the switch would do: drop\\u001b\n",
		},
	} {
		p := &op25bv1.Plan{Policy: "p", Time: timestamppb.New(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)), Proof: tc.proof}
		if got, want := planTextOf(t, p, tc.full), head+tc.want+tail; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// TestUnprovedTexts verifies the mark of an unproved revision in the history, and what the preview of a change of phase says if it is not proved.
func TestUnprovedTexts(t *testing.T) {
	var b strings.Builder
	v := Table(&b, Options{Now: time.Now, Location: time.UTC})
	revisions := []*op25bv1.Revision{
		{Number: 2, Author: "alice", Reason: "night", Time: timestamppb.New(time.Unix(60, 0)), Unproved: "not proved on the twin: late"},
		{Number: 1, Author: "bob", Reason: "first", Time: timestamppb.New(time.Unix(0, 0))},
	}
	if err := v.History(&op25bv1.HistoryResponse{Revisions: revisions}, 50); err != nil {
		t.Fatal(err)
	}
	if err := v.Preview(&op25bv1.PreviewResponse{Proof: &op25bv1.Proof{Error: "not proved on the twin: late"}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"alice  UNPROVED: night\n", "bob    first\n", "not proved on the twin: late; phase activate refuses the change, unless it is a way back\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}
