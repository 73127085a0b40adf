package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"op25b/examples"
	"op25b/internal/auth"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// exempting returns the files of the worked example with n additional exemptions of addresses.
func exempting(t testing.TB, n int) []*op25bv1.File {
	t.Helper()
	var b strings.Builder
	b.WriteString("exemptions:\n")
	addr := netip.MustParseAddr("100.64.0.0")
	for range n {
		fmt.Fprintf(&b, "  - {prefix: %v/32, owner: noc@isp.example, reason: test, expires: 2099-12-31}\n", addr)
		addr = addr.Next()
	}
	return edited(t, examples.SpinNet2006(), "exemptions:\n", b.String())
}

// TestI13ApplyRefusesWhatSwitchesWould applies documents with more entries than a switch has room for. They must be refused before they are
// stored, even though the switch is unreachable, and the error must contain the table, its size and the number of entries. A phase can then be
// activated and rolled back.
func TestI13ApplyRefusesWhatSwitchesWould(t *testing.T) {
	w := newWorld(t, nil)
	w.put(spinnet(t))
	c := op25bv1.NewIntentServiceClient(w.dial())
	ctx := within(t)
	files := exempting(t, 82_200)
	err := refusal(c.Apply(ctx, &op25bv1.ApplyRequest{Files: files, Base: 1, Reason: "too many", NoWait: true}))
	want := `nothing was stored: switch "edge-1": table "subscriber_v4": no room: 81920 entries, 8`
	if got := status.Convert(err).Message(); status.Code(err) != codes.FailedPrecondition || !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " wanted") {
		t.Errorf("got %v, want %q", err, want)
	}
	if r, err := c.Current(ctx, &op25bv1.CurrentRequest{}); err != nil || r.Revision.Number != 1 {
		t.Errorf("the current revision is %v, %v", r, err)
	}
	phases := op25bv1.NewPhaseServiceClient(w.dial())
	stream, err := phases.Activate(ctx, &op25bv1.ActivateRequest{Phase: "all-destinations", Base: 1, Reason: "early", NoWait: true})
	told(t, stream, err)
	back, err := phases.Rollback(ctx, &op25bv1.RollbackRequest{Base: 2, Reason: "calls", NoWait: true})
	told(t, back, err)
}

// TestI13OperatorRestores verifies that an operator can undo the newest change of documents but nothing older, and that an admin can restore
// any revision.
func TestI13OperatorRestores(t *testing.T) {
	tokens := make(map[string]string)
	access, err := auth.Open(accessFile(t, tokens, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(d *Deps) { d.Auth.Access = access })
	c := op25bv1.NewIntentServiceClient(w.dial())
	as := func(role string) context.Context {
		return metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens[role])
	}
	restore := func(role string, revision, base uint64) error {
		return refusal(c.Restore(as(role), &op25bv1.RestoreRequest{Revision: revision, Base: base, Reason: "calls", NoWait: true}))
	}
	w.put(spinnet(t))
	refused := restore("operator", 1, 1)
	if got := status.Convert(refused).Message(); status.Code(refused) != codes.PermissionDenied ||
		got != "operator-bot has the role operator, and there is no revision before the newest; revision 1 requires admin" {
		t.Errorf("the newest revision: %v", refused)
	}
	w.put(edited(t, examples.SpinNet2006(), "127.0.0.1:9559", nobody(t), "expires: 2007-03-31", "expires: 2008-03-31"))
	w.put(spinnet(t))

	refused = restore("operator", 1, 3)
	if got := status.Convert(refused).Message(); status.Code(refused) != codes.PermissionDenied ||
		got != "operator-bot has the role operator and may restore only revision 2, the one before the newest; revision 1 requires admin" {
		t.Errorf("an older revision: %v", refused)
	}
	if err := restore("viewer", 2, 3); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a viewer: %v", err)
	}
	if err := restore("operator", 2, 3); !errors.Is(err, io.EOF) {
		t.Errorf("the revision before: %v", err)
	}
	if err := restore("admin", 1, 4); !errors.Is(err, io.EOF) {
		t.Errorf("an admin: %v", err)
	}
	if got := w.chain(); !slices.Contains(got, "operator-bot operator refused restore") || !slices.Contains(got, "operator-bot operator restore revision 2") {
		t.Errorf("the chain is %q", got)
	}
	if _, err := c.Plan(as("viewer"), &op25bv1.PlanRequest{Restore: 1}); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "nothing to change") {
		t.Errorf("a plan to restore what is there: %v", err)
	}
	if _, err := c.Plan(as("viewer"), &op25bv1.PlanRequest{Restore: 9}); status.Code(err) != codes.NotFound {
		t.Errorf("a plan to restore a revision that is not there: %v", err)
	}
	if _, err := c.Plan(as("viewer"), &op25bv1.PlanRequest{Restore: 1, Files: spinnet(t)}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a plan to restore with files: %v", err)
	}
}

