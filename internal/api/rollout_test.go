package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/examples"
	"op25b/internal/rollout"
	"op25b/internal/rollout/drive"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestRollouts verifies the calls of RolloutService, the messages of those that are refused, and that no other change is made while a rollout runs.
func TestRollouts(t *testing.T) {
	var d *drive.Driver
	w := newWorld(t, func(deps *Deps) {
		d = &drive.Driver{Store: deps.Store, Book: deps.Book, Name: "noc-1", Now: deps.Now, Logger: deps.Logger}
		deps.Rollouts = d
	})
	intents, phases, calls := op25bv1.NewIntentServiceClient(w.dial()), op25bv1.NewPhaseServiceClient(w.dial()), op25bv1.NewRolloutServiceClient(w.dial())
	const rings = "apiVersion: op25b/v1\nkind: Rings\nrings:\n  - {name: first, switches: [edge-east], soak: 30m}\n  - {name: rest, rest: true, soak: 2h}\n"
	start := func(phase, rings, reason string) error {
		_, err := calls.Start(within(t), &op25bv1.StartRolloutRequest{Phase: phase, RingsFile: "rings.yaml", Rings: []byte(rings), Reason: reason})
		return err
	}
	refused := func(err error, code codes.Code, text string) {
		t.Helper()
		if status.Code(err) != code || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %v: %s", err, code, text)
		}
	}
	refused(start("all-destinations", rings, "why"), codes.FailedPrecondition, "there is no intent yet")
	_, err := calls.Show(within(t), &op25bv1.ShowRolloutRequest{})
	refused(err, codes.NotFound, "there is no rollout")
	_, err = calls.Steer(within(t), &op25bv1.SteerRolloutRequest{Command: op25bv1.RolloutCommand_ROLLOUT_COMMAND_ABORT, Reason: "why"})
	refused(err, codes.NotFound, "there is no rollout")
	files := edited(t, examples.LibmoMobile())
	stream, err := intents.Apply(within(t), &op25bv1.ApplyRequest{Files: files, Reason: "begin", NoWait: true})
	told(t, stream, err)
	refused(start("all-destinations", rings, ""), codes.InvalidArgument, "a change requires a reason")
	refused(start("everything", rings, "why"), codes.InvalidArgument, `"everything"`)
	refused(start("all-destinations", strings.Replace(rings, "edge-east", "edge-eats", 1), "why"), codes.InvalidArgument, `rings.yaml:4:30: no switch has the name "edge-eats"; did you mean "edge-east"?`)
	refused(start("all-destinations", strings.Repeat("#", maxRings+1), "why"), codes.InvalidArgument, "the rings have 131073 bytes; must be at most 131072")
	dry := &op25bv1.StartRolloutRequest{Phase: "all-destinations", RingsFile: "rings.yaml", Rings: []byte(rings), DryRun: true}
	if r, err := calls.Start(within(t), dry); err != nil || r.Rollout.Id != "" || len(r.Rollout.Rings) != 2 || len(r.Rollout.Rings[1].Switches) != 2 {
		t.Errorf("a dry run: %v, %v", r, err)
	}
	_, err = calls.Show(within(t), &op25bv1.ShowRolloutRequest{})
	refused(err, codes.NotFound, "there is no rollout")
	dry.Phase, dry.Files = "", files
	_, err = calls.Start(within(t), dry)
	refused(err, codes.InvalidArgument, "the request has files, and is a dry run; request their plan instead")
	if err := start("all-destinations", rings, "OP25B-41"); err != nil {
		t.Fatal(err)
	}
	dry.Phase, dry.Files = "all-destinations", nil
	_, err = calls.Start(within(t), dry)
	refused(err, codes.FailedPrecondition, "a rollout is running: rollout 1 of phase all-destinations is measuring")
	refused(start("all-destinations", rings, "again"), codes.FailedPrecondition, "a rollout is running: rollout 1 is measuring: abort it, or wait until it has ended")
	shown, err := calls.Show(within(t), &op25bv1.ShowRolloutRequest{})
	if r := shown.GetRollout(); err != nil || r.Id != "1" || r.State != op25bv1.RolloutState_ROLLOUT_STATE_MEASURING || len(r.Rings) != 2 || len(r.Rings[1].Switches) != 2 || r.Reason != "OP25B-41" || r.Author == "" {
		t.Errorf("the rollout is %v, %v", shown, err)
	}
	shown, err = calls.Show(within(t), &op25bv1.ShowRolloutRequest{Seen: true})
	if seen := shown.GetSeen(); err != nil || len(seen.GetRings()) != 2 || seen.Rings[0].Confirmed != 0 || seen.Leader != "" || len(seen.Gates) != 0 || seen.Time == nil {
		t.Errorf("of the rollout is seen %v, %v", shown, err)
	}
	const running = "a rollout is running: rollout 1 of phase all-destinations is measuring: abort it, or wait until it has ended"
	activate, err := phases.Activate(within(t), &op25bv1.ActivateRequest{Phase: "drain", Base: 1, Reason: "why"})
	refused(last(activate, err), codes.FailedPrecondition, running)
	rollback, err := phases.Rollback(within(t), &op25bv1.RollbackRequest{Base: 1, Reason: "why"})
	refused(last(rollback, err), codes.FailedPrecondition, running)
	files[0].Data = append(files[0].Data, "# changed\n"...)
	apply, err := intents.Apply(within(t), &op25bv1.ApplyRequest{Files: files, Base: 1, Reason: "why"})
	refused(last(apply, err), codes.FailedPrecondition, running)
	restore, err := intents.Restore(within(t), &op25bv1.RestoreRequest{Revision: 1, Base: 1, Reason: "why"})
	refused(last(restore, err), codes.FailedPrecondition, running)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch, err := calls.Watch(ctx, &op25bv1.WatchRolloutRequest{})
	if err != nil {
		t.Fatal(err)
	}
	steer := func(c op25bv1.RolloutCommand) error {
		_, err := calls.Steer(within(t), &op25bv1.SteerRolloutRequest{Command: c, Reason: "because"})
		return err
	}
	refused(steer(op25bv1.RolloutCommand_ROLLOUT_COMMAND_UNSPECIFIED), codes.InvalidArgument, "must be pause, resume or abort")
	refused(steer(op25bv1.RolloutCommand_ROLLOUT_COMMAND_RESUME), codes.FailedPrecondition, "rollout 1 is measuring, and can be resumed only while it is held or paused")
	_, err = calls.Steer(within(t), &op25bv1.SteerRolloutRequest{Command: op25bv1.RolloutCommand_ROLLOUT_COMMAND_ABORT, Reason: "why", Since: timestamppb.New(time.Unix(1, 0))})
	refused(err, codes.Aborted, "rollout 1 has changed since it was shown: it is measuring since ")
	if _, err = d.Change(within(t), drive.By{Who: "noc-1"}, func(r rollout.Record) (rollout.Record, error) {
		r.State, r.Resumes, r.Findings = rollout.Held, rollout.Measuring, []rollout.Finding{{Gate: rollout.Foreseen, Verdict: rollout.Hold}, {Gate: rollout.Counting, Verdict: rollout.NoData}}
		return r, nil
	}); err != nil {
		t.Fatal(err)
	}
	resume := &op25bv1.SteerRolloutRequest{Command: op25bv1.RolloutCommand_ROLLOUT_COMMAND_RESUME, Reason: "because", Since: shown.Rollout.Since}
	_, err = calls.Steer(within(t), resume)
	refused(err, codes.Aborted, "rollout 1 has changed since it was shown: the gate foreseen holds it too; look at it again")
	resume.Accepts = []string{"foreseen"}
	if r, err := calls.Steer(within(t), resume); err != nil || r.Rollout.State != op25bv1.RolloutState_ROLLOUT_STATE_MEASURING || len(r.Rollout.Accepted) != 1 {
		t.Fatalf("%v, %v", r, err)
	}
	seenCtx, endSeen := context.WithCancel(t.Context())
	defer endSeen()
	if seen, err := calls.Watch(seenCtx, &op25bv1.WatchRolloutRequest{Seen: true}); err != nil {
		t.Error(err)
	} else if m, err := seen.Recv(); err != nil || m.Seen == nil || m.Rollout.Id != "1" {
		t.Errorf("watching what is seen: %v, %v", m, err)
	}
	for _, step := range []struct {
		command op25bv1.RolloutCommand
		want    op25bv1.RolloutState
	}{
		{op25bv1.RolloutCommand_ROLLOUT_COMMAND_PAUSE, op25bv1.RolloutState_ROLLOUT_STATE_PAUSED},
		{op25bv1.RolloutCommand_ROLLOUT_COMMAND_RESUME, op25bv1.RolloutState_ROLLOUT_STATE_MEASURING},
		{op25bv1.RolloutCommand_ROLLOUT_COMMAND_ABORT, op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK},
	} {
		if err := steer(step.command); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := watch.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if m.Rollout.State == step.want {
				if m.Rollout.Note != "because" {
					t.Errorf("%v", m.Rollout)
				}
				break
			}
		}
	}
	// No ring has the phase, so the rollout only waits for its switches.
	activate, err = phases.Activate(within(t), &op25bv1.ActivateRequest{Phase: "drain", Base: 1, Reason: "why", NoWait: true})
	told(t, activate, err)
	if _, err := d.Change(within(t), drive.By{Who: "noc-1"}, func(r rollout.Record) (rollout.Record, error) {
		r.State, r.Since = rollout.WentBack, time.Unix(1, 0)
		return r, nil
	}); err != nil {
		t.Fatal(err)
	}
	// Documents.
	current, err := intents.Current(within(t), &op25bv1.CurrentRequest{})
	if err != nil {
		t.Fatal(err)
	}
	documents := func(files []*op25bv1.File, phase string, base uint64) error {
		_, err := calls.Start(within(t), &op25bv1.StartRolloutRequest{Files: files, Phase: phase, RingsFile: "rings.yaml", Rings: []byte(rings), Base: base, Reason: "OP25B-44"})
		return err
	}
	base := current.Revision.Number
	same := edited(t, examples.LibmoMobile())
	refused(documents(same, "drain", base), codes.InvalidArgument, "the request has files, and a phase or groups")
	refused(documents(same, "", base-1), codes.Aborted, "the current revision is")
	refused(documents(same, "", base), codes.FailedPrecondition, "has the same documents")
	refused(documents(edited(t, examples.LibmoMobile(), "- name: edge-south", "- name: edge-north"), "", base), codes.InvalidArgument, `switch "edge-south" is not in the new inventory`)
	refused(documents(edited(t, examples.LibmoMobile(), "action: monitor", "action: pass"), "", base), codes.InvalidArgument, "pass")
	next := edited(t, examples.LibmoMobile(), "action: monitor", "action: drop")
	if err := documents(next, "", base); err != nil {
		t.Fatal(err)
	}
	const documentsRun = "a rollout is running: rollout 2 of the documents of policy libmo-mobile is measuring: abort it, or wait until it has ended"
	apply, err = intents.Apply(within(t), &op25bv1.ApplyRequest{Files: files, Base: base + 1, Reason: "why"})
	refused(last(apply, err), codes.FailedPrecondition, documentsRun)
	refused(documents(next, "", base+1), codes.FailedPrecondition, documentsRun)
	if in, err := w.book.Current(within(t)); err != nil || in.Split() == nil || in.Split().Base != base || len(in.Split().Switches) != 0 {
		t.Errorf("the intent has the split %v, %v", in.Split(), err)
	}
	if _, err := d.Change(within(t), drive.By{Who: "noc-1"}, func(r rollout.Record) (rollout.Record, error) {
		r.State, r.Since = rollout.WentBack, time.Unix(2, 0)
		return r, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := start("drain", rings, "OP25B-42"); err != nil {
		t.Error(err)
	}
	all, err := calls.List(within(t), &op25bv1.ListRolloutsRequest{})
	if err != nil || len(all.Rollouts) != 3 || all.Rollouts[0].Id != "3" || all.Rollouts[1].Policy != "libmo-mobile" || all.Rollouts[2].State != op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK {
		t.Errorf("the rollouts are %v, %v", all, err)
	}
}

// last returns the error with which a stream ends.
func last(s interface {
	Recv() (*op25bv1.Progress, error)
}, err error,
) error {
	for err == nil {
		_, err = s.Recv()
	}
	return err
}
