package openconfig

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"op25b/e2e/longform"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	goleak.VerifyTestMain(m)
}

// A fakeSource is a switch whose state a test sets.
type fakeSource struct {
	mu       sync.Mutex
	state    *State
	err      error
	reads    int
	watchErr chan error
	watchers map[*func()]bool
}

func newFake(st *State) *fakeSource {
	return &fakeSource{state: st, watchErr: make(chan error, 1), watchers: make(map[*func()]bool)}
}

func (f *fakeSource) Snapshot(context.Context, Parts) (*State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	return f.state, f.err
}

func (f *fakeSource) Watch(ctx context.Context, changed func()) error {
	f.mu.Lock()
	f.watchers[&changed] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watchers, &changed)
		f.mu.Unlock()
	}()
	changed()
	select {
	case <-ctx.Done():
		return nil
	case err := <-f.watchErr:
		return err
	}
}

// set replaces the state, and calls the watchers if tell is true.
func (f *fakeSource) set(st *State, tell bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = st
	if tell {
		f.tellLocked()
	}
}

func (f *fakeSource) tellLocked() {
	for w := range f.watchers {
		(*w)()
	}
}

func (f *fakeSource) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeSource) readCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

// twoPorts returns the state of a switch with an uplink without counters, and a subscriber on access-1, where rules 3
// and 7 have counted packets.
func twoPorts() *State {
	return &State{
		ACLSet: "op25b",
		Interfaces: []Interface{
			{
				Name: "access-1", Port: 1, IfIndex: 12, Oper: OperUp,
				Counters: &InterfaceCounters{
					InPkts: 10, InOctets: 640, InDiscards: 2, InErrors: 1,
					OutPkts: 20, OutOctets: 18446744073709551615, OutDiscards: 4, OutErrors: 3,
				},
				ACL: []ACLEntry{{SequenceID: 3, MatchedPackets: 8, MatchedOctets: 480}, {SequenceID: 7, MatchedPackets: 1, MatchedOctets: 60}},
			},
			{Name: "network", Port: 2, Oper: OperDown},
		},
	}
}

var stamp = time.Unix(1159660800, 5) // 2006-10-01 00:00:00.000000005 UTC

// serve starts a server on the loopback interface, and returns a client of the server.
func serve(t *testing.T, src Source, opts Options) gpb.GNMIClient {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, src, opts, lis, lis.Addr().String())
}

// serveInMemory is like serve, but uses no network, for tests in a bubble of virtual time.
func serveInMemory(t *testing.T, src Source, opts Options) gpb.GNMIClient {
	t.Helper()
	lis := bufconn.Listen(1 << 16)
	return serveOn(t, src, opts, lis, "passthrough:///memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
}

func serveOn(t *testing.T, src Source, opts Options, lis net.Listener, addr string, dial ...grpc.DialOption) gpb.GNMIClient {
	t.Helper()
	s, err := NewServer(src, opts)
	if err != nil {
		t.Fatal(err)
	}
	return serveServer(t, s, lis, addr, dial...)
}

// serveTargets starts a server of several targets in memory, and returns a client.
func serveTargets(t *testing.T, targets Targets) gpb.GNMIClient {
	t.Helper()
	s, err := NewTargetServer(targets, Options{})
	if err != nil {
		t.Fatal(err)
	}
	lis := bufconn.Listen(1 << 16)
	return serveServer(t, s, lis, "passthrough:///memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
}

func serveServer(t *testing.T, s *Server, lis net.Listener, addr string, dial ...grpc.DialOption) gpb.GNMIClient {
	t.Helper()
	g := grpc.NewServer()
	gpb.RegisterGNMIServer(g, s)
	done := make(chan error, 1)
	go func() { done <- g.Serve(lis) }()
	conn, err := grpc.NewClient(addr, append(dial, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		g.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return gpb.NewGNMIClient(conn)
}

func fixedStamp() time.Time { return stamp }

// at returns a path from names, each of which may be followed by its keys as "key=value".
func at(steps ...string) *gpb.Path {
	p := &gpb.Path{}
	for _, s := range steps {
		if k, v, ok := cutKey(s); ok {
			last := p.Elem[len(p.Elem)-1]
			if last.Key == nil {
				last.Key = make(map[string]string)
			}
			last.Key[k] = v
			continue
		}
		p.Elem = append(p.Elem, &gpb.PathElem{Name: s})
	}
	return p
}

func cutKey(s string) (key, val string, ok bool) {
	for i := range len(s) {
		if s[i] == '=' {
			return s[:i], s[i+1:], true
		}
	}
	return "", "", false
}

// readingOf returns the first reading of a State.
func readingOf(root *schema, st *State) *reading { return newBuilder(root).read(st, stamp) }

// count returns the number of updates.
func (d delta) count() (n int) {
	for _, leaves := range d.updates {
		n += len(leaves)
	}
	return n
}
