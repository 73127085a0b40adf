package fleet

import (
	"slices"
	"testing"
	"time"

	"op25b/internal/intent"
)

// allDestinations is a time in the last phase of the worked example.
var allDestinations = time.Date(2006, 11, 1, 0, 0, 0, 0, time.UTC)

// A controller converges a switch, reports this, and releases the switch. The next controller writes nothing
// (I4, I5).
func TestRestartWritesNothing(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	in := apply(t, book, documentsOf(t, x))
	cfg := Config{Name: "noc-1", Store: s, Book: book, Now: c.now}
	first := start(t, cfg)
	st := first.converged("edge-1", in.Number)
	if st.InForce != "all-destinations" || st.Owner != "noc-1" || st.Epoch == 0 || st.Entries == 0 || len(st.Tables) == 0 || st.Pushed.IsZero() {
		t.Errorf("status %+v", st)
	}
	if writes, pushes := x.forget(); len(writes) == 0 || pushes != 1 {
		t.Errorf("%d writes, %d pushes", len(writes), pushes)
	}
	first.end()
	if got, want := first.of("edge-1"), []string{"waiting", "connecting", "converging", "converged", "none"}; !slices.Equal(got, want) {
		t.Errorf("states %q, want %q", got, want)
	}
	all := must(Statuses(within(t), s))(t)
	if len(all) != 1 || all[0].Ownership != NotOwned || all[0].State != StateConverged || all[0].Revision != in.Number || all[0].Owner != "" {
		t.Errorf("stored: %+v", all)
	}
	if writes, pushes := x.forget(); len(writes)+pushes != 0 {
		t.Errorf("the end of the controller made %d writes and %d pushes", len(writes), pushes)
	}
	second := start(t, cfg)
	again := second.converged("edge-1", in.Number)
	if writes, pushes := x.forget(); len(writes)+pushes != 0 {
		t.Errorf("the restart made %d writes and %d pushes", len(writes), pushes)
	}
	if again.Reason != ReasonAsWanted || again.Epoch <= st.Epoch || again.Entries != st.Entries || !again.Pushed.Equal(st.Pushed) {
		t.Errorf("first %+v, then %+v", st, again)
	}
}
