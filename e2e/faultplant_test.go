package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/examples"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
	"op25b/internal/store"
	"op25b/p4src"
)

// roundDeadline bounds every wait of a plant: it is never reached in a test that passes. The long form has documents of 6 MB, and may run
// beside other work.
func roundDeadline() time.Duration {
	if longform.On() {
		return 20 * time.Minute
	}
	return 2 * time.Minute
}

// Budgets of memory, in MiB: a process that takes more is killed, and the test fails. A controller has what issue 9 grants it with 100,000
// exemptions on six switches.
const (
	controllerMiB = 600
	switchMiB     = 600
	memberMiB     = 600
)

// A plant is a whole installation, each daemon a process of its own: three etcd members, two controllers, three switches.
type plant struct {
	t           *testing.T
	group       int  // the process group of all daemons
	bmv2        bool // the first switch is bmv2
	dir         string
	disk        *disk // that etcd's members store on; nil where none can be mounted
	endpoints   []string
	cluster     map[string]string
	members     []*node // etcd's
	controllers []*node
	switches    []*edge
	store       *store.Store
	book        *intent.Book
	contract    *pipeline.Contract
	base        []policy.File // the documents without exemptions of prefixes

	mu        sync.Mutex // guards everything that follows
	processes []*process
	statuses  map[string]fleet.Status
	present   []store.Member
	changed   chan struct{} // closed and replaced with each status and member
	told      int           // statuses and members
}

// A node is a daemon that may have several lives.
type node struct {
	name    string
	api     string // where a controller serves the API, if it does
	said    *journal
	begin   func() *process
	process *process // nil while it is dead
	// supervised is set while it may end by itself, and is started again then.
	supervised bool
}

func (n *node) start() { n.process = n.begin() }

// ended reports whether it has ended and nobody has killed it.
func (n *node) ended() bool {
	if n.process == nil {
		return false
	}
	select {
	case <-n.process.done:
		return true
	default:
		return false
	}
}

func (n *node) kill() {
	n.process.kill()
	n.process = nil
}

// An edge is a switch.
type edge struct {
	node
	id      uint64
	addr    string // where it serves P4Runtime; controllers come through the network
	packets string
	network *network
	stream  *stream
	after   uint64 // a claim with an epoch up to this one is from before the fault
}

func generous(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), roundDeadline(), fmt.Errorf("not within %v", roundDeadline()))
	t.Cleanup(cancel)
	return ctx
}

// startPlant starts everything and ends it with the test. withBMv2 is the path of bmv2, which then is the first switch, or empty. The
// controllers are this program with short intervals: see childConfig.
func startPlant(t *testing.T, withBMv2 string) *plant {
	t.Helper()
	return startPlantOf(t, withBMv2, func(p *plant, n *node) *exec.Cmd {
		return childCommand(t, childConfig{Kind: controllerChild, Name: n.name, Endpoints: p.endpoints, Clock: p.clockFile(n.name)})
	})
}

// startPlantOf is startPlant with controllers of another making.
func startPlantOf(t *testing.T, withBMv2 string, controller func(p *plant, n *node) *exec.Cmd) *plant {
	t.Helper()
	p := &plant{t: t, bmv2: withBMv2 != "", dir: t.TempDir(), cluster: map[string]string{}, statuses: map[string]fleet.Status{}, changed: make(chan struct{})}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.story())
		}
	})
	var err error
	if p.contract, err = pipeline.NewContract(p4src.P4Info()); err != nil {
		t.Fatal(err)
	}
	command := buildBinary(t)
	var reason string
	if p.disk, reason = mountDisk(t, filepath.Join(p.dir, "disk")); p.disk == nil {
		fmt.Println("SKIPPED: full disk:", reason)
	}
	p.guard()
	for i := range 3 {
		name, client := fmt.Sprintf("etcd-%d", i+1), p.daemonAddr()
		p.cluster[name] = p.daemonAddr()
		p.endpoints = append(p.endpoints, client)
		p.members = append(p.members, p.node(name, memberMiB, func() *exec.Cmd {
			return exec.Command(command, "etcd", "--name", name, "--data-dir", p.dataDir(name), "--listen", client,
				"--listen-peer", p.cluster[name], "--initial-cluster", p.initialCluster())
		}))
	}
	for i := range 3 {
		e := &edge{id: uint64(i + 1), addr: p.daemonAddr(), packets: p.daemonAddr()}
		e.network = newNetwork(t, e.addr)
		memory := switchMiB
		if i == 0 && withBMv2 != "" {
			memory = 0 // bmv2's memory is not ours to bound
		}
		e.node = *p.node(fmt.Sprintf("edge-%d", e.id), memory, func() *exec.Cmd {
			if i == 0 && withBMv2 != "" {
				cmd := exec.Command(withBMv2, "--no-p4", "--device-id", fmt.Sprint(e.id), "--", "--grpc-server-addr", e.addr, "--dp-grpc-server-addr", e.packets)
				cmd.Dir = p.dir
				return cmd
			}
			return exec.Command(command, "switch", "--device-id", fmt.Sprint(e.id), "--p4runtime", e.addr, "--gnmi", "", "--dataplane", e.packets)
		})
		p.switches = append(p.switches, e)
	}
	for i := range 2 {
		name := fmt.Sprintf("noc-%d", i+1)
		var n *node
		n = p.node(name, controllerMiB, func() *exec.Cmd { return controller(p, n) })
		n.api = p.daemonAddr()
		p.controllers = append(p.controllers, n)
	}
	for _, n := range slices.Concat(p.members, p.nodes()) {
		n.start()
	}
	p.open()
	p.base = p.documents()
	p.put(p.base)
	for _, e := range p.switches {
		e.stream = startStream(t, e)
	}
	return p
}

