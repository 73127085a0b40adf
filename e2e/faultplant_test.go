package e2e

import (
	"context"
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
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/p4src"
)

// roundDeadline returns the limit for each wait of a plant. A passing test never reaches it. The limit is higher in the long form, which has
// documents of 6 MB and may run beside other work.
func roundDeadline() time.Duration {
	if longform.On() {
		return 20 * time.Minute
	}
	return 2 * time.Minute
}

// The memory budgets, in MiB. A process that exceeds its budget is killed, and the test fails. A controller's budget suffices for 100,000
// exemptions on six switches.
const (
	controllerMiB = 600
	switchMiB     = 600
	memberMiB     = 600
)

// A plant is an installation of three etcd members, two controllers and three switches, each in its own process.
type plant struct {
	t           *testing.T
	group       int  // the process group of all daemons
	bmv2        bool // whether the first switch is bmv2
	dir         string
	disk        *disk // the disk that etcd's members store on; nil if the process may not mount one
	endpoints   []string
	cluster     map[string]string
	members     []*node // the etcd members
	controllers []*node
	switches    []*edge
	store       *store.Store
	book        *intent.Book
	contract    *pipeline.Contract
	base        []strict.File // the documents without exemptions of prefixes

	mu        sync.Mutex // guards the fields below
	processes []*process
	statuses  map[string]fleet.Status
	present   []store.Member
	changed   chan struct{} // closed and replaced for each update of statuses or members
	told      int           // the number of updates of statuses and members received
}

// A node is a daemon that can be killed and restarted.
type node struct {
	name    string
	api     string // the address of the API, if the daemon serves it
	said    *journal
	begin   func() *process
	process *process // nil after a kill
	// supervised is set while the daemon may end by itself. If it does, it is restarted.
	supervised bool
}

func (n *node) start() { n.process = n.begin() }

// ended reports whether the daemon ended without being killed.
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

// An edge is a switch and the network in front of it.
type edge struct {
	node
	id      uint64
	addr    string // the switch's P4Runtime address; controllers use the address of network instead
	packets string
	network *network
	stream  *stream
	after   uint64 // statuses with this epoch or a lower one are from before the fault
}

func generous(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), roundDeadline(), fmt.Errorf("not within %v", roundDeadline()))
	t.Cleanup(cancel)
	return ctx
}

// startPlant starts a plant that ends with the test. withBMv2 is the path of bmv2, which then becomes the first switch. If it is empty, all
// switches are embedded switches. The controllers run in this test binary with short intervals, as childConfig describes.
func startPlant(t *testing.T, withBMv2 string) *plant {
	t.Helper()
	return startPlantOf(t, withBMv2, func(p *plant, n *node) *exec.Cmd {
		return childCommand(t, childConfig{Kind: controllerChild, Name: n.name, Endpoints: p.endpoints, Clock: p.clockFile(n.name)})
	})
}

// startPlantOf is like startPlant, but with the controllers that the given function returns.
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
			memory = 0 // bmv2 has no memory budget
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

// daemonAddr returns a free local address. The system does not assign its port to connections, so a daemon that is restarted later finds the
// address free.
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

// lastPort is the highest port of daemons. It is below the ports that Linux assigns to connections. Each test process uses a separate range,
// which starts at firstPort.
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

// initialCluster returns the value for etcd's --initial-cluster.
func (p *plant) initialCluster() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(p.cluster)) {
		all = append(all, name+"="+p.cluster[name])
	}
	return strings.Join(all, ",")
}

// node returns a daemon with a memory budget of mib MiB. If mib is 0, the daemon has no budget.
func (p *plant) node(name string, mib int, command func() *exec.Cmd) *node {
	n := &node{name: name, said: newJournal()}
	n.begin = func() *process { return p.spawn(name, n.said, mib, command()) }
	return n
}

// memory returns the peak memory and the budget of each kind of process, in MiB.
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
