package fleet

import (
	"errors"
	"os"
	"slices"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/goleak"

	"op25b/examples"
	"op25b/internal/bring"
	"op25b/internal/bring/bringtest"
	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
	"op25b/internal/softswitch"
)

func TestMain(m *testing.M) {
	if endpoint := os.Getenv(controllerEnv); endpoint != "" {
		controllerProcess(endpoint)
		return
	}
	if endpoint := os.Getenv(stormEnv); endpoint != "" {
		stormProcess(endpoint)
		return
	}
	if config := os.Getenv(sessionControllerEnv); config != "" {
		sessionControllerProcess(config)
		return
	}
	if runLeaseChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

func compiled(t *testing.T, phase string) *compile.Compiled {
	t.Helper()
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	ph, ok := b.Policy.Phase(phase)
	if !ok {
		t.Fatalf("no phase %q", phase)
	}
	c, err := compiletest.Compile(b, nil, "edge-1", policy.Everywhere(phase), b.Policy.Begins(ph))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startSwitch starts an embedded switch that serves P4Runtime at addr. stop simulates a power cut.
func startSwitch(t *testing.T, addr string) (p4runtime string, stop func()) {
	t.Helper()
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: addr})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			services.Close()
			if err := sw.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return services.Addrs.P4Runtime, stop
}

func dial(t *testing.T, addr string, election uint64) *p4rt.Session {
	t.Helper()
	s, err := p4rt.Dial(t.Context(), p4rt.Config{Addr: addr, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: election}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.WaitPrimary(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func converge(t *testing.T, s *p4rt.Session, phase string) bring.Result {
	t.Helper()
	r, err := bringtest.Converge(t.Context(), s, &compiled(t, phase).State)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A controller that restarts writes nothing to a switch that is in the desired state. The end of a controller does not
// change a switch either (I4, I5).
func TestRestartIsReconcile(t *testing.T) {
	addr, _ := startSwitch(t, "127.0.0.1:0")
	first := dial(t, addr, 1)
	if r := converge(t, first, "all-destinations"); !r.Pushed || len(r.Plan.Steps) == 0 {
		t.Fatalf("an empty switch needed nothing: %+v", r)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if r := converge(t, dial(t, addr, 2), "all-destinations"); r.Pushed || len(r.Plan.Steps) != 0 {
		t.Errorf("a switch in its state was written to: pushed %v, %d steps", r.Pushed, len(r.Plan.Steps))
	}
}

// A change of phase changes the running epoch. A rollback is a single MODIFY.
func TestPhaseAndRollback(t *testing.T) {
	addr, _ := startSwitch(t, "127.0.0.1:0")
	s := dial(t, addr, 1)
	converge(t, s, "before")
	forward := converge(t, s, "mobile-carriers")
	if forward.Pushed || forward.Plan.Running != 2 || len(forward.Plan.Removed) != 0 {
		t.Errorf("the change of phase pushed %v, runs epoch %d, removed %d", forward.Pushed, forward.Plan.Running, len(forward.Plan.Removed))
	}
	back := converge(t, s, "before")
	if len(back.Plan.Steps) != 1 || len(back.Plan.Steps[0].Updates) != 1 || back.Plan.Running != 1 {
		t.Errorf("the rollback has %d steps and runs epoch %d, want one MODIFY back to 1", len(back.Plan.Steps), back.Plan.Running)
	}
}

// Every change that another client made to the switch is found and repaired (I7).
func TestHealing(t *testing.T) {
	addr, _ := startSwitch(t, "127.0.0.1:0")
	s := dial(t, addr, 1)
	converge(t, s, "all-destinations")
	have, err := reconcile.Read(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	pick := func(table string) *p4v1.Entity {
		i := slices.IndexFunc(have, func(e pipeline.Entry) bool { return e.Table() == table })
		if i < 0 {
			t.Fatalf("the switch has no %s entry", table)
		}
		return p4rt.Entity(have[i])
	}
	foreign, err := (&pipeline.State{Bridge: map[pipeline.MAC]pipeline.BridgePort{{2, 9, 9, 9, 9, 9}: {Port: 7}}}).Entries()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), []*p4v1.Update{
		{Type: p4v1.Update_DELETE, Entity: pick("remote_v4")},
		{Type: p4v1.Update_DELETE, Entity: pick("verdict")},
		{Type: p4v1.Update_DELETE, Entity: pick("multicast_group")},
		{Type: p4v1.Update_INSERT, Entity: p4rt.Entity(foreign[slices.IndexFunc(foreign, func(e pipeline.Entry) bool { return !e.IsDefault() })])},
		{Type: p4v1.Update_MODIFY, Entity: p4rt.Entity(pipeline.EpochEntry(200, false))},
	}); err != nil {
		t.Fatal(err)
	}
	if r := converge(t, s, "all-destinations"); len(r.Plan.Steps) == 0 {
		t.Error("nothing was repaired")
	}
	if r := converge(t, s, "all-destinations"); len(r.Plan.Steps) != 0 {
		t.Errorf("after the repair %d steps are left, first: %s", len(r.Plan.Steps), r.Plan.Steps[0].Why)
	}
}

// A controller that has lost the ownership of a switch cannot write to the switch (I3).
func TestFenced(t *testing.T) {
	addr, _ := startSwitch(t, "127.0.0.1:0")
	old := dial(t, addr, 1)
	converge(t, old, "before")
	converge(t, dial(t, addr, 2), "all-destinations")
	<-old.Demoted()
	if _, err := bringtest.Converge(t.Context(), old, &compiled(t, "before").State); !errors.Is(err, p4rt.ErrNotPrimary) {
		t.Errorf("the old primary's write: error is %v, want ErrNotPrimary", err)
	}
	if r := converge(t, dial(t, addr, 3), "all-destinations"); len(r.Plan.Steps) != 0 {
		t.Error("the old primary changed the switch")
	}
}
