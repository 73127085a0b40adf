package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"op25b/e2e/longform"
)

func TestMain(m *testing.M) {
	if endpoint := os.Getenv(stoppedEnv); endpoint != "" {
		stoppedProcess(endpoint)
		return
	}
	if dir := os.Getenv(damagedEnv); dir != "" {
		damagedProcess(dir)
		return
	}
	if dir := os.Getenv(killedEnv); dir != "" {
		killedProcess(dir)
		return
	}
	if err := flag.Set("rapid.checks", "30"); err != nil { // each step of a test case sends a few requests to a real etcd
		panic(err)
	}
	longform.Rapid()
	goleak.VerifyTestMain(m)
}

// deadline limits every wait. A test that passes never reaches it.
const deadline = 30 * time.Second

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// open opens a store and closes it at the end of the test.
func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(within(t), cfg)
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

// embeddedStore opens a store with an embedded etcd.
func embeddedStore(t testing.TB) *Store {
	t.Helper()
	return open(t, Config{Dir: t.TempDir(), TTL: time.Second})
}

// beside opens a second store that uses the etcd of s.
func beside(t testing.TB, s *Store) *Store {
	t.Helper()
	return open(t, Config{Endpoints: s.Endpoints(), TTL: time.Second})
}

// receive waits for a value from a channel, and fails the test if none arrives.
func receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-ch:
		if !ok {
			t.Fatalf("%s: the channel is closed", what)
		}
		return v
	case <-time.After(deadline):
		t.Fatalf("%s: nothing was told", what)
	}
	panic("unreachable")
}

// closed waits for a channel to be closed.
func closed[T any](t testing.TB, what string, ch <-chan T) {
	t.Helper()
	over := time.After(deadline)
	for {
		select {
		case _, ok := <-ch:
			if !ok {
				return
			}
		case <-over:
			t.Fatalf("%s: the channel was not closed", what)
		}
	}
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

// wantError checks that err is of the given kind and that its message contains the text.
func wantError(t testing.TB, err, kind error, text string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Errorf("the error is %q, want %v with %q", fmt.Sprint(err), kind, text)
	}
}

// A cluster consists of several etcd members in this process. They listen on loopback addresses, each behind a
// proxy.
type cluster struct {
	members   []*embed.Etcd
	proxies   []*proxy
	endpoints []string
	ended     map[int]bool
}

// kill stops a member. To its clients, the stop looks like a crash.
func (c *cluster) kill(i int) {
	if c.ended[i] {
		return
	}
	c.ended[i] = true
	c.proxies[i].listener.Close()
	c.proxies[i].cut()
	c.members[i].Close()
}

// leader returns the index of the member that is the leader.
func (c *cluster) leader() int {
	return slices.IndexFunc(c.members, func(m *embed.Etcd) bool { return m.Server.MemberID() == c.members[0].Server.Leader() })
}

func startCluster(t testing.TB, n int, change func(*embed.Config)) *cluster {
	t.Helper()
	c := &cluster{ended: make(map[int]bool)}
	var configs []*embed.Config
	var initial []string
	for i := range n {
		cfg := embed.NewConfig()
		cfg.Name, cfg.Dir = fmt.Sprintf("m%d", i), t.TempDir()
		cfg.TickMs, cfg.ElectionMs = 20, 200
		cfg.UnsafeNoFsync = true
		cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
		peer, client := loopback(t, "http"), loopback(t, "http")
		cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = peer, peer
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = client, client
		if change != nil {
			change(cfg)
		}
		initial = append(initial, cfg.Name+"="+peer[0].String())
		configs = append(configs, cfg)
	}
	for i, cfg := range configs {
		cfg.InitialCluster = strings.Join(initial, ",")
		e, err := embed.StartEtcd(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.members = append(c.members, e)
		client := cfg.ListenClientUrls[0]
		p := startProxy(t, "tcp", client.Host)
		c.proxies = append(c.proxies, p)
		t.Cleanup(func() { c.kill(i) })
		c.endpoints = append(c.endpoints, client.Scheme+"://"+p.endpoint())
	}
	for _, e := range c.members {
		select {
		case <-e.Server.ReadyNotify():
		case <-time.After(deadline):
			t.Fatal("the cluster has no leader")
		}
	}
	return c
}

// loopback returns a URL with a free port.
func loopback(t testing.TB, scheme string) []url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return []url.URL{{Scheme: scheme, Host: l.Addr().String()}}
}

// A proxy simulates a network that can fail. Data that is sent while the proxy is stalled arrives later. Data that
// is cut off is lost.
type proxy struct {
	listener net.Listener
	network  string
	upstream string
	wg       sync.WaitGroup

	mu    sync.Mutex
	open  [2]chan struct{} // closed while data passes; one channel for requests and one for answers
	conns map[net.Conn]bool
	shut  bool // whether new connections are refused
}

// The directions in which data passes a proxy.
const (
	requests = iota
	answers
)

// behindProxy starts a proxy in front of the unix socket of an embedded store.
func behindProxy(t testing.TB, s *Store) *proxy {
	t.Helper()
	return startProxy(t, "unix", strings.TrimPrefix(s.Endpoints()[0], "unix://"))
}

func startProxy(t testing.TB, network, upstream string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, network: network, upstream: upstream, conns: make(map[net.Conn]bool)}
	p.stall()
	p.flow()
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.flow()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) endpoint() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		a, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		shut := p.shut
		p.mu.Unlock()
		if shut {
			a.Close()
			continue
		}
		b, err := net.Dial(p.network, p.upstream)
		if err != nil {
			a.Close()
			continue
		}
		p.mu.Lock()
		p.conns[a], p.conns[b] = true, true
		p.mu.Unlock()
		p.wg.Go(func() { p.copy(a, b, answers) })
		p.wg.Go(func() { p.copy(b, a, requests) })
	}
}

func (p *proxy) copy(dst, src net.Conn, direction int) {
	defer dst.Close()
	defer src.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		p.mu.Lock()
		open := p.open[direction]
		p.mu.Unlock()
		<-open
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

// stall stops all data. Connections stay open, as in a network that drops packets.
func (p *proxy) stall() {
	p.stallOnly(requests)
	p.stallOnly(answers)
}

// stallOnly stops the data in one direction.
func (p *proxy) stallOnly(direction int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[direction] = make(chan struct{})
}

// flow lets data pass again after stall or stallOnly.
func (p *proxy) flow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, open := range p.open {
		select {
		case <-open:
		default:
			close(open)
		}
	}
}

// refuse(true) ends all connections and refuses new ones. refuse(false) accepts connections again.
func (p *proxy) refuse(shut bool) {
	p.mu.Lock()
	p.shut = shut
	p.mu.Unlock()
	if shut {
		p.cut()
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
		delete(p.conns, c)
	}
}

// raw reads a key directly from the store's etcd.
func raw(t testing.TB, s *Store, key string, opts ...clientv3.OpOption) *clientv3.GetResponse {
	t.Helper()
	return must(s.client.Get(within(t), key, opts...))(t)
}

var _ io.Closer = (*Store)(nil)
