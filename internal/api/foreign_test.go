package api

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/examples"
	"op25b/internal/fleet"
	"op25b/internal/softswitch"
	op25bv1 "op25b/proto/op25b/v1"
)

// A writeGate controls the writes to a switch. After close, it passes one write and refuses all further writes until open.
type writeGate struct {
	mu     sync.Mutex // guards the fields below
	closed bool
	left   int // the number of writes that still pass while the gate is closed
	hit    chan struct{}
}

func (g *writeGate) close() (hit <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.left, g.hit = true, 1, make(chan struct{})
	return g.hit
}

func (g *writeGate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
}

func (g *writeGate) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if _, write := req.(*p4v1.WriteRequest); write && !g.pass() {
		return nil, status.Error(codes.InvalidArgument, "refused by the test")
	}
	return handle(ctx, req)
}

func (g *writeGate) pass() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed && g.left == 0 {
		if g.hit != nil {
			close(g.hit)
			g.hit = nil
		}
		return false
	}
	g.left--
	return true
}

// The plan and the controller agree on which entries are foreign after two changes failed halfway and the controller was restarted.
func TestForeignIsOneQuestion(t *testing.T) {
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sw.Close() })
	gate := &writeGate{}
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0"}, grpc.ChainUnaryInterceptor(gate.unary))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	w := newWorld(t, func(d *Deps) { d.Switches = FleetSwitches(d.Store, "noc-1") })
	start := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- fleet.Run(ctx, fleet.Config{Name: "noc-1", Store: w.store, Book: w.book, Now: func() time.Time { return w.now }})
		}()
		return sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	await := func(what string, is func(*op25bv1.SwitchStatus) bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		var last []*op25bv1.SwitchStatus
		found := false
		for last = range FleetSwitches(w.store, "noc-1").Watch(ctx) {
			if found = slices.ContainsFunc(last, is); found {
				cancel()
			}
		}
		if !found {
			t.Fatalf("%s: did not come about: %v", what, last)
		}
	}
	at := func(revision uint64) func(*op25bv1.SwitchStatus) bool {
		return func(st *op25bv1.SwitchStatus) bool { return st.Converged && st.Revision == revision }
	}

	files := edited(t, examples.SpinNet2006(), "127.0.0.1:9559", services.Addrs.P4Runtime)
	files = replaced(t, files, "    rejectFrom:", "    foreign: keep\n    rejectFrom:")
	w.put(files)
	stop := start()
	t.Cleanup(func() { stop() })
	await("the first revision", at(1))

	// Each of the two changes adds a station, and fails before it removes another station.
	for i, station := range []string{"02:00:00:00:01:41", "02:00:00:00:01:42"} {
		hit := gate.close()
		w.put(replaced(t, replaced(t, files, `["02:00:00:00:01:01"]`, `["02:00:00:00:01:01", "`+station+`"]`), `        macs: ["02:00:00:00:01:02"]`+"\n", ""))
		select {
		case <-hit:
		case <-time.After(deadline):
			t.Fatal("nothing was refused")
		}
		wanted := uint64(i + 2)
		await("the failure", func(st *op25bv1.SwitchStatus) bool { return st.Failed && st.Wanted == wanted && st.Revision == 1 })
	}
	stop()
	gate.open()
	in := w.put(replaced(t, files, "kind: Policy", "kind: Policy # a remark"))

	planned, err := op25bv1.NewFleetServiceClient(w.dial()).Drift(within(t), &op25bv1.DriftRequest{})
	if err != nil {
		t.Fatal(err)
	}
	s := planned.Plan.Switches[0]
	removed := 0
	for _, c := range s.Change.Entries {
		if c.Kind == "removed" && strings.HasPrefix(c.Old, "bridge") {
			removed++
		}
	}
	if s.Drift.Foreign != 0 || s.Change.Removed != 2 || removed != 2 {
		t.Errorf("the plan: %d foreign entries, want 0; %d removed, want the 2 stations: %v", s.Drift.Foreign, s.Change.Removed, s.Change)
	}
	stop = start()
	await("the last revision", at(in.Number))
	await("no foreign entry", func(st *op25bv1.SwitchStatus) bool { return at(in.Number)(st) && st.Foreign == 0 })

	// The controllers stored the changes of the state on the way.
	changed, err := op25bv1.NewFleetServiceClient(w.dial()).ListStateChanges(within(t), &op25bv1.ListStateChangesRequest{Switch: "edge-1"})
	if err != nil || len(changed.Changes) == 0 {
		t.Fatalf("%v, %v", changed, err)
	}
	if c := changed.Changes[0]; c.State != op25bv1.SwitchState_SWITCH_STATE_CONVERGED || c.Revision != in.Number || c.Owner != "noc-1" || c.Time == nil {
		t.Errorf("the newest change is %v", c)
	}
	_, err = op25bv1.NewFleetServiceClient(w.dial()).ListStateChanges(within(t), &op25bv1.ListStateChangesRequest{Switch: "edge-9"})
	if want := `unknown switch "edge-9"; known: edge-1`; status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
