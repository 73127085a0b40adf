package api

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/examples"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestPreview verifies that a preview lists the changes of an activation or a rollback per switch and line group, with equal changes merged.
// The activation or rollback must then make exactly these changes.
func TestPreview(t *testing.T) {
	w := newWorld(t, nil)
	c := op25bv1.NewPhaseServiceClient(w.dial())
	ctx := within(t)
	if _, err := c.Preview(ctx, &op25bv1.PreviewRequest{Phase: "drain"}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("without intent: %v", err)
	}
	w.now = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	in := w.put(edited(t, examples.LibmoMobile())) // the switches are edge-east, edge-west and edge-south, and the line groups are sim and sim-fixed; phase watch has been in force since April
	want := func(q *op25bv1.PreviewRequest, want *op25bv1.PreviewResponse) {
		t.Helper()
		got, err := c.Preview(ctx, q)
		want.Time, want.Switches, want.UtcOffset = timestamppb.New(w.now), 3, "+09:00"
		for i, c := range want.Changes {
			lines := uint32(0)
			for _, name := range c.Switches {
				sw, _ := in.Bundle.Inventory.Switch(name)
				for _, l := range sw.Lines { // every line of the example has a group
					if slices.Contains(c.Groups, l.Group) {
						lines++
					}
				}
			}
			want.Changes[i].Lines = lines
		}
		if !got.GetProof().GetProved() {
			t.Errorf("%v: not proved: %v", q, got.GetProof())
		}
		if got != nil {
			got.Proof = nil
		}
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("%v: got %v, %v, want %v", q, got, err, want)
		}
	}
	all := []string{"edge-east", "edge-west", "edge-south"}
	both := []string{"sim", "sim-fixed"}
	west := []string{"edge-west"}
	every := func(from, to string, switches []string) *op25bv1.PhaseChange {
		return &op25bv1.PhaseChange{From: from, To: to, Groups: both, ByDefault: true, EveryLine: true, Switches: switches}
	}
	sim := func(from, to string, switches ...string) *op25bv1.PhaseChange {
		return &op25bv1.PhaseChange{From: from, To: to, Groups: []string{"sim"}, Switches: switches}
	}
	fixed := func(from, to string) *op25bv1.PhaseChange {
		return &op25bv1.PhaseChange{From: from, To: to, Groups: []string{"sim-fixed"}, ByDefault: true, Switches: west}
	}
	turn := func(phase string, month, day int, changes ...*op25bv1.PhaseChange) *op25bv1.PhaseTurn {
		at := time.Date(2026, time.Month(month), day, 0, 0, 0, 0, time.FixedZone("", 9*3600))
		return &op25bv1.PhaseTurn{Phase: phase, Time: timestamppb.New(at), Changes: changes}
	}
	activate := func(q *op25bv1.ActivateRequest) {
		t.Helper()
		q.Reason, q.NoWait = "pilot", true
		stream, err := c.Activate(ctx, q)
		told(t, stream, err)
	}
	rollback := func(q *op25bv1.RollbackRequest) error {
		q.Reason, q.NoWait = "calls", true
		return refusal(c.Rollback(ctx, q))
	}

	// The date of phase drain itself changes nothing, so the next turn is the date after it.
	want(&op25bv1.PreviewRequest{Phase: "drain", Base: 1}, &op25bv1.PreviewResponse{
		Revision: 1, Phase: "drain", Changes: []*op25bv1.PhaseChange{every("watch", "drain", all)},
		NextTurn: turn("all-destinations", 6, 8, every("drain", "all-destinations", all)),
	})
	want(&op25bv1.PreviewRequest{Phase: "watch", Groups: []string{"sim"}, Switches: []string{"edge-south", "edge-west"}}, &op25bv1.PreviewResponse{
		Revision: 1, Phase: "watch", Changes: []*op25bv1.PhaseChange{sim("watch", "watch", "edge-west", "edge-south")},
		NextTurn: turn("drain", 6, 1, sim("watch", "drain", "edge-west", "edge-south")),
	})
	activate(&op25bv1.ActivateRequest{Phase: "drain", Groups: []string{"sim"}, Switches: west, Base: 1})
	others := []string{"edge-east", "edge-south"}
	want(&op25bv1.PreviewRequest{Phase: "all-destinations"}, &op25bv1.PreviewResponse{
		Revision: 2, Phase: "all-destinations", Changes: []*op25bv1.PhaseChange{
			every("watch", "all-destinations", others), fixed("watch", "all-destinations"), sim("drain", "all-destinations", west...),
		},
	})
	want(&op25bv1.PreviewRequest{Phase: "all-destinations", Switches: others, UntilNextDate: true}, &op25bv1.PreviewResponse{
		Revision: 2, Phase: "all-destinations", Changes: []*op25bv1.PhaseChange{every("watch", "all-destinations", others)},
		NextTurn: turn("drain", 6, 1, every("all-destinations", "drain", others)),
	})
	activate(&op25bv1.ActivateRequest{Phase: "watch", Switches: west, Base: 2})

	// A rollback of the last activation returns each line group to its previous phase.
	second := &op25bv1.Activation{
		Phase: "drain", Groups: []string{"sim"}, Switches: west, Time: timestamppb.New(w.now), Author: "local", Reason: "pilot", Revision: 2,
	}
	third := &op25bv1.Activation{Phase: "watch", Switches: west, Time: timestamppb.New(w.now), Author: "local", Reason: "pilot", Revision: 3}
	want(&op25bv1.PreviewRequest{}, &op25bv1.PreviewResponse{
		Revision: 3, Changes: []*op25bv1.PhaseChange{fixed("watch", "watch"), sim("watch", "drain", west...)}, Undoes: third,
		NextTurn: turn("drain", 6, 1, fixed("watch", "drain")),
	})
	if err := rollback(&op25bv1.RollbackRequest{Base: 3, Groups: []string{"sim-fixed"}}); status.Code(err) != codes.FailedPrecondition ||
		!strings.Contains(err.Error(), `no activation makes a difference there: phase "watch" is in force by its date`) {
		t.Errorf("nothing to undo: %v", err)
	}
	if err := rollback(&op25bv1.RollbackRequest{Base: 3, Shown: timestamppb.New(w.now)}); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	// A second rollback undoes the activation before that.
	want(&op25bv1.PreviewRequest{}, &op25bv1.PreviewResponse{
		Revision: 4, Phase: "watch", Changes: []*op25bv1.PhaseChange{sim("drain", "watch", west...)}, Undoes: second,
		NextTurn: turn("drain", 6, 1, sim("watch", "drain", west...)),
	})

	// The date of phase drain comes after the preview and before the rollback.
	shown := timestamppb.New(w.now)
	w.now = time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC)
	err := rollback(&op25bv1.RollbackRequest{Base: 4, Shown: shown})
	if got, want := status.Convert(err).Message(), `phase "drain" has begun by its date since the preview: preview the rollback again`; got != want || status.Code(err) != codes.FailedPrecondition {
		t.Errorf("%v, want %q", err, want)
	}
	err = rollback(&op25bv1.RollbackRequest{Base: 4})
	if !strings.Contains(status.Convert(err).Message(), `phase "drain" is in force by its date, since 2026-06-01T00:00:00+09:00; to go back to the phase before it, activate phase "watch"`) {
		t.Errorf("after the date: %v", err)
	}
	if got := w.chain(); !slices.Contains(got, "local admin rollback revision 3, phase watch") || !slices.Contains(got, "local admin refused rollback") {
		t.Errorf("the chain is %q", got)
	}

	// Before the first date, no phase is in force.
	w.now = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	want(&op25bv1.PreviewRequest{Phase: "watch", Switches: []string{"edge-east"}}, &op25bv1.PreviewResponse{
		Revision: 4, Phase: "watch", Changes: []*op25bv1.PhaseChange{every("", "watch", []string{"edge-east"})},
		NextTurn: turn("drain", 6, 1, every("watch", "drain", []string{"edge-east"})),
	})
}

