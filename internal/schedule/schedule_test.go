package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"op25b/examples"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deadline = 30 * time.Second

// A world is a store with the documents of an example, in which phase before is in force, and a clock that the test sets.
type world struct {
	t     *testing.T
	store *store.Store
	book  *intent.Book
	ahead atomic.Int64
	busy  atomic.Pointer[string]
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	var err error
	if w.store, err = store.Open(t.Context(), store.Config{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.set(time.Date(2006, 5, 20, 12, 0, 0, 0, time.UTC))
	w.book = intent.NewBook(w.store, w.now)
	w.apply(examples.SpinNet2006())
	return w
}

func (w *world) now() time.Time  { return time.Now().Add(time.Duration(w.ahead.Load())) }
func (w *world) set(t time.Time) { w.ahead.Store(int64(time.Until(t))) }

func (w *world) apply(files []strict.File) *intent.Intent {
	w.t.Helper()
	p, err := w.book.Propose(w.t.Context(), files)
	if err != nil {
		w.t.Fatal(err)
	}
	in, err := w.book.Put(w.t.Context(), p, intent.By{Who: "ann", Reason: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

func (w *world) scheduler() *Scheduler {
	return &Scheduler{Store: w.store, Book: w.book, Dates: w.now, Logger: zaptest.NewLogger(w.t), Busy: func(context.Context) (string, error) {
		if why := w.busy.Load(); why != nil {
			return *why, nil
		}
		return "", nil
	}}
}

// add schedules phase all-destinations an hour from now.
func (w *world) add(s *Scheduler, change func(*Entry)) *Entry {
	w.t.Helper()
	in := w.current()
	e := Entry{At: w.now().Add(time.Hour), Phase: "all-destinations", Base: in.Number, Who: "ann", Role: "operator", Why: "night"}
	if change != nil {
		change(&e)
	}
	added, err := s.Add(w.t.Context(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	return added
}

func (w *world) current() *intent.Intent {
	w.t.Helper()
	in, err := w.book.Current(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

// ended runs schedulers until an activation has ended.
func (w *world) ended(id uint64, all ...*Scheduler) Entry {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), deadline)
	var running sync.WaitGroup
	defer func() { cancel(); running.Wait() }()
	watched := all[0].records().Watch(ctx)
	defer func() {
		cancel()
		for range watched {
		}
	}()
	for _, s := range all {
		running.Go(func() { s.Run(ctx) })
	}
	for events := range watched {
		for _, e := range events {
			if e.Value.ID == id && e.Value.State.Ended() {
				return e.Value
			}
		}
	}
	w.t.Fatalf("activation %d does not end", id)
	return Entry{}
}

// made returns how many activations of an entry were made.
func (w *world) made(id uint64) (n int) {
	for _, a := range w.current().Activations {
		if a.Scheduled == id {
			n++
		}
	}
	return n
}

// An activation is made at its time, once, by however many controllers, as the operator who asked for it, although exemptions and other scheduled
// activations have changed the revision.
func TestMadeOnce(t *testing.T) {
	w := newWorld(t)
	s := w.scheduler()
	first := w.add(s, func(e *Entry) { e.Phase, e.Groups = "mobile-carriers", []string{"mobile"} })
	second := w.add(s, func(e *Entry) { e.At = e.At.Add(time.Minute) })
	if wait, err := s.pass(t.Context()); err != nil || wait <= 0 || w.made(first.ID) != 0 {
		t.Fatalf("before its time: %v, %v, %d made", wait, err, w.made(first.ID))
	}
	w.set(second.At)
	all := []*Scheduler{w.scheduler(), w.scheduler(), w.scheduler()}
	for _, id := range []uint64{first.ID, second.ID} {
		if e := w.ended(id, all...); e.State != Done || e.Revision == 0 {
			t.Errorf("%v is %s: %s", &e, e.State, e.Note)
		}
		if n := w.made(id); n != 1 {
			t.Errorf("activation %d was made %d times", id, n)
		}
	}
	records, err := w.store.Audit().Records(t.Context(), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	var verbs []string
	for _, r := range records {
		verbs = append(verbs, r.Who+" "+r.Verb)
	}
	if got := strings.Join(verbs, ", "); got != "ann apply, ann schedule, ann schedule, ann activate, ann activate" {
		t.Errorf("the audit chain has %s", got)
	}
}

// A controller that is killed at any step leaves the activation to another one, which makes it once.
func TestKilled(t *testing.T) {
	for _, step := range []string{"begun", "made"} {
		w := newWorld(t)
		s := w.scheduler()
		e := w.add(s, nil)
		r, err := s.records().Get(t.Context(), name(e.ID))
		if err != nil {
			t.Fatal(err)
		}
		r.Value.State, r.Value.On = Acting, w.current().Number
		if _, err := s.records().PutIf(t.Context(), r.Name, r.Version, r.Value); err != nil {
			t.Fatal(err)
		}
		if step == "made" {
			if _, err := w.book.ActivateUntil(t.Context(), r.Value.On, r.Value.activation(), intent.By{Who: "ann", Reason: "night"}); err != nil {
				t.Fatal(err)
			}
			// What comes afterwards does not make it again, even if it takes the activation back.
			if _, err := w.book.Rollback(t.Context(), r.Value.On+1, policy.Scope{}, intent.By{Who: "bob", Reason: "calls"}); err != nil {
				t.Fatal(err)
			}
		}
		w.set(e.At)
		if got := w.ended(e.ID, w.scheduler(), w.scheduler()); got.State != Done || got.Revision != r.Value.On+1 {
			t.Errorf("%s: %s, revision %d: %s", step, got.State, got.Revision, got.Note)
		}
		if n := w.made(e.ID); n != 1 {
			t.Errorf("%s: it was made %d times", step, n)
		}
	}
}

// An activation is skipped, with the reason, if what the operator saw has changed, if a rollout runs, or if it is too late.
func TestSkipped(t *testing.T) {
	for _, x := range []struct {
		what   string
		change func(w *world, e *Entry)
		want   string
	}{
		{"documents", func(w *world, e *Entry) {
			files := examples.SpinNet2006()
			for i := range files {
				files[i].Data = []byte(strings.ReplaceAll(string(files[i].Data), "title: Nothing is blocked yet", "title: Nothing is blocked"))
			}
			w.apply(files)
			w.set(e.At)
		}, "the policy, the inventory or the phases have changed since revision 1, on which it was scheduled; the current one is 2"},
		{"phases", func(w *world, e *Entry) {
			if _, err := w.book.Activate(w.t.Context(), 1, "mobile-carriers", policy.Scope{}, intent.By{Who: "bob", Reason: "by hand"}); err != nil {
				w.t.Fatal(err)
			}
			w.set(e.At)
		}, "the policy, the inventory or the phases have changed since revision 1, on which it was scheduled; the current one is 2"},
		{"rollout", func(w *world, e *Entry) {
			why := "rollout 7 is soaking"
			w.busy.Store(&why)
			w.set(e.At)
		}, "rollout 7 is soaking"},
		{"late", func(w *world, e *Entry) { w.set(e.At.Add(3 * time.Hour)) }, "no controller carried it out in time: it is 3h0m0s late, and may be 10m0s"},
		{"late, and begun", func(w *world, e *Entry) {
			records := w.scheduler().records()
			r, err := records.Get(w.t.Context(), name(e.ID))
			if err != nil {
				w.t.Fatal(err)
			}
			r.Value.State, r.Value.On = Acting, 1
			if _, err := records.PutIf(w.t.Context(), r.Name, r.Version, r.Value); err != nil {
				w.t.Fatal(err)
			}
			w.set(e.At.Add(3 * time.Hour))
		}, "no controller carried it out in time: it is 3h0m0s late, and may be 10m0s"},
	} {
		w := newWorld(t)
		s := w.scheduler()
		e := w.add(s, nil)
		x.change(w, e)
		got := w.ended(e.ID, s)
		if got.State != Skipped || got.Note != x.want || w.made(e.ID) != 0 {
			t.Errorf("%s: %s, %q, made %d times; want skipped, %q", x.what, got.State, got.Note, w.made(e.ID), x.want)
		}
		records, err := w.store.Audit().Records(t.Context(), 1, 100)
		if err != nil {
			t.Fatal(err)
		}
		if last := records[len(records)-1]; last.Who != intent.Calendar || last.Verb != "skip" || last.Object != e.String() || last.Reason != x.want {
			t.Errorf("%s: the audit chain ends with %+v", x.what, last)
		}
	}
}

// What cannot be carried out is refused when it is asked for.
func TestAdd(t *testing.T) {
	w := newWorld(t)
	s := w.scheduler()
	good := Entry{At: w.now().Add(time.Hour), Phase: "all-destinations", Base: 1, Who: "ann", Why: "night"}
	for _, x := range []struct {
		what   string
		change func(*Entry)
		kind   error
	}{
		{"past", func(e *Entry) { e.At = w.now() }, ErrTime},
		{"far", func(e *Entry) { e.At = w.now().Add(MaxAhead + time.Hour) }, ErrTime},
		{"stale", func(e *Entry) { e.Base = 7 }, store.ErrStale},
		{"phase", func(e *Entry) { e.Phase = "unheard-of" }, policy.ErrInvalid},
		{"switch", func(e *Entry) { e.Switches = []string{"edge-9"} }, policy.ErrInvalid},
	} {
		e := good
		x.change(&e)
		if _, err := s.Add(t.Context(), e); !errors.Is(err, x.kind) {
			t.Errorf("%s: %v, want %v", x.what, err, x.kind)
		}
	}
	for i := range MaxPending {
		if e, err := s.Add(t.Context(), good); err != nil || e.ID != uint64(i+1) {
			t.Fatal(e, err)
		}
	}
	if _, err := s.Add(t.Context(), good); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), fmt.Sprint(MaxPending)) {
		t.Errorf("one too many: %v", err)
	}
	if e, err := s.Cancel(t.Context(), 3, "bob", "operator", "put off"); err != nil || e.State != Cancelled || e.Note != "put off" {
		t.Errorf("cancel: %+v, %v", e, err)
	}
	if _, err := s.Cancel(t.Context(), 3, "bob", "operator", "again"); !errors.Is(err, ErrEnded) {
		t.Errorf("cancelled twice: %v", err)
	}
	if _, err := s.Cancel(t.Context(), 999, "bob", "operator", "x"); !errors.Is(err, ErrUnknown) {
		t.Errorf("cancel of an unknown one: %v", err)
	}
	all, err := s.List(t.Context())
	if err != nil || len(all) != MaxPending || !slices.ContainsFunc(all, func(e Entry) bool { return e.State == Cancelled }) {
		t.Errorf("%d are listed, %v", len(all), err)
	}
}
