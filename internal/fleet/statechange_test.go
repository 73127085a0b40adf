package fleet

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"op25b/internal/intent"
)

// TestChangesAreWhatWas draws conditions that last for any time. At any time that the changes cover, they must give the condition that lasted then,
// unless it was a passing one.
func TestChangesAreWhatWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type lasting struct {
			StateChange
			until time.Time
		}
		var truth []lasting
		st := Status{Switch: "edge-1"}
		now := time.Date(2006, 12, 1, 0, 0, 0, 0, time.UTC)
		for range rapid.IntRange(1, 60).Draw(t, "conditions") {
			st.State = rapid.SampledFrom([]State{StateConverged, StateConverging, StateFailed}).Draw(t, "state")
			st.Reason = rapid.SampledFrom([]Reason{ReasonAsWanted, ReasonNoRoom}).Draw(t, "reason")
			st.Revision = rapid.Uint64Range(1, 2).Draw(t, "revision")
			st.Owner = rapid.SampledFrom([]string{"noc-1", "noc-2"}).Draw(t, "owner")
			shared := st.Changes
			copied := slices.Clone(shared)
			st.remember(now)
			if !slices.Equal(shared, copied) {
				t.Fatal("the changes of an earlier status were overwritten")
			}
			begin := now
			now = now.Add(time.Duration(rapid.SampledFrom([]int{1, 400, 999, 1000, 5000, 3600_000}).Draw(t, "lasted")) * time.Millisecond)
			truth = append(truth, lasting{StateChange{begin, st.State, st.Reason, st.Revision, st.Owner}, now})
		}
		if len(st.Changes) > MaxStateChanges || len(st.Changes) == 0 {
			t.Fatalf("%d changes", len(st.Changes))
		}
		for i, c := range st.Changes {
			if i > 0 && (c.sameAs(st.Changes[i-1]) || c.At.After(st.Changes[i-1].At)) {
				t.Fatalf("%v after %v", st.Changes[i-1], c)
			}
			if !slices.ContainsFunc(truth, func(x lasting) bool { return x.StateChange == c }) {
				t.Fatalf("%v never began", c)
			}
		}
		for i, x := range truth {
			if x.until.Sub(x.At) < passing && i < len(truth)-1 || x.At.Before(st.Changes[len(st.Changes)-1].At) {
				continue
			}
			at := slices.IndexFunc(st.Changes, func(c StateChange) bool { return !c.At.After(x.At) })
			if !st.Changes[at].sameAs(x.StateChange) {
				t.Fatalf("%v lasted from then on, and the changes give %v", x.StateChange, st.Changes[at])
			}
		}
	})
}

// TestChangesOutliveTheirOwner verifies that the changes are stored, and that the next owner continues them.
func TestChangesOutliveTheirOwner(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	clock := clockAt(allDestinations)
	book := intent.NewBook(s, clock.now)
	in := apply(t, book, documentsOf(t, x))
	first := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: clock.now})
	first.converged(x.name, in.Number)
	clock.set(clock.now().Add(time.Hour))
	first.end()
	second := start(t, Config{Name: "noc-2", Store: s, Book: book, Now: clock.now})
	second.converged(x.name, in.Number)
	second.end()
	changes, err := StateChanges(within(t), s, x.name)
	if err != nil {
		t.Fatal(err)
	}
	of := func(owner string) int {
		return slices.IndexFunc(changes, func(c StateChange) bool {
			return c.Owner == owner && c.State == StateConverged && c.Revision == in.Number
		})
	}
	if newer, older := of("noc-2"), of("noc-1"); newer < 0 || older <= newer || changes[newer].At.Sub(changes[older].At) < time.Hour {
		t.Errorf("%v", changes)
	}
	if none, err := StateChanges(within(t), s, "edge-9"); err != nil || len(none) != 0 {
		t.Errorf("a switch that was never reported: %v, %v", none, err)
	}
}
