package northbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmic/pkg/api/path"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"op25b/examples"
	"op25b/internal/api"
	"op25b/internal/auth"
	"op25b/internal/fleet"
	"op25b/internal/grpcserve"
	"op25b/internal/intent"
	"op25b/internal/openconfig"
	"op25b/internal/store"
	"op25b/internal/store/storetest"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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

// An edge is a gNMI server of a switch whose state a test sets.
type edge struct {
	addr string

	mu      sync.Mutex // guards everything below
	state   openconfig.State
	changed map[*func()]struct{}
	server  *grpc.Server
	hung    bool // readings wait until their calls end
}

func (e *edge) Snapshot(ctx context.Context, _ openconfig.Parts) (*openconfig.State, error) {
	e.mu.Lock()
	st, hung := e.state, e.hung
	e.mu.Unlock()
	if hung {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &st, nil
}

func (e *edge) hang() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hung = true
}

func (e *edge) Watch(ctx context.Context, changed func()) error {
	e.mu.Lock()
	e.changed[&changed] = struct{}{}
	e.mu.Unlock()
	changed()
	<-ctx.Done()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.changed, &changed)
	return nil
}

func (e *edge) set(st openconfig.State) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = st
	for changed := range e.changed {
		(*changed)()
	}
}

// counted returns the state of a switch that started at boot and has counted packets of rule 6.
func counted(boot time.Time, packets uint64) openconfig.State {
	up := uint64(1)
	return openconfig.State{
		ACLSet: "op25b", System: &openconfig.System{Hostname: "edge-1.isp.example", SoftwareVersion: "1", BootTime: boot},
		Interfaces: []openconfig.Interface{{
			Name: "access-1", Port: 1, IfIndex: 9, Oper: openconfig.OperUp, Admin: openconfig.AdminUp, LastChange: boot, Transitions: &up,
			Counters: &openconfig.InterfaceCounters{InPkts: packets, InOctets: 60 * packets, OutErrors: 3},
			ACL:      []openconfig.ACLEntry{{SequenceID: 6, MatchedPackets: packets, MatchedOctets: 60 * packets}},
		}},
		Lines: []openconfig.Line{{ID: 77, Stopped: openconfig.Tally{Packets: packets}}},
		Legs: []openconfig.LegEntry{
			{Epoch: 1, Leg: openconfig.LegAny, SequenceID: 2, Matched: openconfig.Tally{Packets: 1, Octets: 2}},
			{Epoch: 1, Leg: openconfig.LegUpDst, SequenceID: 6, Matched: openconfig.Tally{Packets: packets, Octets: 60 * packets}},
		},
	}
}

func newEdge(t testing.TB) *edge {
	t.Helper()
	e := &edge{changed: make(map[*func()]struct{}), state: counted(time.Unix(1e9, 0), 5)}
	e.start(t, "127.0.0.1:0")
	return e
}

// start serves the switch's gNMI until stop or the end of the test.
func (e *edge) start(t testing.TB, addr string) {
	t.Helper()
	lis := must(net.Listen("tcp", addr))(t)
	server := must(openconfig.NewServer(e, openconfig.Options{MinSample: time.Millisecond, ChangeGap: time.Millisecond}))(t)
	e.addr, e.server = lis.Addr().String(), grpc.NewServer()
	gpb.RegisterGNMIServer(e.server, server)
	done := make(chan struct{})
	go func(g *grpc.Server) {
		defer close(done)
		_ = g.Serve(lis)
	}(e.server)
	t.Cleanup(func() { e.stop(); <-done })
}

func (e *edge) stop() { e.server.Stop() }

// A node is a controller's northbound gNMI with its own store client and collector. The test decides which switch it owns.
type node struct {
	t        testing.TB
	name     string
	addr     string
	store    *store.Store
	book     *intent.Book
	tally    *tally.Tally
	service  *Service
	presence *store.Presence
	own      *store.Ownership
	end      func() // ends the service without notifying the other controllers
}

