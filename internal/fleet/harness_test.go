package fleet

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"op25b/examples"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/softswitch"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// deadline limits every wait. A test that passes never reaches it.
const deadline = 30 * time.Second

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func openStore(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(within(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// patient is a TTL that is long enough even on a busy machine. Only tests that lose their lease would have to wait for it.
const patient = 10 * time.Second

func embeddedStore(t testing.TB) *store.Store {
	t.Helper()
	return openStore(t, store.Config{Dir: t.TempDir(), TTL: patient})
}

// beside opens a second store that uses the etcd of s.
func beside(t testing.TB, s *store.Store) *store.Store {
	t.Helper()
	return openStore(t, store.Config{Endpoints: s.Endpoints(), TTL: patient})
}

// A worldClock is a clock that can be set forward or back.
type worldClock struct{ ahead atomic.Int64 }

func clockAt(t time.Time) *worldClock {
	c := &worldClock{}
	c.set(t)
	return c
}

func (c *worldClock) now() time.Time  { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *worldClock) set(t time.Time) { c.ahead.Store(int64(time.Until(t))) }

// A testSwitch is an embedded switch that records the changes made to it.
type testSwitch struct {
	name string
	id   uint64
	addr string
	*softswitch.Switch
	stop func() // simulates a power cut

	mu     sync.Mutex // guards all following fields
	writes []*p4v1.WriteRequest
	pushes int
	reads  int

	elected *p4v1.Uint128            // election id of the last write
	gate    func(*p4v1.WriteRequest) // called before each write is executed; may be nil
	after   func(*p4v1.WriteRequest) // called after each write was executed, instead of recording it; may be nil

	clock worldClock  // the clock of the switch
	mute  atomic.Bool // whether the switch receives no packet-outs, so that its clock cannot be read

	packetOuts chan *p4v1.PacketOut // receives the packet-outs of all sessions, unless it is full

	lie func(*p4v1.ReadResponse) // changes each answer to a read; may be nil

	atAudit func() // called once, when a controller starts to read the switch; may be nil
}

// startTestSwitch starts an embedded switch. The port in addr may be 0.
func startTestSwitch(t testing.TB, id uint64, addr string) *testSwitch {
	t.Helper()
	x := &testSwitch{name: fmt.Sprintf("edge-%d", id), id: id, packetOuts: make(chan *p4v1.PacketOut, 64)}
	sw, err := softswitch.New(softswitch.Options{DeviceID: id, Clock: x.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	x.Switch = sw
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: addr}, grpc.ChainUnaryInterceptor(x.watch), grpc.ChainStreamInterceptor(x.watchReads))
	if err != nil {
		t.Fatal(err)
	}
	x.addr = services.Addrs.P4Runtime
	var once sync.Once
	x.stop = func() {
		once.Do(func() {
			services.Close()
			if err := sw.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(x.stop)
	return x
}

func (x *testSwitch) watch(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	switch r := req.(type) {
	case *p4v1.WriteRequest:
		x.mu.Lock()
		gate := x.gate
		x.mu.Unlock()
		if gate != nil {
			gate(r)
		}
		answer, err := handle(ctx, req)
		x.mu.Lock()
		after := x.after
		if err == nil {
			x.elected = r.GetElectionId()
		}
		if err == nil && after == nil {
			x.writes = append(x.writes, proto.CloneOf(r))
		}
		x.mu.Unlock()
		if after != nil {
			after(r)
		}
		return answer, err
	case *p4v1.GetForwardingPipelineConfigRequest:
		x.mu.Lock()
		at := x.atAudit
		x.atAudit = nil
		x.mu.Unlock()
		if at != nil {
			at()
		}
	case *p4v1.SetForwardingPipelineConfigRequest:
		x.mu.Lock()
		x.pushes++
		x.mu.Unlock()
	}
	return handle(ctx, req)
}

func (x *testSwitch) watchReads(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if info.FullMethod == p4v1.P4Runtime_Read_FullMethodName {
		x.mu.Lock()
		x.reads++
		lie := x.lie
		x.mu.Unlock()
		if lie != nil {
			stream = lyingReads{stream, lie}
		}
	}
	if info.FullMethod == p4v1.P4Runtime_StreamChannel_FullMethodName {
		stream = packetWatch{stream, x}
	}
	return handle(srv, stream)
}

// lyingReads is a stream of answers to a read that are changed on their way.
type lyingReads struct {
	grpc.ServerStream
	lie func(*p4v1.ReadResponse)
}

// SendMsg implements grpc.ServerStream.
func (r lyingReads) SendMsg(m any) error {
	if answer, ok := m.(*p4v1.ReadResponse); ok {
		r.lie(answer)
	}
	return r.ServerStream.SendMsg(m)
}

// A packetWatch is a stream whose packet-outs are passed to a testSwitch.
type packetWatch struct {
	grpc.ServerStream
	x *testSwitch
}

// RecvMsg implements grpc.ServerStream.
func (p packetWatch) RecvMsg(m any) error {
	err := p.ServerStream.RecvMsg(m)
	request, ok := m.(*p4v1.StreamMessageRequest)
	for ok && err == nil && request.GetPacket() != nil && p.x.mute.Load() {
		request.Reset()
		err = p.ServerStream.RecvMsg(m)
	}
	if ok && err == nil && request.GetPacket() != nil {
		select {
		case p.x.packetOuts <- request.GetPacket():
		default:
		}
	}
	return err
}

// readsSo returns the number of reads since its last call.
func (x *testSwitch) readsSo() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := x.reads
	x.reads = 0
	return n
}

// forget returns the recorded changes and clears the record.
func (x *testSwitch) forget() (writes []*p4v1.WriteRequest, pushes int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	writes, pushes = x.writes, x.pushes
	x.writes, x.pushes = nil, 0
	return writes, pushes
}

// session opens a session of another client.
func (x *testSwitch) session(t testing.TB, id p4rt.ElectionID) *p4rt.Session {
	t.Helper()
	s, err := p4rt.Dial(within(t), p4rt.Config{Addr: x.addr, DeviceID: x.id, ElectionID: id})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// hand writes to the switch like another client, but with the election id of the primary. P4Runtime would allow a write without an
// election id only while there is no primary.
func (x *testSwitch) hand(t testing.TB, updates ...*p4v1.Update) {
	t.Helper()
	if _, err := x.P4Runtime().Write(within(t), &p4v1.WriteRequest{DeviceId: x.id, ElectionId: x.leader(), Updates: updates}); err != nil {
		t.Error(err)
	}
}

// handAtAudit calls hand at the start of an audit, because an audit that is already in progress would see only a part of the changes.
func (x *testSwitch) handAtAudit(t testing.TB, updates ...*p4v1.Update) {
	t.Helper()
	done := make(chan struct{})
	x.mu.Lock()
	x.atAudit = func() {
		defer close(done)
		x.hand(t, updates...)
	}
	x.mu.Unlock()
	select {
	case <-done:
	case <-time.After(deadline):
		t.Fatal("no audit")
	}
}

// leader returns the election id of the last write.
func (x *testSwitch) leader() *p4v1.Uint128 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.elected
}

// documentsOf returns the documents of the worked example for the given switches. Each switch is a copy of the example's switch with
// its own lines.
func documentsOf(t testing.TB, switches ...*testSwitch) []strict.File {
	t.Helper()
	files := examples.SpinNet2006()
	header, body, ok := strings.Cut(string(files[0].Data), "switches:\n")
	if !ok {
		t.Fatal("the example has no switches")
	}
	var all strings.Builder
	all.WriteString(header + "switches:\n")
	for i, x := range switches {
		one := strings.ReplaceAll(body, "name: edge-1", "name: "+x.name)
		one = strings.ReplaceAll(one, "deviceID: 1 ", fmt.Sprintf("deviceID: %d ", x.id))
		one = strings.ReplaceAll(one, "127.0.0.1:9559", x.addr)
		if i > 0 {
			for _, line := range []string{"adsl-home", "adsl-bot", "business-fixed", "mobile-sim"} {
				one = strings.ReplaceAll(one, "name: "+line, fmt.Sprintf("name: %s-%d", line, x.id))
			}
			one = strings.ReplaceAll(one, "192.0.2.", fmt.Sprintf("100.64.%d.", i))
			one = strings.ReplaceAll(one, "2001:db8:1:", fmt.Sprintf("2001:db8:%x:", 0x100+i))
		}
		all.WriteString(one)
	}
	files[0].Data = []byte(all.String())
	return files
}

func replaced(files []strict.File, old, now string) []strict.File {
	next := make([]strict.File, len(files))
	for i, f := range files {
		next[i] = strict.File{Name: f.Name, Data: bytes.ReplaceAll(f.Data, []byte(old), []byte(now))}
	}
	return next
}

var by = intent.By{Who: "noc", Reason: "test"}

// apply stores documents as the next revision of the intent.
func apply(t testing.TB, b *intent.Book, files []strict.File) *intent.Intent {
	t.Helper()
	p, err := b.Propose(within(t), files)
	if err != nil {
		t.Fatal(err)
	}
	return must(b.Put(within(t), p, by))(t)
}

// A running is a controller under test.
type running struct {
	t      testing.TB
	cancel context.CancelFunc
	ended  chan error

	mu      sync.Mutex // guards all following fields
	last    map[string]Status
	seen    []Status
	changed chan struct{} // closed and replaced at each status
}

// start starts a controller, which ends at the end of the test.
func start(t testing.TB, cfg Config) *running {
	t.Helper()
	r := &running{t: t, ended: make(chan error, 1), last: make(map[string]Status), changed: make(chan struct{})}
	cfg.OnStatus = r.told
	if cfg.Settle == 0 {
		cfg.Settle = time.Millisecond
	}
	if cfg.AuditEvery == 0 {
		cfg.AuditEvery = time.Hour
	}
	if cfg.Session.Backoff.Min == 0 {
		cfg.Session.Backoff = p4rt.Backoff{Min: 5 * time.Millisecond, Max: 20 * time.Millisecond}
	}
	cfg.fault = func(err error) { t.Errorf("a status that does not follow: %v", err) }
	if cfg.Logger == nil && testing.Verbose() {
		cfg.Logger = zaptest.NewLogger(t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.ended <- Run(ctx, cfg) }()
	t.Cleanup(r.end)
	return r
}

// end stops the controller and waits until it has ended.
func (r *running) end() {
	r.t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Errorf("Run: %v", err)
		}
	case <-time.After(deadline):
		r.t.Fatal("Run does not end")
	}
}

func (r *running) told(st Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[st.Switch] = st
	r.seen = append(r.seen, st)
	close(r.changed)
	r.changed = make(chan struct{})
}

// await waits until the latest statuses satisfy a condition.
func (r *running) await(what string, is func(map[string]Status) bool) {
	r.t.Helper()
	over := time.After(deadline)
	for {
		r.mu.Lock()
		ok, changed := is(r.last), r.changed
		last := fmt.Sprintf("%+v", r.last)
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-over:
			r.t.Fatalf("%s: did not come about; statuses are %s", what, last)
		}
	}
}

// converged waits until a switch has converged to a revision and returns its status.
func (r *running) converged(name string, revision uint64) Status {
	r.t.Helper()
	var st Status
	r.await(fmt.Sprintf("%s converged to revision %d", name, revision), func(all map[string]Status) bool {
		st = all[name]
		return st.Ownership == Owned && st.State == StateConverged && st.Revision == revision
	})
	return st
}

// of returns the history of a switch: the changes of its ownership, and its states while this controller owns it.
func (r *running) of(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var states []string
	for _, st := range r.seen {
		is := st.Ownership.String()
		if st.Ownership == Owned {
			is = st.State.String()
		}
		if st.Switch == name && (len(states) == 0 || states[len(states)-1] != is) {
			states = append(states, is)
		}
	}
	return states
}