// daemonAddr is an address of this machine that nobody listens on, of a port that the system gives to nobody by itself: a daemon that is
// dead for a while finds its address free again.
func (p *plant) daemonAddr() string {
	p.t.Helper()
	for {
		port := firstPort + int(portsGiven.Add(1))
		if port > lastPort {
			p.t.Fatalf("no port is free up to %d", lastPort)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		return l.Addr().String()
	}
}

// Ports of daemons: below those that Linux gives to connections, each process from a place of its own.
const lastPort = 32_000

var (
	firstPort  = 20_000 + os.Getpid()%300*37
	portsGiven atomic.Int64
)

func (p *plant) nodes() []*node {
	all := slices.Clone(p.controllers)
	for _, e := range p.switches {
		all = append(all, &e.node)
	}
	return all
}

// initialCluster is what each member of etcd has to know of all.
func (p *plant) initialCluster() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(p.cluster)) {
		all = append(all, name+"="+p.cluster[name])
	}
	return strings.Join(all, ",")
}

// node is a daemon with a budget of memory in MiB; 0 is none.
func (p *plant) node(name string, mib int, command func() *exec.Cmd) *node {
	n := &node{name: name, said: newJournal()}
	n.begin = func() *process { return p.spawn(name, n.said, mib, command()) }
	return n
}

// memory is the most memory that any process of each kind took, in MiB, and its budget.
func (p *plant) memory() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := map[string]int{}
	for _, x := range p.processes {
		if kind, _, _ := strings.Cut(x.name, "-"); x.memory != nil {
			most[kind] = max(most[kind], x.memory.Peak())
		}
	}
	return fmt.Sprintf("controllers %d of %d MiB, switches %d of %d, etcd %d of %d", most["noc"], controllerMiB, most["edge"], switchMiB, most["etcd"], memberMiB)
}

// open begins to follow the cluster.
func (p *plant) open() {
	p.t.Helper()
	s, err := store.Open(generous(p.t), store.Config{Endpoints: p.endpoints})
	if err != nil {
		p.t.Fatal(err)
	}
	p.store, p.book = s, intent.NewBook(s, time.Now)
	ctx, cancel := context.WithCancel(context.Background())
	statuses, members := fleet.WatchKnown(ctx, s, ""), s.WatchMembers(ctx)
	var following sync.WaitGroup
	following.Go(func() {
		for all := range statuses {
			p.news(func() {
				p.statuses = map[string]fleet.Status{}
				for _, st := range all {
					p.statuses[st.Switch] = st
				}
			})
		}
	})
	following.Go(func() {
		for all := range members {
			p.news(func() { p.present = all })
		}
	})
	p.t.Cleanup(func() {
		cancel()
		_ = s.Close()
		following.Wait()
	})
}

func (p *plant) news(take func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	take()
	p.told++
	close(p.changed)
	p.changed = make(chan struct{})
}

// status is what the store last said of a switch.
func (p *plant) status(e *edge) fleet.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.statuses[e.name]
}

// await waits until is returns nil, which is asked whenever a status or the members have changed.
func (p *plant) await(what string, is func() error) {
	p.t.Helper()
	ctx := generous(p.t)
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		err := is()
		if err == nil {
			return
		}
		for _, n := range slices.Concat(p.members, p.nodes()) {
			switch {
			case !n.ended():
			case n.supervised:
				n.start()
			default:
				p.t.Fatalf("%s: %s has ended by itself (%v): %v", what, n.name, n.process.overBudget(), err)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			p.t.Fatalf("%s: %v: %v", what, context.Cause(ctx), err)
		}
	}
}

