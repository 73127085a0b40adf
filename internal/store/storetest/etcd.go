// Package storetest runs an etcd for tests. A test can stop this etcd, restore an earlier state of it, or replace it by another etcd at
// the same address.
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

// An Etcd is an etcd cluster with one member, in this process.
type Etcd struct {
	t      testing.TB
	client url.URL
	peer   url.URL
	dir    string
	token  string
	etcd   *embed.Etcd
}

// Start starts an etcd and stops it at the end of the test.
func Start(t testing.TB) *Etcd {
	t.Helper()
	e := &Etcd{t: t, client: loopback(t), peer: url.URL{Scheme: "unix", Host: "nobody"}, dir: filepath.Join(t.TempDir(), "etcd"), token: "one"}
	e.start()
	t.Cleanup(e.stop)
	return e
}

// Endpoint returns the address for clients. The address never changes.
func (e *Etcd) Endpoint() string { return e.client.Host }

// Save stops the etcd, copies its data, and starts it again. It returns the directory of the copy.
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

// Restore replaces the data of the etcd by a copy, as if a snapshot were restored on the same machine. The cluster id stays the same. The
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

// Empty replaces the etcd by an empty etcd. The cluster id stays the same, unless otherCluster is set.
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

// Stop stops the etcd. Begin starts it again.
func (e *Etcd) Stop() { e.stop() }

// Begin starts the etcd again after Stop.
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
