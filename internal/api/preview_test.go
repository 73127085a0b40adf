package api

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"op25b/examples"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestPreview: what an activation or a rollback would change is told for the switches and line groups that it is for, alike ones together,
// and is what it then changes.
func TestPreview(t *testing.T) {
	w := newWorld(t, nil)
	c := op25bv1.NewPhaseServiceClient(w.dial())
	ctx := within(t)
	if _, err := c.Preview(ctx, &op25bv1.PreviewRequest{Phase: "drain"}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("without intent: %v", err)
	}
	w.now = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	w.put(edited(t, examples.LibmoMobile())) // edge-east, edge-west and edge-south, line groups sim and sim-fixed; in force since April is watch
	want := func(q *op25bv1.PreviewRequest, want *op25bv1.PreviewResponse) {
		t.Helper()
		got, err := c.Preview(ctx, q)
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("%v: got %v, %v, want %v", q, got, err, want)
		}
	}
	all := []string{"edge-east", "edge-west", "edge-south"}
	both := []string{"sim", "sim-fixed"}
	want(&op25bv1.PreviewRequest{Phase: "drain", Base: 1}, &op25bv1.PreviewResponse{
		Revision: 1, Phase: "drain", Switches: 3, Changes: []*op25bv1.PhaseChange{{From: "watch", Groups: both, ByDefault: true, EveryLine: true, Switches: all}},
	})
	want(&op25bv1.PreviewRequest{Phase: "watch", Groups: []string{"sim"}, Switches: []string{"edge-south", "edge-west"}}, &op25bv1.PreviewResponse{
		Revision: 1, Phase: "watch", Switches: 3, Changes: []*op25bv1.PhaseChange{{From: "watch", Groups: []string{"sim"}, Switches: []string{"edge-west", "edge-south"}}},
	})

	stream, err := c.Activate(ctx, &op25bv1.ActivateRequest{Phase: "drain", Groups: []string{"sim"}, Switches: []string{"edge-west"}, Base: 1, Reason: "pilot", NoWait: true})
	told(t, stream, err)
	want(&op25bv1.PreviewRequest{Phase: "all-destinations"}, &op25bv1.PreviewResponse{
		Revision: 2, Phase: "all-destinations", Switches: 3, Changes: []*op25bv1.PhaseChange{
			{From: "watch", Groups: both, ByDefault: true, EveryLine: true, Switches: []string{"edge-east", "edge-south"}},
			{From: "watch", Groups: []string{"sim-fixed"}, ByDefault: true, Switches: []string{"edge-west"}},
			{From: "drain", Groups: []string{"sim"}, Switches: []string{"edge-west"}},
		},
	})
	want(&op25bv1.PreviewRequest{Phase: "watch", Groups: []string{"sim"}}, &op25bv1.PreviewResponse{
		Revision: 2, Phase: "watch", Switches: 3, Changes: []*op25bv1.PhaseChange{
			{From: "watch", Groups: []string{"sim"}, Switches: []string{"edge-east", "edge-south"}},
			{From: "drain", Groups: []string{"sim"}, Switches: []string{"edge-west"}},
		},
	})
	back := &op25bv1.PreviewRequest{Groups: []string{"sim"}, Switches: []string{"edge-west"}}
	want(back, &op25bv1.PreviewResponse{
		Revision: 2, Phase: "watch", Switches: 3, Changes: []*op25bv1.PhaseChange{{From: "drain", Groups: []string{"sim"}, Switches: []string{"edge-west"}}},
	})

	// While somebody looks at it, the date of drain comes and another after it: back is then not where it was.
	w.now = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	rollback := &op25bv1.RollbackRequest{Groups: back.Groups, Switches: back.Switches, Base: 2, Reason: "calls", Phase: "watch", NoWait: true}
	err = refusal(c.Rollback(ctx, rollback))
	if got, want := status.Convert(err).Message(), `the rollback is to phase "drain" by now, not to "watch": look at it again`; got != want || status.Code(err) != codes.FailedPrecondition {
		t.Errorf("%v, want %q", err, want)
	}
	rollback.Phase = "drain"
	stream, err = c.Rollback(ctx, rollback)
	if events := told(t, stream, err); events[0].GetStored().GetNumber() != 3 {
		t.Errorf("%v", events)
	}
	if got := w.chain(); !slices.Contains(got, "local admin rollback phase drain") || !slices.Contains(got, "local admin refused rollback") {
		t.Errorf("the chain is %q", got)
	}

	// Before any date nothing is in force.
	w.now = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	want(&op25bv1.PreviewRequest{Phase: "watch", Switches: []string{"edge-east"}}, &op25bv1.PreviewResponse{
		Revision: 3, Phase: "watch", Switches: 3, Changes: []*op25bv1.PhaseChange{{Groups: both, ByDefault: true, EveryLine: true, Switches: []string{"edge-east"}}},
	})
}
