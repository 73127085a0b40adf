// Package storetest is an etcd that tests stop, put back in time and replace, at one address.
package storetest

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// An Etcd is a cluster of one in this process.
type Etcd struct {
	t      testing.TB
	client url.URL
	peer   url.URL
	dir    string
	token  string
	etcd   *embed.Etcd
}

// Start starts an etcd and ends it with the test.
func Start(t testing.TB) *Etcd {
	t.Helper()
	e := &Etcd{t: t, client: loopback(t), peer: url.URL{Scheme: "unix", Host: "nobody"}, dir: filepath.Join(t.TempDir(), "etcd"), token: "one"}
	e.start()
	t.Cleanup(e.stop)
	return e
}

// Endpoint is the address of its clients, which stays the same.
func (e *Etcd) Endpoint() string { return e.client.Host }

// Save stops the etcd, keeps a copy of what it has, and starts it again. It returns the copy.
func (e *Etcd) Save() (saved string) {
	e.t.Helper()
	saved = filepath.Join(e.t.TempDir(), "saved")
	e.stop()
	if err := os.CopyFS(saved, os.DirFS(e.dir)); err != nil {
		e.t.Fatal(err)
	}
	e.start()
	return saved
}

// Restore puts a copy in place of what the etcd has, as after a restore of a snapshot on the same machine: the cluster is the same, and its
// revisions are those of the copy.
func (e *Etcd) Restore(saved string) {
	e.t.Helper()
	e.stop()
	if err := os.RemoveAll(e.dir); err != nil {
		e.t.Fatal(err)
	}
	if err := os.CopyFS(e.dir, os.DirFS(saved)); err != nil {
		e.t.Fatal(err)
	}
	e.start()
}

// Empty puts an etcd without anything in its place: of the same cluster, or of another.
func (e *Etcd) Empty(otherCluster bool) {
	e.t.Helper()
	e.stop()
	if err := os.RemoveAll(e.dir); err != nil {
		e.t.Fatal(err)
	}
	if otherCluster {
		e.token += "+"
	}
	e.start()
}

// Stop ends the etcd; Begin starts it again.
func (e *Etcd) Stop() { e.stop() }

// Begin starts it again after Stop.
func (e *Etcd) Begin() {
	e.t.Helper()
	e.start()
}

func (e *Etcd) start() {
	e.t.Helper()
	c := embed.NewConfig()
	c.Dir = e.dir
	c.TickMs, c.ElectionMs = 20, 200
	c.UnsafeNoFsync = true
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	c.ListenPeerUrls, c.AdvertisePeerUrls = nil, []url.URL{e.peer}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{e.client}, []url.URL{e.client}
	c.InitialCluster, c.InitialClusterToken = c.Name+"="+e.peer.String(), e.token
	var err error
	if e.etcd, err = embed.StartEtcd(c); err != nil {
		e.t.Fatal(err)
	}
	select {
	case <-e.etcd.Server.ReadyNotify():
	case <-time.After(time.Minute):
		e.t.Fatal("etcd has no leader")
	}
}

func (e *Etcd) stop() {
	if e.etcd != nil {
		e.etcd.Close()
		e.etcd = nil
	}
}

func loopback(t testing.TB) url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return url.URL{Scheme: "http", Host: l.Addr().String()}
}
