package api

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"op25b/e2e/longform"
	"op25b/examples"
	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/store"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	goleak.VerifyTestMain(m)
}

// deadline is the limit on every wait in a test. A passing test never reaches it.
const deadline = 30 * time.Second

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// A world is an API with its own store and with switches whose statuses the test sets.
type world struct {
	t        testing.TB
	store    *store.Store
	book     *intent.Book
	switches *toldSwitches
	logs     *observer.ObservedLogs
	addr     string
	stop     context.CancelFunc // ends the API's streams
	now      time.Time
}

// newWorld serves an API in plain text on loopback. If change is not nil, newWorld calls it to
// modify the API's dependencies.
func newWorld(t testing.TB, change func(*Deps)) *world {
	t.Helper()
	s, err := store.Open(within(t), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	core, logs := observer.New(zapcore.DebugLevel)
	w := &world{t: t, store: s, switches: newToldSwitches(), logs: logs, now: time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)}
	w.book = intent.NewBook(s, func() time.Time { return w.now })
	planner, err := plan.New(plan.Config{At: w.book.At, Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	stopping, stop := context.WithCancel(t.Context())
	w.stop = stop
	d := Deps{
		Store: s, Book: w.book, Switches: w.switches, Plan: planner, Now: func() time.Time { return w.now },
		Logger: zap.New(core), Metrics: prometheus.NewRegistry(), Stopping: stopping,
	}
	if change != nil {
		change(&d)
	}
	w.addr = serve(t, Listening{Addr: "127.0.0.1:0"}, New(d))
	return w
}

// serve serves a handler until the test ends, and returns its address.
func serve(t testing.TB, o Listening, h http.Handler) string {
	t.Helper()
	l, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, h)
}

// serveOn serves a handler on a listener until the test ends, and returns the listener's address.
func serveOn(t testing.TB, l net.Listener, h http.Handler) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, h, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// dial returns a grpc-go client connection. grpc-go shares no code with connect.
func (w *world) dial(opts ...grpc.DialOption) *grpc.ClientConn {
	w.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+w.addr, append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// spinnet returns the files of the worked example, with an unreachable switch.
func spinnet(t testing.TB) []*op25bv1.File {
	t.Helper()
	return edited(t, examples.SpinNet2006(), "127.0.0.1:9559", nobody(t))
}

// nobody returns an address on which nothing listens.
func nobody(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// edited converts files to request files. In each pair of texts, the first text is replaced by the
// second.
func edited(t testing.TB, files []strict.File, pairs ...string) []*op25bv1.File {
	t.Helper()
	var all []*op25bv1.File
	for _, f := range files {
		data := bytes.Clone(f.Data)
		for i := 0; i < len(pairs); i += 2 {
			data = bytes.ReplaceAll(data, []byte(pairs[i]), []byte(pairs[i+1]))
		}
		all = append(all, &op25bv1.File{Name: f.Name, Data: data})
	}
	return all
}

// replaced returns request files in which a text is replaced. The test fails if no file contains
// the text.
func replaced(t testing.TB, files []*op25bv1.File, old, now string) []*op25bv1.File {
	t.Helper()
	found := false
	all := make([]*op25bv1.File, len(files))
	for i, f := range files {
		found = found || bytes.Contains(f.Data, []byte(old))
		all[i] = &op25bv1.File{Name: f.Name, Data: bytes.ReplaceAll(f.Data, []byte(old), []byte(now))}
	}
	if !found {
		t.Fatalf("no file has %q", old)
	}
	return all
}

// put stores files as the next revision without using the API.
func (w *world) put(files []*op25bv1.File) *intent.Intent {
	w.t.Helper()
	docs, err := filesOf(files, MaxFiles)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.book.Propose(within(w.t), docs)
	if err != nil {
		w.t.Fatal(err)
	}
	in, err := w.book.Put(within(w.t), p, intent.By{Who: "test", Reason: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

// chain verifies the audit chain and returns its records as texts with who, role, verb and object.
func (w *world) chain() []string {
	w.t.Helper()
	if _, err := w.store.Audit().Verify(within(w.t)); err != nil {
		w.t.Error(err)
	}
	records, err := w.store.Audit().Records(within(w.t), 0, MaxList)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, r := range records {
		all = append(all, strings.TrimSpace(strings.Join([]string{r.Who, r.Role, r.Verb, r.Object}, " ")))
	}
	return all
}

// toldSwitches is a Switches whose statuses a test sets.
type toldSwitches struct {
	mu       sync.Mutex // guards the fields below
	statuses []*op25bv1.SwitchStatus
	watchers []chan []*op25bv1.SwitchStatus
}

func newToldSwitches() *toldSwitches { return &toldSwitches{} }

// tell sets the statuses of the switches.
func (s *toldSwitches) tell(statuses ...*op25bv1.SwitchStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statuses = statuses
	for _, w := range s.watchers {
		select {
		case <-w: // the statuses that the watcher has not received are outdated
		default:
		}
		w <- slices.Clone(statuses)
	}
}

// List returns the statuses that the test set.
func (s *toldSwitches) List(context.Context) ([]*op25bv1.SwitchStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.statuses), nil
}

// Watch sends the statuses that the test sets.
func (s *toldSwitches) Watch(ctx context.Context) <-chan []*op25bv1.SwitchStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, out := make(chan []*op25bv1.SwitchStatus, 1), make(chan []*op25bv1.SwitchStatus)
	in <- slices.Clone(s.statuses)
	s.watchers = append(s.watchers, in)
	go func() {
		defer close(out)
		for {
			select {
			case statuses := <-in:
				select {
				case out <- statuses:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// StateChanges returns a change for each status that the test set.
func (s *toldSwitches) SessionEntries(context.Context) (map[string]*op25bv1.SessionEntries, error) {
	return map[string]*op25bv1.SessionEntries{"edge-1": {InForce: 1}}, nil
}

func (s *toldSwitches) StateChanges(_ context.Context, name string) (all []*op25bv1.StateChange, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.statuses {
		if st.Switch == name {
			all = append(all, &op25bv1.StateChange{Time: st.Since, State: st.State, Reason: st.Reason, Revision: st.Revision, Owner: st.Owner})
		}
	}
	return all, nil
}

var _ Switches = (*toldSwitches)(nil)
