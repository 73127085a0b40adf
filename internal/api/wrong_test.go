package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	op25bv1 "op25b/proto/op25b/v1"
)

// Each invalid request returns one error that contains its code, the field and the valid values.
func TestWrong(t *testing.T) {
	w := newWorld(t, nil)
	conn := w.dial()
	ctx := within(t)
	files := spinnet(t)
	w.put(files)
	intents, phases := op25bv1.NewIntentServiceClient(conn), op25bv1.NewPhaseServiceClient(conn)
	fleet, audit := op25bv1.NewFleetServiceClient(conn), op25bv1.NewAuditServiceClient(conn)
	apply := func(r *op25bv1.ApplyRequest) func(context.Context) error {
		return func(ctx context.Context) error { return refusal(intents.Apply(ctx, r)) }
	}
	plan := func(r *op25bv1.PlanRequest) func(context.Context) error {
		return func(ctx context.Context) error { _, err := intents.Plan(ctx, r); return err }
	}
	activate := func(r *op25bv1.ActivateRequest) func(context.Context) error {
		return func(ctx context.Context) error { return refusal(phases.Activate(ctx, r)) }
	}
	rollback := func(r *op25bv1.RollbackRequest) func(context.Context) error {
		return func(ctx context.Context) error { return refusal(phases.Rollback(ctx, r)) }
	}
	preview := func(r *op25bv1.PreviewRequest) func(context.Context) error {
		return func(ctx context.Context) error { _, err := phases.Preview(ctx, r); return err }
	}
	restore := func(r *op25bv1.RestoreRequest) func(context.Context) error {
		return func(ctx context.Context) error { return refusal(intents.Restore(ctx, r)) }
	}
	named := func(name string) []*op25bv1.File { return []*op25bv1.File{{Name: name}} }
	const invalid = codes.InvalidArgument
	for _, c := range []struct {
		name string
		call func(context.Context) error
		code codes.Code
		want string // the error, or the beginning of the error if want ends in ...
	}{
		{"no reason", apply(&op25bv1.ApplyRequest{Files: files, Base: 1}), invalid, "reason: a change requires a reason; give the reason, which the audit record keeps"},
		{"blanks", restore(&op25bv1.RestoreRequest{Revision: 1, Base: 1, Reason: " \n"}), invalid, "reason: a change requires a reason; give the reason, which the audit record keeps"},
		{"a long reason", activate(&op25bv1.ActivateRequest{Phase: "before", Base: 1, Reason: strings.Repeat("x", 4097)}), invalid, "reason: the reason has 4097 bytes; must be at most 4096"},
		{"no files", apply(&op25bv1.ApplyRequest{Base: 1, Reason: "r"}), invalid, "files: the request has no files; give the documents of policy and inventory, or a saved plan"},
		{"a plan and files", apply(&op25bv1.ApplyRequest{Files: files, Plan: &op25bv1.Plan{}, Reason: "r"}), invalid, "plan: the request has a plan, and files or a base; give only the plan, which contains both"},
		{"a plan without files", apply(&op25bv1.ApplyRequest{Plan: &op25bv1.Plan{Base: 1}, Reason: "r"}), invalid, "files: the request has no files; ..."},
		{"a path out", plan(&op25bv1.PlanRequest{Files: named("../policy.yaml")}), invalid, `files[0].name: "../policy.yaml" is not a file name; must be a relative path with slashes, without dots and empty parts, such as policy.yaml`},
		{"no name", plan(&op25bv1.PlanRequest{Files: named("")}), invalid, `files[0].name: "" is not a file name; ...`},
		{"a name twice", plan(&op25bv1.PlanRequest{Files: append(named("a"), named("a")...)}), invalid, `files[1].name: "a" is also the name of files[0]; file names must differ`},
		{"no policy", plan(&op25bv1.PlanRequest{Files: files[:1]}), invalid, "..."},
		{"not YAML", plan(&op25bv1.PlanRequest{Files: []*op25bv1.File{{Name: "a.yaml", Data: []byte("a: [")}}}), invalid, "a.yaml:2:1: not valid YAML..."},
		{"a stale plan", plan(&op25bv1.PlanRequest{Files: files, Base: 7}), codes.Aborted, "..."},
		{"many entries", plan(&op25bv1.PlanRequest{MaxEntries: 10001}), invalid, "max_entries: 10001 is too large; must be at most 10000; 0 means 20"},
		{"a switch that is not there", plan(&op25bv1.PlanRequest{Switches: []string{"edge-2"}}), invalid, `switches[0]: unknown switch "edge-2"; ...`},
		{"a switch that is not there", func(ctx context.Context) error {
			_, err := fleet.Drift(ctx, &op25bv1.DriftRequest{Switches: []string{"edge-2"}})
			return err
		}, invalid, `switches[0]: unknown switch "edge-2"; ...`},
		{"an unknown phase", activate(&op25bv1.ActivateRequest{Phase: "befor", Base: 1, Reason: "r"}), invalid, `phase: unknown phase "befor"; ...`},
		{"an unknown group", activate(&op25bv1.ActivateRequest{Phase: "before", Groups: []string{"vdsl"}, Base: 1, Reason: "r"}), invalid, `groups[0]: unknown line group "vdsl"; ...`},
		{"a stale activation", activate(&op25bv1.ActivateRequest{Phase: "befor", Reason: "r"}), codes.Aborted, "..."},
		{"a stale rollback", rollback(&op25bv1.RollbackRequest{Base: 2, Reason: "r"}), codes.Aborted, "..."},
		{"nothing to go back to", rollback(&op25bv1.RollbackRequest{Base: 1, Reason: "r"}), codes.FailedPrecondition, "no phase to go back to: ..."},
		{"nothing to go back to, as a preview", preview(&op25bv1.PreviewRequest{Base: 1}), codes.FailedPrecondition, "no phase to go back to: ..."},
		{"a stale preview", preview(&op25bv1.PreviewRequest{Phase: "before", Base: 2}), codes.Aborted, "..."},
		{"a preview of an unknown phase", preview(&op25bv1.PreviewRequest{Phase: "befor"}), invalid, `phase: unknown phase "befor"; ...`},
		{"a preview for an unknown group", preview(&op25bv1.PreviewRequest{Groups: []string{"vdsl"}}), invalid, `groups[0]: unknown line group "vdsl"; ...`},
		{"no revision", restore(&op25bv1.RestoreRequest{Base: 1, Reason: "r"}), invalid, "revision: no revision; give the number of an earlier revision; IntentService.History lists them"},
		{"an unknown revision", restore(&op25bv1.RestoreRequest{Revision: 9, Base: 1, Reason: "r"}), codes.NotFound, "..."},
		{"an unknown revision", func(ctx context.Context) error {
			_, err := intents.Show(ctx, &op25bv1.ShowRequest{Revision: 9})
			return err
		}, codes.NotFound, "..."},
		{"an unknown revision", func(ctx context.Context) error {
			_, err := intents.Diff(ctx, &op25bv1.DiffRequest{From: 1, To: 9})
			return err
		}, codes.NotFound, "..."},
		{"long lists", func(ctx context.Context) error {
			_, err := intents.History(ctx, &op25bv1.HistoryRequest{Limit: 1001})
			return err
		}, invalid, "limit: 1001 is too large; must be at most 1000; 0 means 50"},
		{"long lists", func(ctx context.Context) error {
			_, err := audit.ListRecords(ctx, &op25bv1.ListRecordsRequest{Limit: 1001})
			return err
		}, invalid, "limit: 1001 is too large; must be at most 1000; 0 means 50"},
	} {
		w.now = w.now.Add(time.Minute) // allows the audit chain to record each refusal
		err := c.call(ctx)
		got := status.Convert(err).Message()
		want, begins := strings.CutSuffix(c.want, "...")
		if status.Code(err) != c.code || got != want && !begins || !strings.HasPrefix(got, want) || got == "" {
			t.Errorf("%s: %v, want %v, %q", c.name, err, c.code, c.want)
		}
		if c.code == invalid && len(detail[*op25bv1.Faults](err).GetFaults()) == 0 {
			t.Errorf("%s: %v has no faults", c.name, err)
		}
		if c.code == codes.Aborted && detail[*op25bv1.Stale](err).GetCurrent() != 1 {
			t.Errorf("%s: %v does not say which revision is current", c.name, err)
		}
	}
	records, err := audit.ListRecords(ctx, &op25bv1.ListRecordsRequest{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if r := records.Records; len(r) != 2 || r[1].Seq != records.Head.Seq || r[1].Hash != records.Head.Hash || r[1].Verb != "refused restore" || !strings.Contains(r[1].Detail, "9") {
		t.Errorf("the last records: %v", r)
	}
	verified, err := audit.Verify(ctx, &op25bv1.VerifyRequest{Known: []*op25bv1.AuditHead{records.Head}})
	if err != nil || !verified.Intact || verified.Head.Seq != records.Head.Seq {
		t.Errorf("%v, %v", verified, err)
	}
	forged := &op25bv1.AuditHead{Seq: 1, Hash: "forged"}
	if verified, err = audit.Verify(ctx, &op25bv1.VerifyRequest{Known: []*op25bv1.AuditHead{forged}}); err != nil || verified.Intact || verified.BrokenAt != 1 || !strings.HasPrefix(verified.Broken, "replaced: ") {
		t.Errorf("%v, %v", verified, err)
	}
}
