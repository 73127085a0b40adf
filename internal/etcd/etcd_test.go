package etcd

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
)

// TestMain checks that no goroutines are left. It ignores the goroutines of HTTP connections between members: if a connection was being
// dialed when both members ended, etcd may close it only after the check.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
	)
}

// free returns n free addresses.
func free(t *testing.T, n int) []string {
	t.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs[i] = l.Addr().String()
	}
	return addrs
}

// member runs a member until the end of the test. stop ends the member earlier and returns the result of Run.
func member(t *testing.T, c Config) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	up, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- Run(ctx, c, func() { close(up) }) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return stop
}

// client returns a client of a cluster and a context for its requests. The first request waits until a majority of the members runs.
func client(t *testing.T, config clientv3.Config) (context.Context, *clientv3.Client) {
	t.Helper()
	config.Logger = zap.NewNop()
	c, err := clientv3.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(func() {
		cancel()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return ctx, c
}

// A single member is a cluster. After a restart, it still has its content.
func TestAlone(t *testing.T) {
	addrs := free(t, 2)
	c := Config{Name: "a", Dir: t.TempDir() + "/new", Listen: addrs[0], ListenPeer: addrs[1], Cluster: map[string]string{"a": addrs[1]}}
	stop := member(t, c)
	ctx, client := client(t, clientv3.Config{Endpoints: addrs[:1]})
	if _, err := client.Put(ctx, "k", "v"); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatalf("the member ended with %v, want nil", err)
	}
	member(t, c)
	if r, err := client.Get(ctx, "k"); err != nil || len(r.Kvs) != 1 {
		t.Errorf("got %v, %v after a restart", r, err)
	}
}

// A normal stop logs neither warnings nor errors. At any other time, a failure to serve is logged.
func TestStopIsQuiet(t *testing.T) {
	addrs := free(t, 2)
	core, logs := observer.New(zap.WarnLevel)
	c := Config{Name: "a", Dir: t.TempDir(), Listen: addrs[0], ListenPeer: addrs[1], Cluster: map[string]string{"a": addrs[1]}, Logger: zap.New(core)}
	stop := member(t, c)
	ctx, client := client(t, clientv3.Config{Endpoints: addrs[:1]})
	if _, err := client.Put(ctx, "k", "v"); err != nil {
		t.Fatal(err)
	}
	logs.TakeAll()
	if err := stop(); err != nil {
		t.Fatalf("the member ended with %v, want nil", err)
	}
	for _, e := range logs.TakeAll() {
		t.Errorf("a normal stop logs %v %q %v", e.Level, e.Message, e.ContextMap())
	}

	const serving = "setting up serving from embedded etcd failed."
	ended, end := context.WithCancel(t.Context())
	log := zap.New(quietStop{core, ended}).With(zap.Int("n", 1))
	log.Error(serving)
	end()
	log.Error(serving)
	log.Error("another")
	if all := logs.All(); len(all) != 2 || all[0].Message != serving || all[1].Message != "another" {
		t.Errorf("logged %v, want the first and the last", all)
	}
}

// Three members with certificates form a cluster, which continues to work when one member ends.
func TestClusterOfThree(t *testing.T) {
	addrs := free(t, 6)
	cluster := map[string]string{"a": addrs[3], "b": addrs[4], "c": addrs[5]}
	files := tlstest.New(t).Dir(t, "127.0.0.1")
	secure, err := tlsfiles.Client(tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key, ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	var stops []func() error
	for i, name := range []string{"a", "b", "c"} {
		stops = append(stops, member(t, Config{
			Name: name, Dir: t.TempDir(), Listen: addrs[i], ListenPeer: addrs[3+i], Cluster: cluster, Cert: files.Cert, Key: files.Key, CA: files.CA,
		}))
	}
	ctx, client := client(t, clientv3.Config{Endpoints: addrs[:3], TLS: secure})
	if _, err := client.Put(ctx, "k", "v"); err != nil {
		t.Fatal(err)
	}
	if err := stops[0](); err != nil {
		t.Errorf("the member ended with %v, want nil", err)
	}
	if _, err := client.Put(ctx, "k", "w"); err != nil {
		t.Errorf("two of three members do not take a change: %v", err)
	}
	r, err := client.MemberList(ctx)
	for status.Code(err) == codes.Unknown && ctx.Err() == nil { // the connection to the stopped member may last longer than its gRPC service
		r, err = client.MemberList(ctx)
	}
	if err != nil || len(r.Members) != 3 {
		t.Errorf("the cluster has %v, %v; want three members", r, err)
	}
}

func TestErrors(t *testing.T) {
	good := func() Config {
		return Config{Name: "a", Dir: t.TempDir(), Listen: "127.0.0.1:2379", ListenPeer: "127.0.0.1:2380", Cluster: map[string]string{"a": "127.0.0.1:2380"}}
	}
	for want, spoil := range map[string]func(*Config){
		"no data directory":                                 func(c *Config) { c.Dir = "" },
		`name "z": not in the cluster, which has a`:         func(c *Config) { c.Name = "z" },
		`listen: address "nowhere": must be host:port`:      func(c *Config) { c.Listen = "nowhere" },
		`listen "etcd-1:2379": must have an IP address`:     func(c *Config) { c.Listen = "etcd-1:2379" },
		`advertise ":2379": cannot be dialed`:               func(c *Config) { c.Listen = ":2379" },
		`invalid etcd member: no name`:                      func(c *Config) { c.Name = "" },
		`advertise "0.0.0.0:2379": cannot be dialed`:        func(c *Config) { c.Advertise = "0.0.0.0:2379" },
		`cluster: member a: address "x": must be host:port`: func(c *Config) { c.Cluster["a"] = "x" },
		`certificate "x", key "", CA "": give all three`:    func(c *Config) { c.Cert = "x" },
	} {
		c := good()
		spoil(&c)
		err := Run(t.Context(), c, nil)
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want ErrConfig with %s", err, want)
		}
	}
	for text, want := range map[string]string{
		"a":           `"a": must be name=host:port`,
		"a=b:1,":      `"": must be name=host:port`,
		"a=b:1,a=c:1": `member "a" occurs twice`,
	} {
		if _, err := ParseCluster(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %s", text, err, want)
		}
	}
}
