package intent

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

func wantError(t testing.TB, err, kind error, text string) {
	t.Helper()
	if err == nil || !errors.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Errorf("the error is %v, want %v with %q", err, kind, text)
	}
}

func TestProposeAndPut(t *testing.T) {
	s := open(t)
	b := book(s)
	_, err := b.Current(within(t))
	wantError(t, err, ErrNone, "apply a policy and an inventory first")

	_, err = b.Propose(within(t), edited(t, "group: adsl", "group: adls"))
	var faults strict.Faults
	if !errors.As(err, &faults) {
		t.Errorf("documents that are not valid: %v", err)
	}
	p := must(b.Propose(within(t), examples.SpinNet2006()))(t)
	if p.Base != 0 {
		t.Errorf("the first is made on revision %d", p.Base)
	}
	in := must(b.Put(within(t), p, by))(t)
	if in.Number != 1 || in.Author != "alice" || in.Reason != "test" || inForce(t, in) != "mobile-carriers" {
		t.Errorf("revision %+v, %q in force", in.Revision, inForce(t, in))
	}
	// Another Book reads the same revision.
	again := must(book(s).Current(within(t)))(t)
	if again.Number != 1 || len(again.Files) != 2 || string(again.Files[0].Data) != string(in.Files[0].Data) {
		t.Errorf("read back: %+v", again.Revision)
	}
	want := must(in.Compile("edge-1", august))(t)
	got := must(again.Compile("edge-1", august))(t)
	a, b2 := must(want.State.Entries())(t), must(got.State.Entries())(t)
	if len(a) != len(b2) || len(a) == 0 {
		t.Errorf("it compiles to %d entries, want %d", len(b2), len(a))
	}

	_, err = b.Put(within(t), p, by)
	wantError(t, err, store.ErrStale, "made on revision 0, the current revision is 1")
	_, err = b.Put(within(t), must(b.Propose(within(t), examples.SpinNet2006()))(t), by)
	wantError(t, err, store.ErrUnchanged, "revision 1")
	_, err = in.Compile("edge-9", august)
	wantError(t, err, compile.ErrUnknownSwitch, "edge-1")
	_, err = in.Compile("edge-1", time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC))
	wantError(t, err, ErrNoPhase, "the first begins at 2006-05-1")

	checkAudit(t, s, [][4]string{{"alice", "operator", "apply", "policy spinnet-2006 on 1 switch"}})
}

// checkAudit compares who, role, verb and object of all audit records, and verifies the chain.
func checkAudit(t testing.TB, s *store.Store, want [][4]string) {
	t.Helper()
	records := must(s.Audit().Records(within(t), 1, 100))(t)
	if len(records) != len(want) {
		t.Fatalf("%d records, want %d: %+v", len(records), len(want), records)
	}
	for i, r := range records {
		if got := [4]string{r.Who, r.Role, r.Verb, r.Object}; got != want[i] || r.Reason != "test" {
			t.Errorf("record %d: %q, reason %q; want %q", i+1, got, r.Reason, want[i])
		}
	}
	if _, err := s.Audit().Verify(within(t)); err != nil {
		t.Error(err)
	}
}

// TestNumbersAreKept verifies that names keep their numbers from revision to revision, even after a restore.
func TestNumbersAreKept(t *testing.T) {
	b := book(open(t))
	first := apply(t, b, examples.SpinNet2006())
	mobile := first.Numbers.LineGroups["mobile"].Number
	// Add a line group before all others.
	second := apply(t, b, edited(t, "lineGroups:\n", "lineGroups:\n  - {name: vdsl}\n"))
	if got := second.Numbers.LineGroups["mobile"].Number; got != mobile {
		t.Errorf("mobile had number %d, and has %d", mobile, got)
	}
	vdsl := second.Numbers.LineGroups["vdsl"].Number
	third := must(b.Restore(within(t), 1, 2, by))(t)
	if third.Number != 3 || third.Numbers.LineGroups["vdsl"].Number != vdsl || third.Numbers.LineGroups["vdsl"].Gone == 0 {
		t.Errorf("revision %d, vdsl %+v, want number %d and gone", third.Number, third.Numbers.LineGroups["vdsl"], vdsl)
	}
	if string(third.Files[1].Data) != string(first.Files[1].Data) {
		t.Error("the documents are not those of revision 1")
	}
}

