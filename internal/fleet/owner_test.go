package fleet

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"

	"op25b/internal/bring/bringtest"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// controllerEnv is an environment variable that makes this test binary a controller. Its value is the endpoint of the store.
const controllerEnv = "OP25B_TEST_CONTROLLER"

// controllerProcess runs a controller in the last phase of the worked example. Because of its long Settle, the controller hands over no
// switch while it lives.
func controllerProcess(endpoint string) {
	s, err := store.Open(context.Background(), store.Config{Endpoints: []string{endpoint}})
	if err != nil {
		panic(err)
	}
	now := clockAt(allDestinations).now
	panic(Run(context.Background(), Config{Name: "noc-1", Store: s, Book: intent.NewBook(s, now), Now: now, Settle: time.Hour}))
}

// A controller is killed, as in a power cut. Within 5 s another controller owns its switches and writes nothing. In the meantime all
// packets are treated as before.
func TestTakeOver(t *testing.T) {
	x, y := startTestSwitch(t, 1, "127.0.0.1:0"), startTestSwitch(t, 2, "127.0.0.1:0")
	s := openStore(t, store.Config{Dir: t.TempDir()}) // with the default TTL
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	in := apply(t, book, documentsOf(t, x, y))

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), controllerEnv+"="+s.Endpoints()[0])
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	watch := WatchStatuses(watching, s)
	awaitStored(t, watch, "the process's switches", func(all []Status) bool {
		return len(all) == 2 && !slices.ContainsFunc(all, func(st Status) bool { return st.State != StateConverged || st.Owner != "noc-1" })
	})
	second := start(t, Config{Name: "noc-2", Store: s, Book: book, Now: now})
	probes := startProber(t, x)
	if probes.probe() {
		t.Fatal("port 25 passes before the take-over")
	}
	x.forget()
	y.forget()

	over := make(chan struct{})
	killed := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(over)
		second.converged(x.name, in.Number)
		second.converged(y.name, in.Number)
	}()
	stopped, passed := probes.during(over)
	took := time.Since(killed)
	t.Logf("taken over within %v; %d mail attempts meanwhile", took.Round(time.Millisecond), stopped+passed)
	if passed != 0 || stopped == 0 {
		t.Errorf("%d attempts were stopped, %d passed", stopped, passed)
	}
	if took > 5*time.Second {
		t.Errorf("the take-over took %v, want at most 5 s", took)
	}
	untouched(t, "take-over", x)
	untouched(t, "take-over", y)
}

func awaitStored(t testing.TB, watch <-chan []Status, what string, is func([]Status) bool) {
	t.Helper()
	over := time.After(deadline)
	var last []Status
	for {
		select {
		case all, ok := <-watch:
			if !ok {
				t.Fatalf("%s: the watch has ended", what)
			}
			if last = all; is(all) {
				return
			}
		case <-over:
			t.Fatalf("%s: did not come about; statuses are %+v", what, last)
		}
	}
}

// If a switch left the inventory while no controller ran, its status is deleted when a controller starts.
func TestStatusOfAGoneSwitch(t *testing.T) {
	s := embeddedStore(t)
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	book := intent.NewBook(s, time.Now)
	apply(t, book, documentsOf(t, x))
	records := store.JSON[Status](s, statusKind)
	for _, name := range []string{"edge-9", x.name} {
		must(records.PutIf(within(t), name, 0, Status{Switch: name, Owner: "noc-0", Ownership: Owned, State: StateConverged}))(t)
	}
	statuses := WatchStatuses(within(t), s)
	start(t, Config{Name: "noc-1", Store: s, Book: book})
	for all := range statuses {
		if len(all) == 1 && all[0].Switch == x.name && all[0].State == StateConverged && all[0].Owner == "noc-1" {
			return
		}
	}
	t.Fatalf("the statuses stayed as they were: %+v", must(records.List(within(t)))(t))
}

// A process that was stopped for longer than its lease wakes up and has not been notified of the loss yet. It writes nothing under the
// lost ownership; all writes are made under a new ownership (I3).
func TestPausedOwnerWritesNothing(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	etcd := embeddedStore(t)
	var pause worldClock // clock of the lease
	s := openStore(t, store.Config{Endpoints: etcd.Endpoints(), TTL: 60 * time.Second, Now: pause.now})
	now := clockAt(allDestinations).now
	in := apply(t, intent.NewBook(etcd, now), documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: intent.NewBook(s, now), Now: now})
	first := r.converged(x.name, in.Number)
	x.forget()

	pause.ahead.Store(int64(time.Minute)) // the process wakes up, and the first thing that it receives is a change
	in = must(intent.NewBook(etcd, now).Activate(within(t), in.Number, "before", policy.Scope{}, by))(t)
	second := r.converged(x.name, in.Number)
	writes, _ := x.forget()
	if len(writes) == 0 {
		t.Error("the new ownership wrote nothing")
	}
	for _, w := range writes {
		if w.GetElectionId().GetLow() == first.Epoch {
			t.Errorf("written with the election id of the ownership that was lost: %v", w)
		}
	}
	if second.Epoch <= first.Epoch || !slices.Contains(r.of(x.name), "lost") {
		t.Errorf("epoch %d, then %d; states %q", first.Epoch, second.Epoch, r.of(x.name))
	}
}

