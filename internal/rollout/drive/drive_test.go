package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"op25b/examples"
	"op25b/internal/abuse"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/policy"
	"op25b/internal/rollout"
	"op25b/internal/softswitch"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noForecast forecasts that the phase stops nobody. The real forecast is tested in package abuse.
type noForecast struct{}

func (noForecast) Forecast(*intent.Intent, string, policy.Scope, time.Time) (*abuse.Forecast, error) {
	return &abuse.Forecast{}, nil
}

func (noForecast) ForecastDocuments(*intent.Intent, *intent.Intent, []string, time.Time) (*abuse.Forecast, error) {
	return &abuse.Forecast{}, nil
}

// A world is a store, a fleet of three embedded switches over P4Runtime and gNMI, and a controller. Its documents are those of libmo-mobile.
type world struct {
	t        *testing.T
	store    *store.Store
	book     *intent.Book
	counters *tally.Tally
	names    []string
	change   rollout.Change    // what start brings
	stop     map[string]func() // stops a switch
	bound    rollout.TicketBound
	registry *prometheus.Registry // the metrics of the driver that was run last
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel() // the tests mostly wait
	w := &world{
		t: t, names: []string{"edge-east", "edge-west", "edge-south"}, stop: make(map[string]func()), change: rollout.Change{Phase: "all-destinations"},
	}
	var err error
	if w.store, err = store.Open(t.Context(), store.Config{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.store.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.book = intent.NewBook(w.store, time.Now)
	files := examples.LibmoMobile()
	for i, name := range w.names {
		sw, err := softswitch.New(softswitch.Options{DeviceID: uint64(i + 11)})
		if err != nil {
			t.Fatal(err)
		}
		services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		w.stop[name] = sync.OnceFunc(func() { services.Close(); _ = sw.Close() })
		t.Cleanup(w.stop[name])
		replace(files, fmt.Sprintf("127.0.0.1:957%d", i+1), services.Addrs.P4Runtime)
		replace(files, fmt.Sprintf("127.0.0.1:937%d", i+1), services.Addrs.GNMI)
	}
	w.counters, err = tally.New(tally.Config{Telemetry: telemetry.Config{Interval: time.Second, LineInterval: time.Second}, Book: w.book})
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.book.Propose(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	in, err := w.book.Put(t.Context(), p, intent.By{Who: "noc", Reason: "begin"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.book.Activate(t.Context(), in.Number, "watch", policy.Scope{}, intent.By{Who: "noc", Reason: "before the rollout"}); err != nil {
		t.Fatal(err)
	}
	running.Go(func() { w.counters.Run(ctx) })
	running.Go(func() {
		if err := fleet.Run(ctx, fleet.Config{
			Name: "noc-1", Store: w.store, Book: w.book, Now: time.Now, Session: p4rt.KeepConfig{}, ProbeEvery: time.Hour,
			OnStatus: func(st fleet.Status) {
				w.counters.Follow(st.Switch, st.Ownership == fleet.Owned, st.Running, st.InForce)
			},
		}); err != nil {
			t.Error(err)
		}
	})
	return w
}

func replace(files []strict.File, old, now string) {
	for i := range files {
		files[i].Data = bytes.ReplaceAll(files[i].Data, []byte(old), []byte(now))
	}
}

// run runs a driver. The result ends it.
func (w *world) run(name string) (d *Driver, end func()) {
	w.registry = prometheus.NewPedanticRegistry()
	d = &Driver{
		Store: w.store, Book: w.book, Counters: w.counters, Forecasts: noForecast{}, Probed: true, Desks: []string{"tokyo"}, Metrics: NewMetrics(w.registry),
		Name: name, Now: time.Now, Logger: zaptest.NewLogger(w.t),
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	end = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(end)
	return d, end
}

// start starts a rollout with one switch a ring.
func (w *world) start(d *Driver) *Stored {
	w.t.Helper()
	gates := rollout.DefaultGates()
	gates.Stale, gates.Tickets = 10*time.Second, w.bound
	r := rollout.Record{Change: w.change, Baseline: 3 * time.Second}
	for i, name := range w.names {
		r.Stages = append(r.Stages, rollout.Stage{Name: fmt.Sprint("ring-", i), Switches: []string{name}, Soak: 3 * time.Second, Gates: gates})
	}
	s, err := d.Start(w.t.Context(), r, By{Who: "noc", Role: "operator", Reason: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// until waits until the rollout is in a state that is wanted, and calls seen for each state before.
func (w *world) until(d *Driver, is func(*Stored) bool, seen func(*Stored)) *Stored {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	records := d.Watch(ctx)
	defer func() {
		cancel()
		for range records {
		}
	}()
	var last *Stored
	for s := range records {
		if seen != nil {
			seen(s)
		}
		if last = s; is(s) {
			return s
		}
	}
	w.t.Fatalf("the rollout stays %s in ring %d: %v", last.State, last.Ring, last.Findings)
	return nil
}

// inForce returns the phases that are in force on each switch as its controller reports them.
func (w *world) inForce() string {
	w.t.Helper()
	all, err := fleet.Known(w.t.Context(), w.store, "noc-1")
	if err != nil {
		w.t.Fatal(err)
	}
	var texts []string
	for _, name := range w.names {
		for _, st := range all {
			if st.Switch == name {
				texts = append(texts, st.InForce)
			}
		}
	}
	return strings.Join(texts, " ")
}

// TestRollout verifies a rollout over real switches: each ring is given the phase after the ring before it, the switches have what the record says
// whenever it counts, and every state is in the audit chain.
func TestRollout(t *testing.T) {
	w := newWorld(t)
	d, _ := w.run("noc-1")
	w.start(d)
	var states []string
	w.until(d, func(s *Stored) bool { return s.State.Ended() }, func(s *Stored) {
		if name := fmt.Sprintf("%s %d", s.State, s.Ring); len(states) == 0 || states[len(states)-1] != name {
			states = append(states, name)
		}
		if s.State == rollout.Soaking && s.Ring == 1 && s.Findings == nil {
			if got := w.inForce(); !strings.HasPrefix(got, "all-destinations all-destinations watch") && !strings.HasPrefix(got, "all-destinations all-destinations all-destinations") {
				t.Errorf("while ring 1 soaks, in force is %s", got)
			}
		}
	})
	want := "measuring 0, rehearsing 0, taking-back 0, advancing 0, soaking 0, advancing 1, soaking 1, advancing 2, soaking 2, done 2"
	if got := strings.Join(states, ", "); got != want {
		t.Errorf("the states were\n%s, want\n%s", got, want)
	}
	if got := w.inForce(); got != "all-destinations all-destinations all-destinations" {
		t.Errorf("after the rollout, in force is %s", got)
	}
	records, err := w.store.Audit().Records(t.Context(), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	var verbs []string
	for _, r := range records {
		if name, is := strings.CutPrefix(r.Verb, "rollout "); is {
			verbs = append(verbs, name)
		}
	}
	if got, want := strings.Join(verbs, ", "), "measuring, rehearsing, taking-back, advancing, soaking, advancing, soaking, advancing, soaking, done"; got != want {
		t.Errorf("the audit chain has\n%s, want\n%s", got, want)
	}
	if again, err := d.Start(t.Context(), rollout.Record{Change: rollout.Change{Phase: "drain"}, Stages: []rollout.Stage{{Name: "a", Switches: w.names[:1], Soak: time.Hour}}}, By{Who: "noc", Reason: "second"}); err != nil || again.ID != "2" {
		t.Errorf("the next rollout is %+v, %v", again, err)
	}
	if past, err := d.Past(t.Context()); err != nil || len(past) != 1 || past[0].State != rollout.Done {
		t.Errorf("the past rollouts are %v, %v", past, err)
	}
}

// TestGoesBack verifies that a switch that dies takes the phase back from all rings, and that the rollout has gone back only when the dead switch has
// confirmed it.
func TestGoesBack(t *testing.T) {
	w := newWorld(t)
	d, _ := w.run("noc-1")
	w.start(d)
	w.until(d, func(s *Stored) bool { return s.State == rollout.Soaking && s.Ring == 1 }, nil)
	w.stop["edge-west"]()
	s := w.until(d, func(s *Stored) bool { return s.State == rollout.GoingBack }, nil)
	if f := s.Findings[0]; f.Gate != rollout.Switches || !slices.Equal(f.Switches, []string{"edge-west"}) {
		t.Errorf("the rollout goes back because of %v", f)
	}
	for w.inForce()[:len("watch ")] != "watch " { // the living switch goes back without the dead one
		if !store.Pause(t.Context(), 50*time.Millisecond) {
			t.Fatal("the living switch keeps the phase")
		}
	}
	if s, err := d.Current(t.Context()); err != nil || s.State != rollout.GoingBack {
		t.Errorf("the dead switch has confirmed nothing, and the rollout is %v, %v", s.State, err)
	}
	in, err := w.book.Current(t.Context())
	if err != nil || s.Placed(in) {
		t.Fatalf("the rollout still has activations: %v, %v", in.Activations, err)
	}
	p, err := w.book.Propose(t.Context(), without(in.Files, "edge-west"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.book.Put(t.Context(), p, intent.By{Who: "noc", Reason: "the dead switch leaves"}); err != nil {
		t.Fatal(err)
	}
	w.until(d, func(s *Stored) bool { return s.State == rollout.WentBack }, nil)
}

// TestStaleDriver verifies that a driver whose record is not the newest one changes nothing.
func TestStaleDriver(t *testing.T) {
	w := newWorld(t)
	d := &Driver{Store: w.store, Book: w.book, Counters: w.counters, Forecasts: noForecast{}, Name: "noc-1", Now: time.Now, Logger: zaptest.NewLogger(t)}
	w.start(d)
	stale, err := d.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stale.State = rollout.Advancing // as it would be later
	if _, err := d.Change(t.Context(), By{Who: "noc", Reason: "stop"}, func(r rollout.Record) (rollout.Record, error) {
		return r.Abort("noc", "stop", time.Now())
	}); err != nil {
		t.Fatal(err)
	}
	own, err := w.store.TryOwn(t.Context(), rolloutKind, currentName, "noc-1")
	if err != nil {
		t.Fatal(err)
	}
	before, err := w.book.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if next, err := d.step(t.Context(), own, stale); next != nil || err != nil {
		t.Errorf("a stale driver stored %v, %v", next, err)
	}
	if after, err := w.book.Current(t.Context()); err != nil || after.Number != before.Number {
		t.Errorf("a stale driver made revision %d of %d, %v", after.Number, before.Number, err)
	}
}

// without returns the documents without a switch of the inventory.
func without(files []strict.File, name string) []strict.File {
	all := slices.Clone(files)
	for i, f := range all {
		parts := bytes.Split(f.Data, []byte("\n  - name: "))
		all[i].Data = bytes.Join(slices.DeleteFunc(parts, func(p []byte) bool { return bytes.HasPrefix(p, []byte(name+"\n")) }), []byte("\n  - name: "))
	}
	return all
}

// TestTakenOver verifies that another controller carries the rollout on after the first one has ended in each state, and that no state is left out. The
// next controller has not counted the lines from the beginning, so an operator is asked for each ring.
func TestTakenOver(t *testing.T) {
	w := newWorld(t)
	w.takenOver()
	if got := w.inForce(); got != "all-destinations all-destinations all-destinations" {
		t.Errorf("after the rollout, in force is %s", got)
	}
}

// takenOver runs a rollout whose controller ends in each state.
func (w *world) takenOver() {
	t := w.t
	t.Helper()
	d, end := w.run("noc-1")
	w.start(d)
	n, asked := 1, 0
	ended := make(map[string]bool)
	done := w.until(d, func(s *Stored) bool { return s.State.Ended() }, func(s *Stored) {
		if name := fmt.Sprintf("%s %d", s.State, s.Ring); !ended[name] {
			ended[name] = true
			end()
			n++
			d, end = w.run(fmt.Sprint("noc-", n))
		}
		if s.State != rollout.Held {
			return
		}
		for _, f := range s.Findings {
			if f.Verdict == rollout.Hold && f.Gate != rollout.Affected {
				t.Errorf("the rollout is held by %v", f)
			}
			if f.Verdict != rollout.Hold {
				continue
			}
			asked++
			if _, err := d.Change(t.Context(), By{Who: "noc", Reason: "known"}, func(r rollout.Record) (rollout.Record, error) {
				return r.Resume("noc", "known", time.Now())
			}); err != nil && !errors.Is(err, rollout.ErrState) {
				t.Error(err)
			}
		}
	})
	if done.State != rollout.Done || n < 10 || asked == 0 {
		t.Errorf("after %d controllers and %d questions, the rollout is %s: %v", n, asked, done.State, done.Findings)
	}
}

// TestPastIsBounded verifies that only the newest rollouts are kept.
func TestPastIsBounded(t *testing.T) {
	w := newWorld(t)
	d := &Driver{Store: w.store, Book: w.book, Name: "noc-1", Now: time.Now, Logger: zaptest.NewLogger(t)}
	for range MaxPast + 3 {
		w.start(d)
		if _, err := d.Change(t.Context(), By{Who: "noc"}, func(r rollout.Record) (rollout.Record, error) {
			r.State = rollout.Done
			return r, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if past, err := d.Past(t.Context()); err != nil || len(past) != MaxPast || past[0].ID != fmt.Sprint(MaxPast+2) || past[MaxPast-1].ID != "3" {
		t.Errorf("%d rollouts are kept, %v; want %d", len(past), err, MaxPast)
	}
}

// TestStartTwice verifies that a second rollout is refused while one runs.
func TestStartTwice(t *testing.T) {
	w := newWorld(t)
	d := &Driver{Store: w.store, Book: w.book, Name: "noc-1", Now: time.Now, Logger: zaptest.NewLogger(t)}
	if _, err := d.Current(t.Context()); err == nil || !errors.Is(err, ErrNone) {
		t.Errorf("without a rollout: %v", err)
	}
	w.start(d)
	_, err := d.Start(t.Context(), rollout.Record{Stages: []rollout.Stage{{}}}, By{})
	if want := "a rollout is running: rollout 1 is measuring: abort it, or wait until it has ended"; err == nil || err.Error() != want {
		t.Errorf("a second rollout: %v, want %s", err, want)
	}
}
