package intent

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"op25b/examples"
	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// north is a switch that only the next documents of staged have.
const north = `
  - name: edge-north
    deviceID: 14
    p4runtime: 127.0.0.1:9574
    gnmi: 127.0.0.1:9374
    rejectFrom: [198.51.100.4, "2001:db8:ff::4"]
    ports:
      - {port: 1, name: gateway-1, role: access}
      - {port: 11, name: core, role: network, macs: ["02:00:00:00:04:ff"]}
    lines:
      - {name: sim-north-1, port: gateway-1, vlan: 100, group: sim, macs: ["02:00:00:01:04:01"]}
`

// nextFiles returns the documents of libmo-mobile with a rule that stops mail in the phase watch, a line that has another name, and one more switch.
func nextFiles(t *testing.T) []strict.File {
	t.Helper()
	files := examples.LibmoMobile()
	for i := range files {
		for _, r := range [][2]string{{"remote: any, action: monitor", "remote: any, action: reject"}, {"name: sim-east-1,", "name: sim-east-9,"}} {
			files[i].Data = bytes.ReplaceAll(files[i].Data, []byte(r[0]), []byte(r[1]))
		}
		if bytes.Contains(files[i].Data, []byte("- name: edge-south")) {
			files[i].Data = append(bytes.TrimRight(files[i].Data, "\n"), north...)
		}
	}
	return files
}

// staged stores libmo-mobile with the phase watch in force, and the next documents.
func staged(t *testing.T, b *Book) *Intent {
	t.Helper()
	in := apply(t, b, examples.LibmoMobile())
	must(b.Activate(within(t), in.Number, "watch", policy.Scope{}, by))(t)
	return must(b.Stage(within(t), must(b.Propose(within(t), nextFiles(t)))(t), by))(t)
}

// contents describes an intent by its switches, and for each of them the action of its mail rule and the name of its first line.
func contents(t *testing.T, in *Intent) string {
	t.Helper()
	var all []string
	for _, sw := range in.Switches() {
		action := "stops"
		rules := must(in.Meanings(sw.Name, must(in.InForce(sw.Name, august))(t)))(t)
		if slices.ContainsFunc(rules, func(r compile.Rule) bool { return r.Name == "smtp-all" && r.Action == policy.Monitor }) {
			action = "passes"
		}
		all = append(all, sw.Name+" "+action+" "+sw.Lines[0].Name)
	}
	return strings.Join(all, ", ")
}

const (
	allOld = "edge-east passes sim-east-1, edge-west passes sim-west-1, edge-south passes sim-south-1"
	allNew = "edge-east stops sim-east-9, edge-west stops sim-west-1, edge-south stops sim-south-1, edge-north stops sim-north-1"
)

// TestTwoContents verifies that each switch has the documents that the split says: in the Book that stores them, in another Book, and in an earlier
// revision.
func TestTwoContents(t *testing.T) {
	s := open(t)
	b := book(s)
	in := staged(t, b)
	first := in.Split().Base
	revisions := []struct {
		number   uint64
		contents string
	}{{in.Number, allOld}}
	check := func(in *Intent, want string) {
		t.Helper()
		for _, from := range []*Intent{in, must(book(s).Current(within(t)))(t)} {
			if got := contents(t, from); got != want {
				t.Errorf("revision %d has\n%s, want\n%s", from.Number, got, want)
			}
			for _, sw := range from.Switches() {
				if of := from.For(sw.Name); of.Number != in.Number || of.Split() != nil {
					t.Errorf("the intent of %s is revision %d with the split %v", sw.Name, of.Number, of.Split())
				}
			}
		}
		revisions = append(revisions, struct {
			number   uint64
			contents string
		}{in.Number, want})
	}
	check(in, allOld)
	before := in
	in = must(b.Advance(within(t), in.Number, first, []string{"edge-west"}, by))(t)
	check(in, "edge-east passes sim-east-1, edge-west stops sim-west-1, edge-south passes sim-south-1")
	if before.SameDocuments(in) || !before.For("edge-east").SameDocuments(in.For("edge-east")) || before.For("edge-west").SameDocuments(in.For("edge-west")) {
		t.Error("only the switch of the advance has other documents")
	}
	in = must(b.Advance(within(t), in.Number, first, []string{"edge-west", "edge-north", "edge-east"}, by))(t)
	check(in, "edge-east stops sim-east-9, edge-west stops sim-west-1, edge-south passes sim-south-1, edge-north stops sim-north-1")
	in = must(b.Activate(within(t), in.Number, "all-destinations", policy.Scope{Switches: []string{"edge-south"}}, by))(t)
	check(in, "edge-east stops sim-east-9, edge-west stops sim-west-1, edge-south stops sim-south-1, edge-north stops sim-north-1")
	in = must(b.Rollback(within(t), in.Number, policy.Scope{Switches: []string{"edge-south"}}, by))(t)
	in = must(b.Adopt(within(t), in.Number, first, by))(t)
	check(in, allNew)
	if in.Split() != nil {
		t.Errorf("after the end, the split is %v", in.Split())
	}
	for _, r := range revisions {
		if got := contents(t, must(book(s).At(within(t), r.number))(t)); got != r.contents {
			t.Errorf("read later, revision %d has\n%s, want\n%s", r.number, got, r.contents)
		}
	}
	if numbers := in.Numbers.Lines["edge-east"]; numbers["sim-east-9"].Number != before.Numbers.Lines["edge-east"]["sim-east-1"].Number {
		t.Errorf("the line has another number after its name has changed: %v", numbers)
	}
	// The operator can undo the end of the rollout as any change (I13).
	in = must(b.Restore(within(t), in.Number-1, in.Number, by))(t)
	check(in, allOld)
}

