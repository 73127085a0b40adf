package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"op25b/examples"
	"op25b/internal/auth"
	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/prove"
	"op25b/internal/schedule"
	op25bv1 "op25b/proto/op25b/v1"
)

// A brokenProver finds a fault in every change while faulty is set, and otherwise proves none in time while stuck is set.
type brokenProver struct {
	faulty, stuck bool
	from          []string // for each change, "empty" or "revision"
}

func (p *brokenProver) Prove(ctx context.Context, changes ...*prove.Change) (*prove.Result, error) {
	for _, ch := range changes {
		if ch.Old == nil {
			p.from = append(p.from, "empty")
		} else {
			p.from = append(p.from, "revision")
		}
	}
	switch {
	case p.faulty:
		return disprover{}.Prove(ctx, changes...)
	case p.stuck:
		return nil, fmt.Errorf("%w: stuck", prove.ErrUnproved)
	}
	return &prove.Result{Packets: 1}, nil
}

// unprovedWorld returns an API whose prover a test can break, and a function that returns a context with the token of a role.
func unprovedWorld(t *testing.T, access string) (*world, *brokenProver, func(role string) context.Context) {
	t.Helper()
	p := &brokenProver{}
	tokens := make(map[string]string)
	grants, err := auth.Open(accessFile(t, tokens, access), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(d *Deps) {
		planner, err := plan.New(plan.Config{At: d.Book.At, Now: d.Now, Prover: p})
		if err != nil {
			t.Fatal(err)
		}
		d.Plan, d.Auth = planner, Auth{Access: grants}
		d.Scheduled = &schedule.Scheduler{Store: d.Store, Book: d.Book, Dates: d.Now, Logger: zap.NewNop(), Busy: RolloutRuns(nil)}
	})
	w.now = time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC) // all phases have begun
	return w, p, func(role string) context.Context {
		return metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens[role])
	}
}

