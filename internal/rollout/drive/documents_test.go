package drive

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/rollout"
	"op25b/internal/store"
)

// newDocumentsWorld returns a world in which the rollout brings documents: those of libmo-mobile with a rule that stops mail in the phase watch.
func newDocumentsWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.stage()
	return w
}

// stage stores the documents as the next documents.
func (w *world) stage() {
	w.t.Helper()
	in, err := w.book.Current(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	files := slices.Clone(in.Files)
	replace(files, "remote: any, action: monitor", "remote: any, action: drop")
	p, err := w.book.Propose(w.t.Context(), files)
	if err != nil {
		w.t.Fatal(err)
	}
	if in, err = w.book.Stage(w.t.Context(), p, intent.By{Who: "noc", Reason: "test"}); err != nil {
		w.t.Fatal(err)
	}
	w.change = rollout.Change{Documents: in.Split().Base, Policy: in.Bundle.Policy.Name}
}

// has returns which documents each switch was seen in, as its controller reports: old, next, or - for none.
func (w *world) has() string {
	w.t.Helper()
	all, err := fleet.Known(w.t.Context(), w.store, "noc-1")
	if err != nil {
		w.t.Fatal(err)
	}
	var texts []string
	for _, name := range w.names {
		text := "-"
		for _, st := range all {
			if st.Switch != name || st.State != fleet.StateConverged {
				continue
			}
			in, err := w.book.At(w.t.Context(), st.Revision)
			if err != nil {
				w.t.Fatal(err)
			}
			if text = "old"; w.isNext(in.For(name)) {
				text = "next"
			}
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}

func (w *world) isNext(in *intent.Intent) bool {
	for _, f := range in.Files {
		if bytes.Contains(f.Data, []byte("remote: any, action: drop")) {
			return true
		}
	}
	return false
}

// settled waits until the switches have the given documents and the intent has no next documents.
func (w *world) settled(want string) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		in, err := w.book.Current(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if in.Split() == nil && w.has() == want && w.isNext(in) == strings.HasPrefix(want, "next") {
			return
		}
		if time.Now().After(deadline) || !store.Pause(w.t.Context(), 50*time.Millisecond) {
			w.t.Fatalf("the switches have %s, and the split is %v; want %s", w.has(), in.Split(), want)
		}
	}
}

// TestDocuments verifies a rollout of documents over real switches: each ring is given them after the ring before it, and what a status says is so
// (I11). At the end, the documents are those of the intent.
func TestDocuments(t *testing.T) {
	w := newDocumentsWorld(t)
	d, _ := w.run("noc-1")
	w.start(d)
	var states []string
	w.until(d, func(s *Stored) bool { return s.State.Ended() }, func(s *Stored) {
		if name := string(s.State); len(states) == 0 || states[len(states)-1] != name {
			states = append(states, name)
		}
		switch got := w.has(); {
		case s.State == rollout.Measuring && strings.Contains(got, "next"):
			t.Errorf("while the traffic is measured, the switches have %s", got)
		case s.State == rollout.Soaking && s.Ring == 1 && !strings.HasPrefix(got, "next next") && !strings.HasPrefix(got, "next -"):
			t.Errorf("while ring 1 soaks, the switches have %s", got)
		case s.State == rollout.Advancing && s.Ring < 2 && strings.HasSuffix(got, "next"):
			t.Errorf("while ring %d is given the documents, the switches have %s", s.Ring, got)
		}
	})
	want := "measuring, rehearsing, taking-back, advancing, soaking, advancing, soaking, advancing, soaking, done"
	if got := strings.Join(states, ", "); got != want {
		t.Errorf("the states were\n%s, want\n%s", got, want)
	}
	w.settled("next next next")
}

// TestDocumentsGoBack verifies that all switches have the documents in force again after an abort.
func TestDocumentsGoBack(t *testing.T) {
	w := newDocumentsWorld(t)
	d, _ := w.run("noc-1")
	w.start(d)
	w.until(d, func(s *Stored) bool { return s.State == rollout.Soaking && s.Ring == 1 }, nil)
	if got := w.has(); got != "next next old" {
		t.Errorf("while ring 1 soaks, the switches have %s", got)
	}
	if _, err := d.Change(t.Context(), By{Who: "noc", Reason: "stop"}, func(r rollout.Record) (rollout.Record, error) {
		return r.Abort("noc", "stop", time.Now())
	}); err != nil {
		t.Fatal(err)
	}
	w.until(d, func(s *Stored) bool { return s.State == rollout.WentBack }, nil)
	w.settled("old old old")
}

// TestForeseen verifies what is said before the first ring of documents that newly stop or open lines, and that nothing is said of a phase.
func TestForeseen(t *testing.T) {
	s := &Stored{
		Record: rollout.Record{Stages: []rollout.Stage{{Name: "first", Switches: []string{"a"}}, {Name: "rest", Switches: []string{"b", "c"}}}},
		Begun:  map[string]Counts{"a": {Forecast: 2}, "b": {Forecast: 3, Opened: 1}, "c": {}},
	}
	if found := s.foreseen(); found != nil {
		t.Errorf("of a phase, %v is said", found)
	}
	s.Change.Documents = 7
	var texts []string
	for _, f := range s.foreseen() {
		texts = append(texts, f.String())
	}
	want := []string{
		"foreseen (a, b): hold: lines that send mail which the documents newly stop, or may do so unseen: 5",
		"foreseen (b): hold: lines that try to send mail which is stopped now and passes with the documents: 1",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("%q is said, want %q", texts, want)
	}
}

// TestDocumentsAreGone verifies that a rollout brings nothing if the intent has other next documents than those with which it began.
func TestDocumentsAreGone(t *testing.T) {
	w := newDocumentsWorld(t)
	d, _ := w.run("noc-1")
	w.start(d)
	w.stage() // by another program
	w.until(d, func(s *Stored) bool { return s.State == rollout.Measuring }, nil)
	own, err := w.store.TryOwn(t.Context(), "test", "test", "noc-1")
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.step(t.Context(), own, s); err == nil || !strings.Contains(err.Error(), "the intent does not have these next documents: abort the rollout") {
		t.Errorf("the step returns %v", err)
	}
	if got := w.has(); strings.Contains(got, "next") {
		t.Errorf("the switches have %s", got)
	}
	if _, err := d.Change(t.Context(), By{Who: "noc", Reason: "stop"}, func(r rollout.Record) (rollout.Record, error) {
		return r.Abort("noc", "stop", time.Now())
	}); err != nil {
		t.Fatal(err)
	}
	w.until(d, func(s *Stored) bool { return s.State == rollout.WentBack }, nil)
}

// TestDocumentsTakenOver is TestTakenOver for a rollout of documents.
func TestDocumentsTakenOver(t *testing.T) {
	w := newDocumentsWorld(t)
	w.takenOver()
	w.settled("next next next")
}

// TestAdoptedLater verifies that the documents of a rollout that is done become those of all switches even if the controller has ended before.
func TestAdoptedLater(t *testing.T) {
	w := newDocumentsWorld(t)
	d := &Driver{Store: w.store, Book: w.book, Counters: w.counters, Forecasts: noForecast{}, Name: "noc-1", Now: time.Now}
	w.start(d)
	in, err := w.book.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.book.Advance(t.Context(), in.Number, w.change.Documents, w.names, intent.By{Who: "noc", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Change(t.Context(), By{Who: "noc", Reason: "test"}, func(r rollout.Record) (rollout.Record, error) {
		r.State, r.Ring = rollout.Done, len(r.Stages)-1
		return r, nil
	}); err != nil {
		t.Fatal(err)
	}
	w.run("noc-2")
	w.settled("next next next")
}