// TestDropped verifies that all switches have the documents in force after the next documents are dropped, whoever had them.
func TestDropped(t *testing.T) {
	s := open(t)
	b := book(s)
	in := staged(t, b)
	base := in.Split().Base
	in = must(b.Advance(within(t), in.Number, base, []string{"edge-east", "edge-west", "edge-north"}, by))(t)
	in = must(b.Drop(within(t), in.Number, base, by))(t)
	for _, from := range []*Intent{in, must(book(s).Current(within(t)))(t)} {
		if got := contents(t, from); got != allOld || from.Split() != nil {
			t.Errorf("%v, the split is %v", got, from.Split())
		}
	}
	for _, err := range []error{
		second(b.Advance(within(t), in.Number, base, nil, by)),
		second(b.Adopt(within(t), in.Number, base, by)),
		second(b.Drop(within(t), in.Number, base, by)),
	} {
		wantError(t, err, ErrNoNext, "revision 5")
	}
	records := must(s.Audit().Records(within(t), 1, 100))(t)
	var verbs []string
	for _, r := range records {
		verbs = append(verbs, r.Verb+": "+r.Object)
	}
	want := "apply: policy libmo-mobile on 3 switches, activate: phase watch, stage: policy libmo-mobile for a rollout, advance: next documents on 3 switches, rollback: next documents on all switches"
	if got := strings.Join(verbs, ", "); got != want {
		t.Errorf("the audit chain has\n%s, want\n%s", got, want)
	}
}

func second[T any](_ T, err error) error { return err }

// TestOtherNext verifies that next documents are only advanced by a caller that means them, on the newest revision, and to switches that they have.
func TestOtherNext(t *testing.T) {
	b := book(open(t))
	in := staged(t, b)
	base := in.Split().Base
	wantError(t, second(b.Advance(within(t), in.Number, base+1, []string{"edge-west"}, by)), ErrNoNext, "")
	wantError(t, second(b.Advance(within(t), in.Number-1, base, []string{"edge-west"}, by)), store.ErrStale, "the current revision is 3")
	wantError(t, second(b.Advance(within(t), in.Number, base, []string{"edge-wst"}, by)), ErrNoNext, `no switch "edge-wst"`)
	p := must(b.Propose(within(t), nextFiles(t)))(t)
	again := must(b.Stage(within(t), p, by))(t)
	wantError(t, second(b.Advance(within(t), again.Number, base, []string{"edge-west"}, by)), ErrNoNext, "")
	wantError(t, second(b.Stage(within(t), p, by)), store.ErrStale, "")
	if in = apply(t, b, nextFiles(t)); in.Split() != nil || contents(t, in) != allNew {
		t.Errorf("after an apply, %s with the split %v", contents(t, in), in.Split())
	}
}

// TestSplitIsWatched verifies that a Book that watches shares the parsed documents of both contents with the revisions before.
func TestSplitIsWatched(t *testing.T) {
	s := open(t)
	ours, theirs := book(s), book(s)
	in := staged(t, ours)
	ctx, cancel := context.WithCancel(within(t))
	watch := theirs.Watch(ctx, 0)
	defer func() {
		cancel()
		for range watch {
		}
	}()
	first := <-watch
	in = must(ours.Advance(within(t), in.Number, in.Split().Base, []string{"edge-east"}, by))(t)
	second := <-watch
	base := in.Split().Base
	must(ours.Adopt(within(t), in.Number, base, by))(t)
	third := <-watch
	if first.Err != nil || second.Err != nil || third.Err != nil {
		t.Fatal(first.Err, second.Err, third.Err)
	}
	if !second.Next().SameDocuments(first.Next()) || !second.For("edge-west").SameDocuments(first.For("edge-west")) || !third.SameDocuments(second.Next()) {
		t.Error("documents are parsed again")
	}
}