// documents are the worked example on the three switches, without the phase in which nothing is blocked, and with its exemption for good.
func (p *plant) documents() []policy.File {
	p.t.Helper()
	files := examples.SpinNet2006()
	header, body, _ := strings.Cut(string(files[0].Data), "switches:\n")
	inventory := header + "switches:\n"
	for i, e := range p.switches {
		one := strings.NewReplacer("name: edge-1", "name: "+e.name, "deviceID: 1 ", fmt.Sprintf("deviceID: %d ", e.id), "127.0.0.1:9559", e.network.addr()).Replace(body)
		if i > 0 {
			for _, line := range []string{"adsl-home", "adsl-bot", "business-fixed", "mobile-sim"} {
				one = strings.ReplaceAll(one, "name: "+line, fmt.Sprintf("name: %s-%d", line, e.id))
			}
			one = strings.NewReplacer("192.0.2.", fmt.Sprintf("100.64.%d.", i), "2001:db8:1:", fmt.Sprintf("2001:db8:%x:", 0x100+i)).Replace(one)
		}
		inventory += one
	}
	text := string(files[1].Data)
	before, after := strings.Index(text, "  - name: before\n"), strings.Index(text, "  - name: mobile-carriers\n")
	if before < 0 || after < before {
		p.t.Fatal("the example has other phases")
	}
	text = text[:before] + text[after:]
	text = strings.NewReplacer("expires: 2007-03-31", "expires: 2099-03-31", "review: 2006-12-31", "review: 2098-12-31").Replace(text)
	business := "exemptions:\n"
	for _, e := range p.switches[1:] {
		business += fmt.Sprintf("  - {line: business-fixed-%d, owner: noc, reason: fixed address, expires: 2099-03-31}\n", e.id)
	}
	text = strings.Replace(text, "exemptions:\n", business, 1)
	return []policy.File{{Name: files[0].Name, Data: []byte(inventory)}, {Name: files[1].Name, Data: []byte(text)}}
}

// edited are documents with an edit.
func edited(files []policy.File, old, now string) []policy.File {
	var next []policy.File
	for _, f := range files {
		next = append(next, policy.File{Name: f.Name, Data: bytes.Replace(f.Data, []byte(old), []byte(now), 1)})
	}
	return next
}

// exempting are the documents with exemptions of so many addresses from net.0.0.0 on.
func exempting(files []policy.File, net, n int) []policy.File {
	var all strings.Builder
	all.WriteString("exemptions:\n")
	for i := range n {
		fmt.Fprintf(&all, "  - {prefix: %d.%d.%d.%d/32, owner: noc, reason: fault test, expires: 2099-03-31}\n", net, i>>16, i>>8&0xff, i&0xff)
	}
	return edited(files, "exemptions:\n", all.String())
}

// put makes documents the intent, also while the cluster is coming about.
func (p *plant) put(files []policy.File) *intent.Intent {
	p.t.Helper()
	return p.change(func(ctx context.Context, base uint64) (*intent.Intent, error) {
		proposal, err := p.book.Propose(ctx, files)
		if err != nil {
			return nil, err
		}
		return p.book.Put(ctx, proposal, intent.By{Who: "noc", Reason: "fault test"})
	})
}

// change makes a change of the intent, for as long as it takes.
func (p *plant) change(make func(ctx context.Context, base uint64) (*intent.Intent, error)) *intent.Intent {
	p.t.Helper()
	ctx := generous(p.t)
	for {
		base := uint64(0)
		in, err := p.book.Current(ctx)
		switch {
		case err == nil:
			base = in.Number
			fallthrough
		case errors.Is(err, intent.ErrNone):
			var next *intent.Intent
			if next, err = make(ctx, base); err == nil {
				return next
			}
			if errors.Is(err, store.ErrUnchanged) {
				return in
			}
		}
		again := errors.Is(err, store.ErrNoQuorum) || errors.Is(err, store.ErrReplaced) || errors.As(err, new(*store.StaleError))
		if !again || ctx.Err() != nil {
			p.t.Errorf("change of the intent: %v", err)
			return in
		}
	}
}

// current is the newest intent, also while the cluster is coming about.
func (p *plant) current(ctx context.Context) (*intent.Intent, error) {
	for {
		in, err := p.book.Current(ctx)
		if !errors.Is(err, store.ErrNoQuorum) && !errors.Is(err, store.ErrReplaced) || ctx.Err() != nil {
			return in, err
		}
	}
}

