package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"op25b/internal/auth"
	"op25b/internal/intent"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// applied makes a change and returns its error.
func applied(ctx context.Context, c op25bv1.IntentServiceClient, q *op25bv1.ApplyRequest) error {
	stream, err := c.Apply(ctx, q)
	for err == nil {
		var p *op25bv1.Progress
		if p, err = stream.Recv(); err == nil && p.GetStored() != nil {
			return nil
		}
	}
	return err
}

// refuses fails the test unless an error has the code and contains the text.
func refuses(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), text) {
		t.Errorf("got %v, want %v with %q", err, code, text)
	}
}

// TestMassChange verifies that every client of the API has to confirm a change that removes many lines or many entries of one table.
func TestMassChange(t *testing.T) {
	w := newWorld(t, func(d *Deps) { d.MassChange = 5 })
	w.now = time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC)
	c := op25bv1.NewIntentServiceClient(w.dial())
	w.put(edited(t, largeFleet(t, 10, 0)))
	fewer := edited(t, largeFleet(t, 8, 0))

	r, err := c.Plan(within(t), &op25bv1.PlanRequest{Files: fewer})
	if err != nil {
		t.Fatal(err)
	}
	if p := r.Plan; p.MassPercent != 5 || len(p.Removals) == 0 || p.Removals[0].Switch != "" || p.Removals[0].Removed != 12 || p.Removals[0].Of != 60 {
		t.Errorf("the plan has the removals %v beyond %v %%, want 12 of 60 lines first, beyond 5 %%", p.Removals, p.MassPercent)
	}
	q := &op25bv1.ApplyRequest{Files: fewer, Base: 1, Reason: "an export", NoWait: true}
	refuses(t, applied(within(t), c, q), codes.FailedPrecondition, "mass change: it would remove more than 5 % at once: 12 of 60 lines (20.0 %); nothing was stored")
	q.MassChange = true
	if err := applied(within(t), c, q); err != nil {
		t.Fatal(err)
	}

	// Four lines of 48 are few, but they are half of the lines of their switch.
	without := func(names ...string) []*op25bv1.File {
		some := largeFleet(t, 8, 0)
		for i, f := range some {
			lines := strings.SplitAfter(string(f.Data), "\n")
			for j, line := range lines {
				if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(line, "name: "+name+",") }) {
					lines[j] = ""
				}
			}
			some[i].Data = []byte(strings.Join(lines, ""))
		}
		return edited(t, some)
	}
	q = &op25bv1.ApplyRequest{Files: without("line-3-4", "line-3-5", "line-3-6", "line-3-7"), Base: 2, Reason: "half of a switch", NoWait: true}
	refuses(t, applied(within(t), c, q), codes.FailedPrecondition, "at once: 4 of 8 entries (50.0 %) of table")
	if chain := strings.Join(w.chain(), "\n"); !strings.Contains(chain, "refused apply") {
		t.Errorf("the audit chain has no refused change:\n%s", chain)
	}
	q = &op25bv1.ApplyRequest{Files: without("line-3-7"), Base: 2, Reason: "a customer leaves", NoWait: true}
	if err := applied(within(t), c, q); err != nil {
		t.Errorf("one line of eight: %v", err)
	}
}

// TestSecondPerson verifies that, where the access file asks for it, a mass change needs the approval of another person for exactly its documents.
func TestSecondPerson(t *testing.T) {
	tokens := make(map[string]string)
	access, err := auth.Open(accessFile(t, tokens, "massChange: {secondPerson: true}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(d *Deps) { d.MassChange, d.Auth = 5, Auth{Access: access} })
	w.now = time.Date(2006, 4, 15, 0, 0, 0, 0, time.UTC)
	c := op25bv1.NewIntentServiceClient(w.dial())
	as := func(role string) context.Context {
		return metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens[role])
	}
	w.put(edited(t, largeFleet(t, 10, 0)))
	fewer := largeFleet(t, 8, 0)
	q := &op25bv1.ApplyRequest{Files: edited(t, fewer), Base: 1, Reason: "the old town leaves", NoWait: true, MassChange: true}
	approve := func(role string, base uint64, digest string) error {
		_, err := c.Approve(as(role), &op25bv1.ApproveRequest{Digest: digest, Base: base, Reason: "seen"})
		return err
	}
	const lacks = "mass change without a second person: it removes 12 of 60 lines (20.0 %), and the access file requires that another person than operator-bot approves"
	refuses(t, applied(as("operator"), c, q), codes.FailedPrecondition, lacks)
	digest := intent.Digest(fewer, 1)
	for _, step := range []struct{ role, digest string }{
		{"operator", digest}, // the author's own approval does not count
		{"admin", intent.Digest(largeFleet(t, 9, 0), 1)},
	} {
		if err := approve(step.role, 1, step.digest); err != nil {
			t.Fatal(err)
		}
		refuses(t, applied(as("operator"), c, q), codes.FailedPrecondition, lacks)
	}
	refuses(t, approve("admin", 1, "4711"), codes.InvalidArgument, "must be 64 hexadecimal digits")
	refuses(t, approve("admin", 2, digest), codes.Aborted, "")
	refuses(t, approve("viewer", 1, digest), codes.PermissionDenied, "Approve requires operator")
	if err := approve("admin", 1, strings.ToUpper(digest)); err != nil {
		t.Fatal(err)
	}
	without := &op25bv1.ApplyRequest{Files: q.Files, Base: 1, Reason: q.Reason, NoWait: true}
	refuses(t, applied(as("operator"), c, without), codes.FailedPrecondition, "apply it with --mass-change")
	if err := applied(as("operator"), c, q); err != nil {
		t.Fatal(err)
	}
	if chain := strings.Join(w.chain(), "\n"); !strings.Contains(chain, "admin-bot admin approve change of revision 1") {
		t.Errorf("the audit chain does not have the approval:\n%s", chain)
	}

	// Approvals are bounded, and those of an earlier revision are dropped.
	s := &server{Deps: Deps{Store: w.store}}
	for i := range maxApprovals + 3 {
		if err := s.approve(within(t), approval{Digest: strings.Repeat("a", i+1), Base: 2, By: "x"}, approvalRecord("x")); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.approvals().Get(within(t), approvalsName)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(list.Value); n != maxApprovals || list.Value[0].Digest != "aaaa" {
		t.Errorf("%d approvals are stored, the first of %q, want %d from aaaa on", n, list.Value[0].Digest, maxApprovals)
	}
}

// approvalRecord returns a valid audit record.
func approvalRecord(who string) store.AuditRecord {
	return store.AuditRecord{Who: who, Verb: "approve"}
}