// A cluster is an etcd, a switch and its documents.
type cluster struct {
	etcd *storetest.Etcd
	edge *edge
	tls  tlstest.Dir // the files of all controllers; empty for plain text
	auth api.Auth
}

// every is the sample interval of the collectors. Values are stale after two and a half intervals, also on a loaded machine.
const every = 200 * time.Millisecond

// often is the sample interval of subscribers, and the pause between the collectors' attempts.
const often = 20 * time.Millisecond

// quiet is the largest age of values. It is long enough for a loaded machine.
const quiet = 2 * time.Second

func newCluster(t testing.TB) *cluster {
	t.Helper()
	return &cluster{etcd: storetest.Start(t), edge: newEdge(t)}
}

func (c *cluster) node(t testing.TB, name string) *node {
	t.Helper()
	n := &node{t: t, name: name}
	n.store = must(store.Open(t.Context(), store.Config{Endpoints: []string{c.etcd.Endpoint()}, TTL: time.Second}))(t)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = n.store.Run(ctx) })
	n.book = intent.NewBook(n.store, time.Now)
	handler := api.New(api.Deps{Name: name, Store: n.store, Book: n.book, Switches: api.FleetSwitches(n.store, name), Auth: c.auth})
	n.tally = must(tally.New(tally.Config{Book: n.book, Telemetry: telemetry.Config{
		Interval: every, LineInterval: every, MinBackoff: often, MaxBackoff: often, Silence: quiet,
	}}))(t)
	running.Go(func() { n.tally.Run(ctx) })
	cfg := Config{
		Name: name, Store: n.store, Book: n.book, Counters: n.tally, Gate: api.GateOf(handler), ACLSet: "op25b",
		Options: openconfig.Options{MinSample: time.Millisecond, ChangeGap: time.Millisecond},
	}
	listening := api.Listening{Addr: "127.0.0.1:0", Cert: c.tls.Cert, Key: c.tls.Key, ClientCA: c.tls.CA}
	secure := must(listening.Secure())(t)
	if secure != nil {
		cfg.PeerTLS = func(host string) (*tls.Config, error) {
			return tlsfiles.Client(tlsfiles.Files{CA: c.tls.CA, ServerName: host})
		}
	}
	n.service = must(New(cfg))(t)
	running.Go(func() { n.service.Run(ctx) })
	server := must(grpcserve.New(grpcserve.Options{TLS: secure, Admit: cfg.Gate.Admit}))(t)
	n.service.Register(server)
	lis := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	n.addr = lis.Addr().String()
	running.Go(func() { server.Serve(lis) })
	n.presence = must(n.store.Join(within(t), name, fleet.Addresses{API: "127.0.0.1:1", GNMI: n.addr, GNMIPlain: secure == nil}.String()))(t)
	n.end = sync.OnceFunc(server.Close)
	t.Cleanup(func() {
		n.end()
		stop()
		running.Wait()
		if err := n.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// apply stores the worked example with the address of the switch.
func (c *cluster) apply(t testing.TB, n *node) {
	t.Helper()
	files := examples.SpinNet2006()
	for i := range files {
		files[i].Data = bytes.ReplaceAll(files[i].Data, []byte("127.0.0.1:9339"), []byte(c.edge.addr))
	}
	proposal := must(n.book.Propose(within(t), files))(t)
	must(n.book.Put(within(t), proposal, intent.By{Who: "test", Reason: "test"}))(t)
}

// take makes the node the owner of edge-1 with the given phases in force, and waits until its counters are current.
func (n *node) take(phases string) {
	n.t.Helper()
	n.own = must(n.store.Own(within(n.t), "switch", "edge-1", n.name))(n.t)
	n.follow(phases)
	n.until(func() bool {
		_, err := targets{n.service}.Source(n.t.Context(), "edge-1")
		return err == nil
	})
}

// follow sets the phases in force on the node's switch.
func (n *node) follow(phases string) {
	st := fleet.Status{Switch: "edge-1", Ownership: fleet.Owned, Running: 1, InForce: phases}
	n.tally.Follow(st.Switch, true, st.Running, st.InForce)
	n.service.Follow(st)
}

// leave makes the node give up edge-1.
func (n *node) leave() {
	n.t.Helper()
	n.tally.Follow("edge-1", false, 0, "")
	n.service.Follow(fleet.Status{Switch: "edge-1", Ownership: fleet.NotOwned})
	if err := n.own.Release(within(n.t)); err != nil {
		n.t.Fatal(err)
	}
}

// until waits for a condition that no event announces.
func (n *node) until(condition func() bool) {
	n.t.Helper()
	for ctx := within(n.t); !condition(); time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			n.t.Fatal("the condition does not come about")
		}
	}
}