// notices returns the notices of op25b status.
func notices(t *testing.T, ctx context.Context, w *world) string {
	t.Helper()
	r, err := op25bv1.NewFleetServiceClient(w.dial()).ListSwitches(ctx, &op25bv1.ListSwitchesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(r.Notices, "; ")
}

// TestUnproved verifies that only an admin can store documents that are not proved, that the revision says why it is unproved and keeps saying so after
// changes of a part, that the audit chain has the reason, and that a proof of everything clears it, even of the same documents.
func TestUnproved(t *testing.T) {
	w, prover, as := unprovedWorld(t, "")
	intents, phases, exemptions := op25bv1.NewIntentServiceClient(w.dial()), op25bv1.NewPhaseServiceClient(w.dial()), op25bv1.NewExemptionServiceClient(w.dial())
	files := spinnet(t)
	unproved := func() string {
		t.Helper()
		r, err := intents.Current(as("viewer"), &op25bv1.CurrentRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Revision.Unproved
	}
	prover.faulty = true
	q := &op25bv1.ApplyRequest{Files: files, Reason: "first", NoWait: true}
	refuses(t, applied(as("admin"), intents, q), codes.FailedPrecondition, "the proof on the twin has failed")
	q.Unproved = true
	refuses(t, applied(as("operator"), intents, q), codes.PermissionDenied, "a change that is not proved: operator-bot has the role operator; only admin may store it")
	if err := applied(as("admin"), intents, q); err != nil {
		t.Fatal(err)
	}
	if got := unproved(); !strings.HasPrefix(got, `the proof on the twin has failed: switch "bng-1": SYN from line x`) {
		t.Errorf("the revision is unproved because %q", got)
	}
	const notice = `revision 1 is UNPROVED: the proof on the twin has failed: switch "bng-1": SYN from line x; apply its documents, or others, to prove them`
	if got := notices(t, as("viewer"), w); !strings.Contains(got, notice) {
		t.Errorf("notices %q, want %q", got, notice)
	}
	records, err := w.store.Audit().Records(within(t), 0, MaxList)
	if err != nil {
		t.Fatal(err)
	}
	last := records[len(records)-1]
	if last.Verb != "apply" || !strings.HasSuffix(last.Object, ", unproved") || !strings.HasPrefix(last.Detail, "unproved: the proof on the twin has failed") || !strings.Contains(last.Detail, "+++") {
		t.Errorf("the audit record: %+v", last)
	}

	// Changes of a part keep the mark, although they are proved themselves.
	prover.faulty = false
	why := unproved()
	stream, err := phases.Activate(as("operator"), &op25bv1.ActivateRequest{Phase: "before", Base: 1, Reason: "back", NoWait: true})
	told(t, stream, err)
	added, err := exemptions.Add(as("operator"), &op25bv1.AddExemptionRequest{
		Exemption: &op25bv1.Exemption{Prefix: "192.0.2.77/32", Owner: "noc", Reason: "server", Expires: "2007-03-31"}, NoWait: true,
	})
	told(t, added, err)
	if got := unproved(); got != why {
		t.Errorf("after other changes, the revision is unproved because %q, want %q", got, why)
	}

	// The plan says that the base is unproved, and an apply proves everything.
	current, err := w.book.Current(within(t))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := intents.Plan(as("viewer"), &op25bv1.PlanRequest{Files: files})
	if err != nil || shown.Plan.Unproved != why {
		t.Errorf("the plan says that its base is unproved because %q, %v", shown.GetPlan().GetUnproved(), err)
	}
	prover.from = nil
	all := &op25bv1.ApplyRequest{Base: current.Number, Reason: "again", NoWait: true}
	for _, f := range current.Documents() { // the same documents
		all.Files = append(all.Files, &op25bv1.File{Name: f.Name, Data: f.Data})
	}
	if err := applied(as("operator"), intents, all); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(prover.from, " "); got == "" || strings.Contains(got, "revision empty") == false {
		t.Errorf("the proofs of an apply to an unproved revision begin at %q, want one from the revision and one from empty switches", got)
	}
	if got := unproved(); got != "" {
		t.Errorf("the proved revision is unproved: %q", got)
	}
	if got := notices(t, as("viewer"), w); strings.Contains(got, "UNPROVED") {
		t.Errorf("notices %q", got)
	}
	all.Base++
	refuses(t, applied(as("operator"), intents, all), codes.FailedPrecondition, "has the same documents")

	// A change that is proved is not marked, whatever the caller asked for.
	all.Files, all.Unproved = files, true
	if err := applied(as("admin"), intents, all); err != nil || unproved() != "" {
		t.Errorf("a proved change: %v, unproved because %q", err, unproved())
	}
}

// TestUnprovedSecondPerson verifies that, where the access file asks for it, unproved documents need the approval of another person for exactly them.
func TestUnprovedSecondPerson(t *testing.T) {
	w, prover, as := unprovedWorld(t, "unproved: {secondPerson: true}\n")
	c := op25bv1.NewIntentServiceClient(w.dial())
	w.put(spinnet(t))
	prover.stuck = true
	docs := examples.SpinNet2006()
	for i := range docs {
		docs[i].Data = []byte(strings.ReplaceAll(string(docs[i].Data), "spinnet-2006", "spinnet-2007"))
	}
	q := &op25bv1.ApplyRequest{Files: edited(t, docs), Base: 1, Reason: "night", NoWait: true, Unproved: true}
	refuses(t, applied(as("admin"), c, q), codes.FailedPrecondition, "the access file requires that another person than admin-bot approves exactly these documents before they are stored unproved")
	if _, err := c.Approve(as("admin"), &op25bv1.ApproveRequest{Digest: intent.Digest(docs, 1), Base: 1, Reason: "seen"}); err != nil {
		t.Fatal(err)
	}
	refuses(t, applied(as("admin"), c, q), codes.FailedPrecondition, "another person than admin-bot")
	if _, err := c.Approve(as("operator"), &op25bv1.ApproveRequest{Digest: intent.Digest(docs, 1), Base: 1, Reason: "seen"}); err != nil {
		t.Fatal(err)
	}
	if err := applied(as("admin"), c, q); err != nil {
		t.Fatal(err)
	}
	if in, err := w.book.Current(within(t)); err != nil || in.Number != 2 || in.Unproved != "not proved on the twin: stuck" {
		t.Errorf("revision %d is unproved because %q, %v", in.Number, in.Unproved, err)
	}
}

// TestPhasesAreProved verifies that a phase that is not proved is neither activated nor scheduled without --unproved, and that a way back is made by its
// operator even if it is not proved (I13).
func TestPhasesAreProved(t *testing.T) {
	w, prover, as := unprovedWorld(t, "")
	c, intents := op25bv1.NewPhaseServiceClient(w.dial()), op25bv1.NewIntentServiceClient(w.dial())
	w.put(spinnet(t))
	operator := as("operator")
	stream, err := c.Activate(operator, &op25bv1.ActivateRequest{Phase: "before", Base: 1, Reason: "proved", NoWait: true})
	told(t, stream, err)
	prover.stuck = true
	const stuck = "nothing was stored: not proved on the twin: stuck"
	forward := &op25bv1.ActivateRequest{Phase: "all-destinations", Base: 2, Reason: "forward", NoWait: true}
	refuses(t, refusal(c.Activate(operator, forward)), codes.FailedPrecondition, stuck)
	_, err = c.Schedule(operator, &op25bv1.ScheduleRequest{Phase: "all-destinations", Base: 2, Reason: "night", LocalAt: "2006-10-20 02:00"})
	refuses(t, err, codes.FailedPrecondition, stuck)
	shown, err := c.Preview(operator, &op25bv1.PreviewRequest{Phase: "all-destinations", Plan: true})
	if err != nil || shown.Proof.GetProved() || shown.Proof.GetError() != "not proved on the twin: stuck" {
		t.Errorf("the preview's proof: %v, %v", shown.GetProof(), err)
	}
	forward.Unproved = true
	refuses(t, refusal(c.Activate(operator, forward)), codes.PermissionDenied, "only admin may store it")
	stream, err = c.Activate(as("admin"), forward)
	told(t, stream, err)
	for i, step := range []func() error{
		func() error {
			return refusal(c.Rollback(operator, &op25bv1.RollbackRequest{Base: 3, Reason: "calls", NoWait: true}))
		},
		func() error { // to revision 3, the one before
			plan, err := intents.Plan(operator, &op25bv1.PlanRequest{Restore: 3})
			if err != nil || plan.Plan.Proof.GetError() == "" || !strings.Contains(strings.Join(plan.Plan.Notes, " "), "A restoration is made even if it is not proved") {
				t.Errorf("the plan of a restoration: %v, %v, %v", plan.GetPlan().GetProof(), plan.GetPlan().GetNotes(), err)
			}
			return refusal(intents.Restore(operator, &op25bv1.RestoreRequest{Revision: 3, Base: 4, Reason: "undo", NoWait: true}))
		},
		func() error { // back to an earlier phase
			return refusal(c.Activate(operator, &op25bv1.ActivateRequest{Phase: "mobile-carriers", Base: 5, Reason: "calls", NoWait: true}))
		},
	} {
		if err := step(); err == nil || err.Error() != "EOF" {
			t.Fatalf("step %d: %v", i, err)
		}
		if in, err := w.book.Current(within(t)); err != nil || in.Number != uint64(4+i) || in.Unproved != "not proved on the twin: stuck" {
			t.Errorf("step %d: revision %d is unproved because %q, %v", i, in.Number, in.Unproved, err)
		}
	}
}

// TestGoesBack verifies which changes of phase are a way back: those that lead no line to a later phase.
func TestGoesBack(t *testing.T) {
	w := newWorld(t, nil)
	w.now = time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC)
	in := w.put(spinnet(t))
	at := func(in *intent.Intent, phase string, groups ...string) *intent.Intent {
		return in.Activated(policy.Activation{ID: in.Number + uint64(len(in.Activations)) + 1, Phase: phase, Groups: groups, At: w.now})
	}
	mixed := at(in, "before", "adsl")
	for _, x := range []struct {
		was, next *intent.Intent
		want      bool
	}{
		{in, in, false}, // no change
		{in, at(in, "before"), true},
		{in, mixed, true},
		{mixed, at(mixed, "all-destinations"), false},
		{mixed, at(mixed, "mobile-carriers"), false}, // forward for adsl, back for the others
		{at(in, "before"), at(at(in, "before"), "mobile-carriers"), false},
	} {
		if got := goesBack(x.was, x.next, w.now); got != x.want {
			t.Errorf("%v to %v: %v", x.was.Activations, x.next.Activations, got)
		}
	}
}

// TestUnprovedIsNoOtherError verifies that an error that is none of the proof is not the reason of an unproved revision.
func TestUnprovedIsNoOtherError(t *testing.T) {
	other := errors.New("the store does not answer")
	s := &server{Deps: Deps{Plan: failingPlanner{err: other}, Logger: zap.NewNop()}}
	if why, err := s.unlessProved(t.Context(), nil, &intent.Intent{}); why != "" || !errors.Is(err, other) {
		t.Errorf("%q, %v", why, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(other)
	s.Deps.Plan = failingPlanner{err: prove.ErrUnproved}
	if why, err := s.unlessProved(ctx, nil, &intent.Intent{}); why != "" || !errors.Is(err, other) {
		t.Errorf("of a caller who has gone: %q, %v", why, err)
	}
}

// A failingPlanner proves nothing.
type failingPlanner struct {
	Planner
	err error
}

func (p failingPlanner) Proved(context.Context, *intent.Intent, *intent.Intent) error { return p.err }
