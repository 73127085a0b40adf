package fleet

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"op25b/internal/intent"
	"op25b/internal/store"
)

// A gateway is a network between a controller and etcd that can be interrupted.
type gateway struct {
	t        testing.TB
	upstream string
	addr     string

	mu       sync.Mutex // guards all following fields
	listener net.Listener
	conns    []net.Conn
	wg       sync.WaitGroup
}

func startGateway(t testing.TB, s *store.Store) *gateway {
	t.Helper()
	g := &gateway{t: t, upstream: strings.TrimPrefix(s.Endpoints()[0], "unix://"), addr: "127.0.0.1:0"}
	g.open()
	t.Cleanup(g.shut)
	return g
}

func (g *gateway) open() {
	l, err := net.Listen("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listener, g.addr = l, l.Addr().String()
	g.wg.Go(func() { g.accept(l) })
}

func (g *gateway) accept(l net.Listener) {
	for {
		a, err := l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("unix", g.upstream)
		if err != nil {
			a.Close()
			continue
		}
		g.mu.Lock()
		g.conns = append(g.conns, a, b)
		g.mu.Unlock()
		for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
			g.wg.Go(func() { copyConn(way[0], way[1]) })
		}
	}
}

func copyConn(dst, src net.Conn) {
	defer dst.Close()
	defer src.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (g *gateway) shut() {
	g.mu.Lock()
	_ = g.listener.Close()
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
	g.mu.Unlock()
	g.wg.Wait()
}

// A controller that cannot reach the store changes nothing, reports the failure, and gives up its switches in time. When the store is
// reachable again, the controller continues, and still has nothing to write.
func TestStoreIsAway(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	etcd := embeddedStore(t)
	g := startGateway(t, etcd)
	s := openStore(t, store.Config{Endpoints: []string{g.addr}, TTL: time.Second, Timeout: time.Second})
	now := clockAt(allDestinations).now
	in := apply(t, intent.NewBook(etcd, now), documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: intent.NewBook(s, now), Now: now})
	first := r.converged(x.name, in.Number)
	x.forget()
	probes := startProber(t, x)
	g.shut()
	told := make(chan struct{})
	go func() {
		defer close(told)
		r.await("the loss", func(all map[string]Status) bool {
			return all[x.name].Ownership == Waiting && all[x.name].OwnershipDetail != ""
		})
	}()
	if stopped, passed := probes.during(told); passed != 0 || stopped == 0 {
		t.Errorf("%d attempts were stopped, %d passed", stopped, passed)
	}
	if states := r.of(x.name); !slices.Contains(states, "lost") {
		t.Errorf("states %q", states)
	}
	untouched(t, "without the store", x)
	g.open()
	if st := r.converged(x.name, in.Number); st.Epoch <= first.Epoch {
		t.Errorf("epoch %d after %d", st.Epoch, first.Epoch)
	}
	untouched(t, "with the store again", x)
}

// A switch whose address in the inventory changes is dialed at the new address. A switch that is removed from the inventory is released,
// and its status is deleted.
func TestInventoryChanges(t *testing.T) {
	x, y := startTestSwitch(t, 1, "127.0.0.1:0"), startTestSwitch(t, 2, "127.0.0.1:0")
	s := embeddedStore(t)
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	in := apply(t, book, documentsOf(t, x, y))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: now})
	st := r.converged(x.name, in.Number)
	r.converged(y.name, in.Number)

	z := startTestSwitch(t, 1, "127.0.0.1:0")
	in = apply(t, book, replaced(documentsOf(t, x, y), x.addr, z.addr))
	if again := r.converged(x.name, in.Number); again.Epoch != st.Epoch {
		t.Errorf("epoch %d after %d", again.Epoch, st.Epoch)
	}
	if writes, pushes := z.forget(); len(writes) == 0 || pushes != 1 {
		t.Errorf("the switch at the new address had %d writes and %d pushes", len(writes), pushes)
	}

	watch := WatchStatuses(t.Context(), s)
	y.forget()
	apply(t, book, documentsOf(t, z))
	awaitStored(t, watch, "one switch", func(all []Status) bool { return len(all) == 1 && all[0].Switch == x.name })
	untouched(t, "removal", y)
}