func TestActivateAndRollback(t *testing.T) {
	s := open(t)
	b := book(s)
	apply(t, b, examples.SpinNet2006())
	_, err := b.Activate(within(t), 1, "all", policy.Scope{}, by)
	wantError(t, err, policy.ErrInvalid, `unknown phase "all"`)
	_, err = b.Activate(within(t), 1, "before", policy.Scope{Groups: []string{"vdsl"}, Switches: []string{"edge-2"}}, by)
	wantError(t, err, policy.ErrInvalid, `unknown line group "vdsl"`)
	wantError(t, err, policy.ErrInvalid, `unknown switch "edge-2"`)

	scope := policy.Scope{Groups: []string{"mobile"}}
	in := must(b.Activate(within(t), 1, "all-destinations", scope, by))(t)
	if got := inForce(t, in); got != "mobile-carriers; all-destinations: mobile" || in.Number != 2 {
		t.Errorf("revision %d: %q in force", in.Number, got)
	}
	_, err = b.Rollback(within(t), 1, scope, by)
	wantError(t, err, store.ErrStale, "the current revision is 2")
	in = must(b.Rollback(within(t), 2, scope, by))(t)
	if got := inForce(t, in); got != "mobile-carriers" || len(in.Activations) != 2 {
		t.Errorf("%q in force, %d activations", got, len(in.Activations))
	}
	_, err = b.Rollback(within(t), 3, policy.Scope{Switches: []string{"edge-9"}}, by)
	wantError(t, err, policy.ErrInvalid, "edge-9")
	// A restore also restores the activations.
	in = must(b.Restore(within(t), 2, 3, by))(t)
	if got := inForce(t, in); got != "mobile-carriers; all-destinations: mobile" || in.Restores != 2 {
		t.Errorf("after the restoration %q is in force", got)
	}
	checkAudit(t, s, [][4]string{
		{"alice", "operator", "apply", "policy spinnet-2006 on 1 switch"},
		{"alice", "operator", "activate", "phase all-destinations"},
		{"alice", "operator", "rollback", "revision 2, phase all-destinations"},
		{"alice", "operator", "restore", "revision 2"},
	})
	var a policy.Activation
	records := must(s.Audit().Records(within(t), 2, 1))(t)
	if err := json.Unmarshal([]byte(records[0].Detail), &a); err != nil || a.Phase != "all-destinations" || len(a.Groups) != 1 || !a.At.Equal(august) {
		t.Errorf("detail %q: %v", records[0].Detail, err)
	}
	if diff := must(b.Diff(within(t), 1, 2))(t); len(diff) != 1 || diff[0].Path != "activations.json" {
		t.Errorf("an activation changes %+v", diff)
	}
}

// TestActivationNamesWhatIsGone verifies that documents are refused if they lack a name that an activation in force uses.
// Activations that are no longer in force are dropped instead.
func TestActivationNamesWhatIsGone(t *testing.T) {
	b := book(open(t))
	in := apply(t, b, examples.SpinNet2006())
	without := edited(t, "- {name: hikari-premium", "- {name: hikari-next")
	in = must(b.Activate(within(t), in.Number, "all-destinations", policy.Scope{Groups: []string{"hikari-premium"}}, by))(t)
	_, err := b.Propose(within(t), without)
	wantError(t, err, ErrActivation, "phase all-destinations, activated by alice")
	must(b.Activate(within(t), in.Number, "mobile-carriers", policy.Scope{}, by))(t)
	p := must(b.Propose(within(t), without))(t)
	if len(p.Activations) != 1 || len(p.Activations[0].Groups) != 0 {
		t.Errorf("activations %+v, want the one that names nothing that is gone", p.Activations)
	}
}

// TestSameDocumentsAreReadOnce verifies that the revision of an activation shares the parsed documents, both in the Book that
// stores it and in a Book that receives it. A revision with other documents does not share them.
func TestSameDocumentsAreReadOnce(t *testing.T) {
	s := open(t)
	ours, theirs := book(s), book(s)
	apply(t, ours, examples.SpinNet2006())
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	watch := theirs.Watch(ctx, 0)
	first := <-watch
	in := must(ours.Activate(within(t), 1, "before", policy.Scope{}, by))(t)
	second := <-watch
	if first.Err != nil || second.Err != nil || second.Number != in.Number || !second.SameDocuments(first.Intent) {
		t.Errorf("first %+v, then %+v: not the same documents", first, second)
	}
	if inForce(t, second.Intent) != "before" || inForce(t, first.Intent) != "mobile-carriers" {
		t.Errorf("%q, then %q in force", inForce(t, first.Intent), inForce(t, second.Intent))
	}
	apply(t, ours, edited(t, "macs: [\"02:00:00:00:01:01\"]", "macs: []"))
	third := <-watch
	if third.Err != nil || third.SameDocuments(second.Intent) {
		t.Errorf("%+v has the documents of the one before", third)
	}
	cancel()
	for range watch {
	}
}

func TestSameExemptionsAndRules(t *testing.T) {
	in := apply(t, book(open(t)), examples.SpinNet2006())
	end := time.Date(2007, 3, 31, 15, 0, 0, 0, time.UTC) // the end of the exemption's last day in Japan
	for _, x := range []struct {
		a, b time.Time
		want bool
	}{{august, end.Add(-time.Second), true}, {august, end, false}, {end, end.AddDate(1, 0, 0), true}, {end, august, false}} {
		if got := in.SameExemptions(x.a, x.b); got != x.want {
			t.Errorf("%v and %v: same %v, want %v", x.a, x.b, got, x.want)
		}
	}
	phases := must(in.InForce("edge-1", august))(t)
	rules := must(in.Rules("edge-1", phases))(t)
	state := must(in.Compile("edge-1", august))(t).State
	if len(rules.Verdicts) == 0 || len(rules.Verdicts) != len(state.Verdicts) || rules.SynOnly != state.SynOnly {
		t.Errorf("%d rules, SYN only %v; compiled %d, %v", len(rules.Verdicts), rules.SynOnly, len(state.Verdicts), state.SynOnly)
	}
	_, err := in.Rules("edge-1", policy.Everywhere("none"))
	wantError(t, err, policy.ErrUnknownPhase, "none")
	_, err = in.Rules("edge-9", phases)
	wantError(t, err, compile.ErrUnknownSwitch, "edge-9")
}
