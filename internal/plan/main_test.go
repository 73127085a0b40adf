package plan

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/goleak"

	"op25b/e2e/longform"
	"op25b/internal/bring"
	"op25b/internal/bring/bringtest"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/softswitch"
	"op25b/internal/store"
	"op25b/internal/strict"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	goleak.VerifyTestMain(m)
}

// deadline bounds every step that waits. Tests that pass never reach it.
const deadline = 30 * time.Second

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// A world contains a book of intents, a clock for the book, and the revisions that were applied to
// switches.
type world struct {
	t       testing.TB
	book    *intent.Book
	now     time.Time
	applied map[string]bring.Applied
	dialed  uint64
}

func newWorld(t testing.TB, day string) *world {
	t.Helper()
	w := &world{t: t, applied: make(map[string]bring.Applied)}
	w.setDay(day)
	s, err := store.Open(within(t), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w.book = intent.NewBook(s, func() time.Time { return w.now })
	return w
}

func (w *world) setDay(day string) {
	w.t.Helper()
	var err error
	if w.now, err = time.Parse(time.DateOnly, day); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) planner(change func(*Config)) *Planner {
	w.t.Helper()
	cfg := Config{At: w.book.At, Now: func() time.Time { return w.now }}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// put stores documents as the next revision of the intent.
func (w *world) put(files []strict.File) *intent.Intent {
	w.t.Helper()
	proposal, err := w.book.Propose(within(w.t), files)
	if err != nil {
		w.t.Fatal(err)
	}
	in, err := w.book.Put(within(w.t), proposal, intent.By{Who: "test", Reason: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

func (w *world) propose(files []strict.File) *intent.Intent {
	w.t.Helper()
	proposal, err := w.book.Propose(within(w.t), files)
	if err != nil {
		w.t.Fatal(err)
	}
	return proposal.Intent
}

// make returns the plan for replacing the intent base with proposed.
func (w *world) make(base, proposed *intent.Intent) *Plan {
	w.t.Helper()
	made, err := w.planner(nil).Make(within(w.t), Request{Base: base, Proposed: proposed, Applied: w.applied})
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

// bring brings a switch to the state of an intent, as the switch's controller does.
func (w *world) bring(in *intent.Intent, name string) {
	w.t.Helper()
	compiled, err := in.Compile(name, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	s := w.session(in, name)
	defer s.Close()
	if _, err := bringtest.Converge(within(w.t), s, &compiled.State); err != nil {
		w.t.Fatal(err)
	}
	w.applied[name] = bring.Applied{Revision: in.Number, Audited: w.now}
}

// session connects to a switch and becomes its primary controller.
func (w *world) session(in *intent.Intent, name string) *p4rt.Session {
	w.t.Helper()
	sw, _ := in.Bundle.Inventory.Switch(name)
	w.dialed++
	s, err := p4rt.Dial(within(w.t), p4rt.Config{Addr: sw.P4Runtime, DeviceID: uint64(sw.DeviceID), ElectionID: p4rt.ElectionID{Low: w.dialed}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() })
	if err := s.WaitPrimary(within(w.t)); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// write sends updates to a switch as another controller would.
func (w *world) write(in *intent.Intent, name string, updates ...*p4v1.Update) {
	w.t.Helper()
	s := w.session(in, name)
	defer s.Close()
	if err := s.Write(within(w.t), updates); err != nil {
		w.t.Fatal(err)
	}
}

// startSwitch starts an embedded switch and returns the address of its P4Runtime server.
func startSwitch(t testing.TB, device uint64) (addr string, stop func()) {
	t.Helper()
	sw, err := softswitch.New(softswitch.Options{DeviceID: device})
	if err != nil {
		t.Fatal(err)
	}
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			services.Close()
			_ = sw.Close()
		}
	}
	t.Cleanup(stop)
	return services.Addrs.P4Runtime, stop
}

// nobody returns an address on which no server listens.
func nobody(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// edit replaces texts in files. pairs alternates old and new texts; the test fails if no file
// contains an old text.
func edit(t testing.TB, files []strict.File, pairs ...string) []strict.File {
	t.Helper()
	edited := make([]strict.File, len(files))
	for i, f := range files {
		edited[i] = strict.File{Name: f.Name, Data: bytes.Clone(f.Data)}
	}
	for ; len(pairs) > 0; pairs = pairs[2:] {
		there := false
		for i, f := range edited {
			there = there || bytes.Contains(f.Data, []byte(pairs[0]))
			edited[i].Data = bytes.ReplaceAll(f.Data, []byte(pairs[0]), []byte(pairs[1]))
		}
		if !there {
			t.Fatalf("no file has %q", pairs[0])
		}
	}
	return edited
}