// TestPreviewDatesOfGroups verifies that a preview names the next date of a line group, and that a rollback is refused if one has come since its
// preview.
func TestPreviewDatesOfGroups(t *testing.T) {
	w := newWorld(t, nil)
	w.now = time.Date(2006, 6, 2, 0, 0, 0, 0, time.UTC)
	w.put(edited(t, examples.SpinNet2006(), "effective: 2006-10-01", "effective: 2006-10-01T04:30\n    effectiveFor: [{groups: [adsl], effective: 2006-07-01T02:00}]"))
	c, ctx := op25bv1.NewPhaseServiceClient(w.dial()), within(t)
	r, err := c.Preview(ctx, &op25bv1.PreviewRequest{Phase: "before"})
	if err != nil || r.NextTurn.GetTime().AsTime().Format(time.RFC3339) != "2006-06-30T17:00:00Z" || r.NextTurn.GetPhase() != "all-destinations" ||
		len(r.NextTurn.GetChanges()) != 1 || !slices.Equal(r.NextTurn.Changes[0].Groups, []string{"adsl"}) {
		t.Fatalf("%v, %v", r, err)
	}
	list, err := c.ListPhases(ctx, &op25bv1.ListPhasesRequest{})
	if err != nil || list.Phases[2].Effective != "2006-10-01T04:30" || len(list.Phases[2].EffectiveFor) != 1 || list.Phases[2].EffectiveFor[0].Effective != "2006-07-01T02:00" {
		t.Errorf("%v, %v", list, err)
	}
	stream, err := c.Activate(ctx, &op25bv1.ActivateRequest{Phase: "before", Base: 1, Reason: "test", NoWait: true})
	told(t, stream, err)
	shown := timestamppb.New(w.now)
	w.now = w.now.AddDate(0, 1, 0)
	err = refusal(c.Rollback(ctx, &op25bv1.RollbackRequest{Base: 2, Reason: "test", NoWait: true, Shown: shown}))
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), `phase "all-destinations" has begun by its date since the preview`) {
		t.Errorf("%v", err)
	}
}
