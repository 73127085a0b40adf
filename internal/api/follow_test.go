package api

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/examples"
	"op25b/internal/fleet"
	op25bv1 "op25b/proto/op25b/v1"
)

// Short names of switch states.
const (
	connecting   = op25bv1.SwitchState_SWITCH_STATE_CONNECTING
	converging   = op25bv1.SwitchState_SWITCH_STATE_CONVERGING
	converged    = op25bv1.SwitchState_SWITCH_STATE_CONVERGED
	failed       = op25bv1.SwitchState_SWITCH_STATE_FAILED
	disconnected = op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED
	unknownState = op25bv1.SwitchState_SWITCH_STATE_UNKNOWN
)

func at(name string, state op25bv1.SwitchState, revision, wanted uint64) *op25bv1.SwitchStatus {
	return &op25bv1.SwitchStatus{
		Switch: name, State: state, Revision: revision, Wanted: wanted, Converged: state == converged,
		Failed: state == failed || state == disconnected,
	}
}

// elsewhere changes a status to a revision of another store with the same number.
func elsewhere(st *op25bv1.SwitchStatus) *op25bv1.SwitchStatus {
	st.RevisionId = "of a store that was replaced"
	return st
}

// A change is done as soon as every switch of the inventory has converged or failed, and not
// before.
func TestFollower(t *testing.T) {
	w := newWorld(t, nil)
	in := w.put(edited(t, examples.LibmoMobile()))
	for _, c := range []struct {
		name      string
		statuses  []*op25bv1.SwitchStatus
		converged uint32
		failed    []string
		later     uint64
		done      bool
	}{
		{name: "nobody has said anything"},
		{"one is not told of", []*op25bv1.SwitchStatus{at("edge-east", converged, 1, 1), at("edge-west", converged, 1, 1)}, 0, nil, 0, false},
		{"all are there", []*op25bv1.SwitchStatus{at("edge-east", converged, 1, 1), at("edge-west", converged, 1, 1), at("edge-south", converged, 1, 1)}, 3, nil, 0, true},
		{"one is still at the one before", []*op25bv1.SwitchStatus{at("edge-east", converged, 0, 0), at("edge-west", converged, 1, 1), at("edge-south", converged, 1, 1)}, 0, nil, 0, false},
		{"one is at another revision of the number", []*op25bv1.SwitchStatus{elsewhere(at("edge-east", converged, 1, 1)), at("edge-west", converged, 1, 1), at("edge-south", converged, 1, 1)}, 0, nil, 0, false},
		{"one is being brought there", []*op25bv1.SwitchStatus{at("edge-east", converging, 0, 1), at("edge-west", converged, 1, 1), at("edge-south", converged, 1, 1)}, 0, nil, 0, false},
		{"one has failed", []*op25bv1.SwitchStatus{at("edge-east", failed, 0, 1), at("edge-west", converged, 1, 1), at("edge-south", converged, 1, 1)}, 2, []string{"edge-east"}, 0, true},
		{"one has failed with the one before", []*op25bv1.SwitchStatus{at("edge-east", failed, 0, 0), at("edge-west", converged, 1, 1), at("edge-south", converged, 1, 1)}, 0, nil, 0, false},
		{"one is away", []*op25bv1.SwitchStatus{at("edge-east", disconnected, 0, 0), at("edge-west", converged, 1, 1), at("edge-south", converged, 1, 1)}, 2, []string{"edge-east"}, 0, true},
		{"one is further already", []*op25bv1.SwitchStatus{at("edge-east", converged, 2, 2), at("edge-west", converged, 1, 1), at("edge-south", converged, 1, 1)}, 3, nil, 2, true},
		{"one that is not of it has failed", []*op25bv1.SwitchStatus{
			at("edge-east", converged, 1, 1), at("edge-west", converged, 1, 1), at("edge-south", converged, 1, 1), at("old", failed, 0, 9),
		}, 3, nil, 0, true},
	} {
		for _, st := range c.statuses {
			if st.Revision == in.Number && st.RevisionId == "" {
				st.RevisionId = in.ID
			}
		}
		f := newFollower(in)
		news := f.news(c.statuses)
		if len(news) != 3 { // one status for each switch of the inventory
			t.Errorf("%s: %v", c.name, news)
		}
		if again := f.news(c.statuses); len(again) != 0 {
			t.Errorf("%s: the same is told again: %v", c.name, again)
		}
		done := f.done()
		if (done != nil) != c.done {
			t.Errorf("%s: done is %v", c.name, done)
			continue
		}
		var failed []string
		for _, st := range done.GetFailed() {
			failed = append(failed, st.Switch)
		}
		if done.GetConverged() != c.converged || !slices.Equal(failed, c.failed) || done.GetSupersededBy() != c.later || c.done && done.Revision != 1 {
			t.Errorf("%s: %v", c.name, done)
		}
	}
}