// The fence blocks only requests that change a switch. It also takes effect between two batches of one step.
func TestFence(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	held := true
	s := must(p4rt.Dial(within(t), p4rt.Config{
		Addr: x.addr, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}, BatchSize: 1, DialOptions: []grpc.DialOption{fence(func() bool { return held })},
	}))(t)
	defer s.Close()
	state := &compiled(t, "before").State
	if _, err := bringtest.Converge(within(t), s, state); err != nil {
		t.Fatal(err)
	}
	remote := pick(t, entries(t, x), "remote_v4")
	x.mu.Lock()
	x.gate = func(*p4v1.WriteRequest) { held = false } // the ownership is lost during the first batch
	x.mu.Unlock()
	x.forget()
	err := s.Write(within(t), []*p4v1.Update{update(p4v1.Update_DELETE, p4rt.Entity(remote)), update(p4v1.Update_INSERT, p4rt.Entity(remote))})
	if err == nil || !strings.Contains(err.Error(), "not sent: the ownership of the switch is lost") {
		t.Errorf("the write's error is %v", err)
	}
	if writes, _ := x.forget(); len(writes) != 1 {
		t.Errorf("%d batches reached the switch, want the first", len(writes))
	}
	if s.Primary() {
		t.Error("the session still takes itself for primary")
	}
	if _, _, err := s.PipelineCookie(within(t)); err != nil {
		t.Errorf("a read is refused: %v", err)
	}
}

// If a client that does not use the store has a higher election id, the controller becomes backup, reports this, and writes nothing.
func TestAnotherHandIsPrimary(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	in := apply(t, book, documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: now})
	r.converged(x.name, in.Number)
	x.session(t, p4rt.ElectionID{High: math.MaxUint64, Low: 1})
	r.await("backup", func(all map[string]Status) bool {
		return all[x.name].State == StateBackup && strings.Contains(all[x.name].Detail, fmt.Sprint(uint64(math.MaxUint64)))
	})
	x.forget()
	must(book.Activate(within(t), in.Number, "before", policy.Scope{}, by))(t)
	r.end()
	untouched(t, "backup", x)
}

// A member that joins takes over its switches without writing to them. The ownerships of the other switches do not change. When the member
// leaves, its switches return to the first member.
func TestRebalance(t *testing.T) {
	var switches []*testSwitch
	for i := range uint64(6) {
		switches = append(switches, startTestSwitch(t, i+1, "127.0.0.1:0"))
	}
	s := embeddedStore(t)
	now := clockAt(allDestinations).now
	in := apply(t, intent.NewBook(s, now), documentsOf(t, switches...))
	first := start(t, Config{Name: "noc-1", Store: s, Book: intent.NewBook(s, now), Now: now})
	epochs := make(map[string]uint64)
	var names []string
	for _, x := range switches {
		epochs[x.name] = first.converged(x.name, in.Number).Epoch
		names = append(names, x.name)
		x.forget()
	}
	other := beside(t, s)
	second := start(t, Config{Name: "noc-2", Store: other, Book: intent.NewBook(other, now), Now: now})
	moved := 0
	for name, member := range Assign([]string{"noc-1", "noc-2"}, names) {
		r := map[string]*running{"noc-1": first, "noc-2": second}[member]
		st := r.converged(name, in.Number)
		if member == "noc-2" {
			moved++
			if st.Epoch <= epochs[name] || st.Reason != ReasonAsWanted {
				t.Errorf("%s: epoch %d after %d; %s", name, st.Epoch, epochs[name], st.Reason)
			}
		} else if st.Epoch != epochs[name] {
			t.Errorf("%s stayed, and has epoch %d after %d", name, st.Epoch, epochs[name])
		}
	}
	if moved == 0 || moved == len(switches) {
		t.Fatalf("%d of %d switches moved: choose other names", moved, len(switches))
	}
	second.end()
	for _, x := range switches {
		if st := first.converged(x.name, in.Number); st.Owner != "noc-1" {
			t.Errorf("%s is %q's", x.name, st.Owner)
		}
		untouched(t, "moving", x)
	}
}

// A switch is handed over only to a member that has been present for some time. A member that leaves earlier gets no switches.
func TestSettle(t *testing.T) {
	x, y := startTestSwitch(t, 1, "127.0.0.1:0"), startTestSwitch(t, 2, "127.0.0.1:0")
	s := embeddedStore(t)
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	in := apply(t, book, documentsOf(t, x, y))
	first := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: now, Settle: time.Hour})
	a, b := first.converged(x.name, in.Number), first.converged(y.name, in.Number)
	other := beside(t, s)
	newcomer := "noc-2"
	for i := 3; !slices.Contains(slices.Collect(maps.Values(Assign([]string{"noc-1", newcomer}, []string{x.name, y.name}))), newcomer); i++ {
		newcomer = fmt.Sprintf("noc-%d", i) // choose a name to which a switch is assigned
	}
	second := start(t, Config{Name: newcomer, Store: other, Book: intent.NewBook(other, now), Now: now})
	second.await("waiting", func(all map[string]Status) bool {
		for _, st := range all {
			if st.Ownership == Waiting && strings.Contains(st.OwnershipDetail, "owned") {
				return true
			}
		}
		return false
	})
	second.end()
	in = must(book.Activate(within(t), in.Number, "before", policy.Scope{}, by))(t)
	if st := first.converged(x.name, in.Number); st.Epoch != a.Epoch {
		t.Errorf("%s: epoch %d after %d", x.name, st.Epoch, a.Epoch)
	}
	if st := first.converged(y.name, in.Number); st.Epoch != b.Epoch {
		t.Errorf("%s: epoch %d after %d", y.name, st.Epoch, b.Epoch)
	}
}