// settled waits until every switch is converged to the newest revision by an owner that is alive, holds what that compiles to, and decides
// packets.
func (p *plant) settled() {
	p.t.Helper()
	ctx := generous(p.t)
	in, err := p.current(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	id := p.identity(ctx)
	for _, e := range p.switches {
		p.await(e.name+" converged", func() error {
			if err := p.claimed(e, in, id); err != nil {
				return err
			}
			return p.holds(ctx, e, in)
		})
	}
	for _, e := range p.switches {
		if err := e.stream.resume(ctx); err != nil {
			p.t.Fatalf("%s: %v", e.name, err)
		}
	}
	p.harmless()
}

// rests waits until each switch has the owner that it is assigned to: nothing moves any more.
func (p *plant) rests() {
	p.t.Helper()
	var names, switches []string
	for _, c := range p.controllers {
		names = append(names, c.name)
	}
	for _, e := range p.switches {
		switches = append(switches, e.name)
	}
	assigned := fleet.Assign(names, switches)
	p.await("switches assigned", func() error {
		for _, e := range p.switches {
			if st := p.status(e); st.Owner != assigned[e.name] || st.State != fleet.StateConverged {
				return fmt.Errorf("%s is %s's and %s, assigned to %s", e.name, st.Owner, st.State, assigned[e.name])
			}
		}
		return nil
	})
}

// claimed says whether a switch is converged to a revision of the store with an identity, as its owner tells.
func (p *plant) claimed(e *edge, in *intent.Intent, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.statuses[e.name]
	alive := slices.ContainsFunc(p.controllers, func(n *node) bool { return n.name == st.Owner && n.process != nil })
	if st.State != fleet.StateConverged || st.Revision != in.Number || st.RevisionID != in.ID || st.Store != id || !alive || st.Epoch <= e.after {
		return fmt.Errorf("%s is %s (%s) at revision %d of %d in store %.8s of %.8s, owner %s (alive: %v), epoch %d: %s", e.name, st.State, st.Reason, st.Revision, in.Number, st.Store, id, st.Owner, alive, st.Epoch, st.Detail)
	}
	return nil
}

// read reads a switch, not through the network.
func (p *plant) read(ctx context.Context, e *edge) ([]pipeline.Entry, error) {
	r, err := p4rt.DialReader(ctx, p4rt.Config{Addr: e.addr, DeviceID: e.id})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return reconcile.Read(ctx, struct {
		*p4rt.Reader
		neverWrites
	}{Reader: r})
}

// holds says whether a switch holds exactly what an intent compiles to, but for rule sets that are not in force.
func (p *plant) holds(ctx context.Context, e *edge, in *intent.Intent) error {
	have, err := p.read(ctx, e)
	if err != nil {
		return err
	}
	want, err := in.Compile(e.name, time.Now())
	if err != nil {
		return err
	}
	want.State.Staged = nil
	plan, err := reconcile.Make(have, &want.State, p.contract, reconcile.Options{})
	if err != nil {
		return err
	}
	if len(plan.Steps) > 0 {
		return fmt.Errorf("%s does not hold revision %d: %d entries to add, %d to change, %d to remove; first: %s",
			e.name, in.Number, len(plan.Added), len(plan.Changed), len(plan.Removed), plan.Steps[0].Why)
	}
	return nil
}

// harmless checks what must be so at any time.
func (p *plant) harmless() {
	p.t.Helper()
	for _, e := range p.switches {
		for _, w := range e.stream.verdicts() {
			p.t.Errorf("%s: %s", e.name, w)
		}
		e.network.tap.mu.Lock()
		for _, w := range e.network.tap.wrong {
			p.t.Errorf("%s: %s", e.name, w)
		}
		e.network.tap.mu.Unlock()
	}
	if p.t.Failed() {
		p.t.FailNow()
	}
}

// story is everything that tells what has happened.
func (p *plant) story() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.statuses)) {
		st := p.statuses[name]
		st.Tables = nil
		fmt.Fprintf(&b, "\n%+v", st)
	}
	fmt.Fprintf(&b, "\nmembers: %v", p.present)
	for _, n := range slices.Concat(p.members, p.nodes()) {
		fmt.Fprintf(&b, "\n--- %s (alive: %v) said last:\n%s", n.name, n.process != nil, n.said.tail(25))
	}
	for _, e := range p.switches {
		t := e.network.tap
		t.mu.Lock()
		fmt.Fprintf(&b, "\n--- %s: %d requests, %d accepted, refused %v, highest id %v", e.name, t.requests, t.accepted, t.refused, t.highest)
		t.mu.Unlock()
	}
	return b.String()
}