// knows waits until the node has learned that another node serves edge-1.
func (n *node) knows(owner *node) {
	n.t.Helper()
	n.until(func() bool { at, err := n.service.where("edge-1"); return err == nil && at.owner == owner.name })
}

// client returns a client of a gNMI server. secure is nil for plain text.
func client(t testing.TB, addr string, secure *tls.Config) gpb.GNMIClient {
	t.Helper()
	with := insecure.NewCredentials()
	if secure != nil {
		with = credentials.NewTLS(secure)
	}
	conn := must(grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(with)))(t)
	t.Cleanup(func() { _ = conn.Close() })
	return gpb.NewGNMIClient(conn)
}

func parsed(t testing.TB, text string) *gpb.Path {
	t.Helper()
	return must(path.ParsePath(text))(t)
}

// get returns the JSON value at a path of a target.
func get(ctx context.Context, t testing.TB, c gpb.GNMIClient, target, at string) (string, error) {
	t.Helper()
	r, err := c.Get(ctx, &gpb.GetRequest{Prefix: &gpb.Path{Target: target}, Path: []*gpb.Path{parsed(t, at)}, Encoding: gpb.Encoding_JSON_IETF})
	if err != nil {
		return "", err
	}
	text := ""
	for _, n := range r.GetNotification() {
		for _, u := range n.GetUpdate() {
			text += string(u.GetVal().GetJsonIetfVal())
		}
	}
	return text, nil
}

// subscribe opens a subscription and returns its stream after the sync response.
func subscribe(ctx context.Context, t testing.TB, c gpb.GNMIClient, target string, subs ...*gpb.Subscription) (gpb.GNMI_SubscribeClient, []*gpb.Update, error) {
	t.Helper()
	stream := must(c.Subscribe(ctx))(t)
	if err := stream.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: &gpb.SubscriptionList{
		Prefix: &gpb.Path{Target: target}, Encoding: gpb.Encoding_PROTO, Subscription: subs,
	}}}); err != nil && !errors.Is(err, io.EOF) { // EOF means that the server has ended the stream; Recv returns its status
		t.Fatal(err)
	}
	var first []*gpb.Update
	for {
		r, err := stream.Recv()
		if err != nil || r.GetSyncResponse() {
			return stream, first, err
		}
		first = append(first, r.GetUpdate().GetUpdate()...)
	}
}

// sampled returns a subscription to the packets of the rules on all interfaces.
func sampled(t testing.TB) *gpb.Subscription {
	return &gpb.Subscription{
		Path: parsed(t, "/acl/interfaces/interface/ingress-acl-sets/ingress-acl-set/acl-entries/acl-entry/state/matched-packets"),
		Mode: gpb.SubscriptionMode_SAMPLE, SampleInterval: uint64(often),
	}
}

// failure returns the error that ends a stream.
func failure(stream gpb.GNMI_SubscribeClient) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

// accessOf writes an access file with a viewer's token and, for the role none, a certificate. It returns the settings and the token.
func accessOf(t testing.TB) (api.Auth, string) {
	t.Helper()
	secret, entry, err := auth.NewToken("collector", auth.Viewer, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "access.yaml")
	text := fmt.Sprintf("apiVersion: op25b/v1\nkind: Access\ntokens:\n  - {name: collector, role: viewer, sha256: %s}\ncertificates:\n  - {commonName: 127.0.0.1, role: viewer}\n", entry.SHA256)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return api.Auth{Access: must(auth.Open(file, nil))(t)}, secret
}
