package intent

import (
	"bytes"
	"testing"

	"op25b/examples"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// TestI13BrokenDocuments verifies that operators can still work while the documents of the newest revision cannot be used. They can
// activate and roll back phases, restore the previous revision, and apply good documents. The test uses a Book that received the documents
// and Books that were opened later.
func TestI13BrokenDocuments(t *testing.T) {
	policyFile := examples.SpinNet2006()[1]
	if !bytes.Contains(policyFile.Data, []byte("kind: Policy")) {
		t.Fatal("the example's second file is not its policy")
	}
	for _, x := range []struct {
		name string
		path string
		text []byte
		says string
	}{
		{"not YAML", "files/" + policyFile.Name, []byte("kind: [Policy"), "not valid YAML"},
		{"of another form", "files/" + policyFile.Name, bytes.ReplaceAll(policyFile.Data, []byte("phases:"), []byte("phasen:")), `unknown key "phasen"`},
		{"not valid", "files/" + policyFile.Name, bytes.ReplaceAll(policyFile.Data, []byte("service: smtp"), []byte("service: smtpx")), `unknown service "smtpx"`},
		{"no numbers", "numbers.json", []byte("{"), "numbers.json"},
		{"no activations", "activations.json", []byte("{"), "activations.json"},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := open(t)
			ours := book(s)
			good := apply(t, ours, examples.SpinNet2006())
			must(ours.Activate(within(t), 1, "all-destinations", policy.Scope{Groups: []string{"mobile"}}, by))(t)
			must(s.Revisions().Put(within(t), store.Change{
				Base: 2, Author: "another hand", Reason: "test", Documents: map[string][]byte{x.path: x.text}, KeepOthers: true,
			}))(t)
			in := must(ours.Current(within(t)))(t)
			wantError(t, in.Broken(), ErrBroken, x.says)
			_, err := in.Compile("edge-1", august)
			wantError(t, err, ErrBroken, x.says)
			_, err = ours.At(within(t), 3)
			wantError(t, err, ErrBroken, x.says)
			if same := in.SameDocuments(good); same {
				t.Error("they are the same documents as those before")
			}
			if got := inForce(t, in); got != "mobile-carriers; all-destinations: mobile" {
				t.Errorf("%q in force", got)
			}

			in = must(ours.Rollback(within(t), 3, policy.Scope{}, by))(t)
			if got := inForce(t, in); got != "mobile-carriers" {
				t.Errorf("after the rollback %q is in force", got)
			}
			theirs := book(s)
			in = must(theirs.Activate(within(t), 4, "before", policy.Scope{}, by))(t)
			if got := inForce(t, in); got != "before" {
				t.Errorf("after the activation %q is in force", got)
			}
			in = must(book(s).Current(within(t)))(t)
			if x.path != activationsPath { // an activation repairs activations.json
				wantError(t, in.Broken(), ErrBroken, x.says)
			}
			if got := inForce(t, in); got != "before" || in.Bundle.Policy.Name != "spinnet-2006" {
				t.Errorf("to a third book %q is in force", got)
			}
			if rules, err := in.Rules("edge-1", policy.Everywhere("before")); err == nil && len(rules.Verdicts) == 0 {
				t.Error("there are no rules to find in a switch, and no error")
			}

			in = must(theirs.Restore(within(t), 2, 5, by))(t)
			if got := inForce(t, in); got != "mobile-carriers; all-destinations: mobile" || in.Broken() != nil {
				t.Errorf("after the restoration %q is in force, %v", got, in.Broken())
			}
		})
	}
}

// TestNothingButBrokenDocuments verifies that good documents can be applied even if the store has no revision that can be used.
func TestNothingButBrokenDocuments(t *testing.T) {
	s := open(t)
	must(s.Revisions().Put(within(t), store.Change{Author: "another hand", Reason: "test", Documents: map[string][]byte{"files/a.yaml": []byte("a: [")}}))(t)
	b := book(s)
	in := must(b.Current(within(t)))(t)
	wantError(t, in.Broken(), ErrBroken, "not valid YAML")
	if u := <-b.Watch(within(t), 0); u.Intent != nil || u.Err == nil {
		t.Errorf("the watch tells %+v", u)
	}
	if in = apply(t, b, examples.SpinNet2006()); in.Number != 2 || in.Broken() != nil {
		t.Errorf("revision %d, %v", in.Number, in.Broken())
	}
}

// TestOldActivationsAreRead verifies that activations that an earlier release stored without IDs can be read and undone.
func TestOldActivationsAreRead(t *testing.T) {
	s := open(t)
	b := book(s)
	apply(t, b, examples.SpinNet2006())
	must(s.Revisions().Put(within(t), store.Change{Base: 1, Author: "old", Reason: "test", KeepOthers: true, Documents: map[string][]byte{activationsPath: []byte(
		`[{"phase":"all-destinations","groups":["mobile"],"at":"2006-07-01T00:00:00Z","author":"alice","reason":"r"},` +
			`{"phase":"before","groups":["adsl"],"switches":["edge-1"],"at":"2006-07-02T00:00:00Z"}]`,
	)}}))(t)
	in := must(book(s).Current(within(t)))(t)
	if got := inForce(t, in); got != "mobile-carriers; all-destinations: mobile; before: adsl" {
		t.Errorf("%q in force", got)
	}
	for _, want := range []string{"mobile-carriers; all-destinations: mobile", "mobile-carriers"} {
		in = must(b.Rollback(within(t), in.Number, policy.Scope{}, by))(t)
		if got := inForce(t, in); got != want {
			t.Errorf("after a rollback %q is in force, want %q", got, want)
		}
	}
}