// The stream of a change reports every step of every switch in order.
func TestProgress(t *testing.T) {
	w := newWorld(t, nil)
	c := op25bv1.NewIntentServiceClient(w.dial())
	stream, err := c.Apply(within(t), &op25bv1.ApplyRequest{Files: spinnet(t), Reason: "begin"})
	if err != nil {
		t.Fatal(err)
	}
	next := func() *op25bv1.Progress {
		t.Helper()
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if got := next(); got.GetStored().GetNumber() != 1 || !got.Time.AsTime().Equal(w.now) {
		t.Errorf("first: %v", got)
	}
	if got := next().GetSwitch(); got.GetState() != unknownState || got.Wanted != 1 || got.Address == "" {
		t.Errorf("nobody has said anything of the switch: %v", got)
	}
	for _, state := range []op25bv1.SwitchState{connecting, converging} {
		w.switches.tell(at("edge-1", state, 0, 1))
		if got := next().GetSwitch(); got.GetState() != state {
			t.Errorf("%v, want %v", got, state)
		}
	}
	full := at("edge-1", failed, 0, 1)
	full.Reason = op25bv1.SwitchReason_SWITCH_REASON_NO_ROOM
	w.switches.tell(full)
	if got := next().GetSwitch(); got.GetState() != failed {
		t.Errorf("%v", got)
	}
	if got := next().GetDone(); got.GetConverged() != 0 || len(got.Failed) != 1 || got.Failed[0].Reason != full.Reason {
		t.Errorf("last: %v", got)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

// TestUnconfirmedIsWaitedFor verifies that a change does not give up on a switch whose owner has not confirmed its first report yet.
func TestUnconfirmedIsWaitedFor(t *testing.T) {
	w := newWorld(t, nil)
	stream, err := op25bv1.NewIntentServiceClient(w.dial()).Apply(within(t), &op25bv1.ApplyRequest{Files: spinnet(t), Reason: "begin"})
	if err != nil {
		t.Fatal(err)
	}
	var id string
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case m.GetStored() != nil:
			id = m.GetStored().Id
			unconfirmed := at("edge-1", unknownState, 0, 1)
			unconfirmed.Reason = op25bv1.SwitchReason_SWITCH_REASON_NOT_CONFIRMED
			w.switches.tell(unconfirmed)
		case m.GetSwitch().GetReason() == op25bv1.SwitchReason_SWITCH_REASON_NOT_CONFIRMED:
			there := at("edge-1", converged, 1, 1)
			there.RevisionId = id
			w.switches.tell(there)
		case m.GetDone() != nil:
			if m.GetDone().Converged != 1 || len(m.GetDone().Failed) != 0 {
				t.Errorf("the change ended with %v", m.GetDone())
			}
			return
		}
	}
}

// When the controller stops, streams end with an error that reports whether the change has been
// stored.
func TestStopping(t *testing.T) {
	w := newWorld(t, nil)
	stream, err := op25bv1.NewIntentServiceClient(w.dial()).Apply(within(t), &op25bv1.ApplyRequest{Files: spinnet(t), Reason: "begin"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	watch, err := op25bv1.NewFleetServiceClient(w.dial()).WatchSwitches(within(t), &op25bv1.WatchSwitchesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	w.stop()
	_, err = stream.Recv()
	if want := "the controller is stopping: revision 1 is stored; FleetService.WatchSwitches shows the progress of the switches"; status.Code(err) != codes.Unavailable || status.Convert(err).Message() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "the controller is stopping") {
		t.Errorf("%v", err)
	}
}

// A watcher first receives the statuses of all switches, and then every change of the statuses and
// of the inventory.
func TestWatchSwitches(t *testing.T) {
	w := newWorld(t, nil)
	files := edited(t, examples.LibmoMobile())
	w.put(files)
	c := op25bv1.NewFleetServiceClient(w.dial())
	all, err := c.WatchSwitches(within(t), &op25bv1.WatchSwitchesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	one, err := c.WatchSwitches(within(t), &op25bv1.WatchSwitchesRequest{Switches: []string{"edge-west"}})
	if err != nil {
		t.Fatal(err)
	}
	names := func(m *op25bv1.WatchSwitchesResponse, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, st := range m.Switches {
			all = append(all, st.Switch+" "+fleet.State(st.State).String())
		}
		for _, name := range m.Gone {
			all = append(all, name+" gone")
		}
		return all
	}
	if got := names(all.Recv()); !slices.Equal(got, []string{"edge-east unknown", "edge-west unknown", "edge-south unknown"}) {
		t.Errorf("%q", got)
	}
	if got := names(one.Recv()); !slices.Equal(got, []string{"edge-west unknown"}) {
		t.Errorf("%q", got)
	}
	w.switches.tell(at("edge-east", converging, 0, 1), at("edge-west", connecting, 0, 1))
	if got := names(all.Recv()); !slices.Equal(got, []string{"edge-east converging", "edge-west connecting"}) {
		t.Errorf("%q", got)
	}
	if got := names(one.Recv()); !slices.Equal(got, []string{"edge-west connecting"}) {
		t.Errorf("%q", got)
	}
	w.switches.tell(at("edge-east", converging, 0, 1), at("edge-west", connecting, 0, 1), at("edge-south", converged, 1, 1))
	if got := names(all.Recv()); !slices.Equal(got, []string{"edge-south converged"}) {
		t.Errorf("%q", got)
	}
	w.put(replaced(t, files, "name: libmo-mobile", "name: libmo"))
	m, err := all.Recv()
	// I11: the switches are reported as not converged until they have reached the new revision.
	if got := names(m, err); len(got) != 3 || m.Revision != 2 || m.Switches[2].Wanted != 2 || m.Switches[2].Converged {
		t.Errorf("another revision: %q, %v", got, m)
	}
	i := strings.Index(string(files[0].Data), "  - name: edge-south")
	files[0].Data = files[0].Data[:i]
	w.put(files)
	m, err = all.Recv()
	if got := names(m, err); len(got) != 3 || got[2] != "edge-south converged" || m.Revision != 3 || m.Switches[2].Address != "" {
		t.Errorf("a switch that the inventory no longer has: %q, revision %d", got, m.GetRevision())
	}
	w.switches.tell(at("edge-east", converging, 0, 1), at("edge-west", connecting, 0, 1))
	if got := names(all.Recv()); !slices.Equal(got, []string{"edge-south gone"}) {
		t.Errorf("%q", got)
	}
	listed, err := c.ListSwitches(within(t), &op25bv1.ListSwitchesRequest{Switches: []string{"edge-west"}})
	if err != nil || listed.Revision != 3 || len(listed.Switches) != 1 || listed.Switches[0].Address != "127.0.0.1:9572" {
		t.Errorf("%v, %v", listed, err)
	}
	if _, err := c.ListSwitches(within(t), &op25bv1.ListSwitchesRequest{Switches: []string{"edge"}}); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), `unknown switch "edge"; known: edge-east, edge-west`) {
		t.Errorf("%v", err)
	}
}