// TestPlanOfARestore verifies that the plan of a restoration lists the activations that are taken back, and the mail that is then stopped.
func TestPlanOfARestore(t *testing.T) {
	w := newWorld(t, nil)
	w.put(spinnet(t))
	in, err := w.book.Activate(within(t), 1, "all-destinations", policy.Scope{Groups: []string{"adsl"}}, intent.By{Who: "alice", Reason: "early"})
	if err != nil {
		t.Fatal(err)
	}
	if in, err = w.book.Rollback(within(t), in.Number, policy.Scope{}, intent.By{Who: "bob", Reason: "calls"}); err != nil {
		t.Fatal(err)
	}
	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-1", Revision: in.Number})
	r, err := op25bv1.NewIntentServiceClient(w.dial()).Plan(within(t), &op25bv1.PlanRequest{Restore: 2})
	if err != nil {
		t.Fatal(err)
	}
	const back = "the rollback of revision 2 for adsl lines by bob, revision 3 of 2006-05-20 09:00:00 +0900, is taken back"
	if p := r.Plan; p.Base != 3 || len(p.Documents) != 0 || p.Notes[0] != back || p.Totals.Stops == 0 ||
		p.Switches[0].PhaseBefore != "before" || p.Switches[0].PhaseAfter != "before; all-destinations: adsl" {
		t.Errorf("%v", p)
	}
	if r, err = op25bv1.NewIntentServiceClient(w.dial()).Plan(within(t), &op25bv1.PlanRequest{Restore: 1}); err != nil {
		t.Fatal(err)
	}
	if n := r.Plan.Notes; len(n) < 2 || n[0] != "the activation of phase all-destinations for adsl lines by alice, revision 2 of 2006-05-20 09:00:00 +0900, is taken back" {
		t.Errorf("%q", n)
	}
}

// TestI13BrokenDocuments makes the newest documents unusable. Calls that need them must fail, but changes of phase, restoring a revision, and
// applying good documents must still succeed.
func TestI13BrokenDocuments(t *testing.T) {
	w := newWorld(t, nil)
	w.put(spinnet(t))
	conn := w.dial()
	c, phases := op25bv1.NewIntentServiceClient(conn), op25bv1.NewPhaseServiceClient(conn)
	breaks := func(base uint64) {
		t.Helper()
		_, err := w.store.Revisions().Put(within(t), store.Change{
			Base: base, Author: "another hand", Reason: "test", Documents: map[string][]byte{"files/policy.yaml": []byte("kind: [Policy")}, KeepOthers: true,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	breaks(1)
	listed, err := phases.ListPhases(within(t), &op25bv1.ListPhasesRequest{})
	if err != nil || listed.Revision != 2 || len(listed.Phases) != 3 || !strings.Contains(listed.Broken, "policy.yaml:2:1: not valid YAML") {
		t.Errorf("%v, %v", listed, err)
	}
	_, err = c.Show(within(t), &op25bv1.ShowRequest{Revision: 2})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "the documents cannot be used") {
		t.Errorf("the broken revision is shown: %v", err)
	}
	stream, err := phases.Activate(within(t), &op25bv1.ActivateRequest{Phase: "all-destinations", Base: 2, Reason: "early", NoWait: true})
	told(t, stream, err)
	preview, err := phases.Preview(within(t), &op25bv1.PreviewRequest{})
	if err != nil || preview.Undoes.GetRevision() != 3 || preview.Phase != "before" || preview.Broken == "" {
		t.Errorf("%v, %v", preview, err)
	}
	back, err := phases.Rollback(within(t), &op25bv1.RollbackRequest{Base: 3, Reason: "calls", NoWait: true})
	told(t, back, err)
	made, err := c.Plan(within(t), &op25bv1.PlanRequest{Restore: 1})
	if err != nil || len(made.Plan.Documents) != 1 || made.Plan.Switches[0].Error != "" {
		t.Errorf("%v, %v", made, err)
	}
	restored, err := c.Restore(within(t), &op25bv1.RestoreRequest{Revision: 1, Base: 4, Reason: "back", NoWait: true})
	told(t, restored, err)
	breaks(5)
	applied, err := c.Apply(within(t), &op25bv1.ApplyRequest{Files: spinnet(t), Base: 6, Reason: "mended", NoWait: true})
	told(t, applied, err)
}
