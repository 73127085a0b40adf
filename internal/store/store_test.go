package store

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "invalid configuration: neither a data directory nor endpoints: give one of them"},
		{"both", Config{Dir: "d", Endpoints: []string{"a:1", "b:2"}}, "data directory d and endpoints a:1, b:2: give only one of them"},
		{"TLS", Config{Dir: "d", TLS: &tls.Config{}}, "data directory d with TLS: TLS is for endpoints"},
		{"TTL", Config{Dir: "d", TTL: time.Millisecond}, "TTL 1ms: must be at least 1s"},
		{"timeout", Config{Dir: "d", Timeout: -1}, "timeout -1ns: must be > 0, or 0 for 5s"},
		{"history", Config{Dir: "d", History: -1}, "history -1: must be > 0, or 0 for 1000"},
		{"quota", Config{Dir: "d", Quota: 1 << 20}, "quota of 1048576 bytes: must be 16 MiB to 8 GiB, or 0 for 2 GiB"},
		{"endpoint", Config{Endpoints: []string{"a:1", " "}}, "endpoint 2 of 2 is empty: it must be host:port or https://host:port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(within(t), c.cfg)
			wantError(t, err, ErrConfig, c.want)
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(within(t), Config{Dir: file}); err == nil || !strings.Contains(err.Error(), "data directory: mkdir "+file) {
		t.Errorf("a file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Config{Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	for i := range uint64(2) {
		s := open(t, Config{Dir: dir})
		if head := must(s.Revisions().Head(within(t)))(t); head.Number != i {
			t.Errorf("opened for the %d. time the head is %d", i+1, head.Number)
		}
		put(t, s.Revisions(), i, docs("a", strings.Repeat("x", int(i))))
		if err := s.Ready(within(t)); err != nil {
			t.Error(err)
		}
		_, err := Open(within(t), Config{Dir: dir})
		wantError(t, err, ErrInUse, "data directory in use: "+dir+": another process has it open")
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		wantError(t, s.Ready(within(t)), ErrClosed, "ready: store closed")
		_, err = s.Revisions().Put(within(t), Change{Author: "a", Reason: "r", Documents: docs("a", "")})
		wantError(t, err, ErrClosed, "read intent: store closed")
	}
}

// No other user can reach the embedded etcd. It has one socket, in a directory that other users may not enter, whatever the
// path of the data directory is.
func TestSocketIsPrivate(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long/", 20))
	loose := t.TempDir() // 0755
	for _, dir := range []string{filepath.Join(t.TempDir(), "new"), long, loose} {
		s := open(t, Config{Dir: dir})
		path := strings.TrimPrefix(s.Endpoints()[0], "unix://")
		info := must(os.Stat(filepath.Dir(path)))(t)
		if info.Mode().Perm() != 0o700 || len(path) > maxSocketPath {
			t.Errorf("%s is in a directory of mode %v", path, info.Mode())
		}
		must(net.Dial("unix", path))(t).Close()
		if n := len(s.server.etcd.Peers); n != 0 {
			t.Errorf("%d listeners for peers", n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was left behind", path)
		}
	}
}

// Two stores with different prefixes in one cluster are independent.
func TestPrefix(t *testing.T) {
	s := embeddedStore(t)
	other := open(t, Config{Endpoints: s.Endpoints(), Prefix: "/other"})
	put(t, s.Revisions(), 0, docs("a", "1"))
	must(s.TryOwn(within(t), "switch", "a", "one"))(t)
	must(other.TryOwn(within(t), "switch", "a", "two"))(t)
	if head := must(other.Revisions().Head(within(t)))(t); head.Number != 0 {
		t.Errorf("the other has revision %d", head.Number)
	}
}

// Every call ends when its context ends.
func TestCallsEnd(t *testing.T) {
	etcd := embeddedStore(t)
	p := behindProxy(t, etcd)
	s := open(t, Config{Endpoints: []string{p.endpoint()}})
	put(t, s.Revisions(), 0, docs("a", "1"))
	p.stall()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the operator has gone")
	failed := make(chan error)
	calls := map[string]func() error{
		"head": func() error { _, err := s.Revisions().Head(ctx); return err },
		"put": func() error {
			_, err := s.Revisions().Put(ctx, Change{Author: "a", Reason: "r", Documents: docs("a", "")})
			return err
		},
		"own":     func() error { _, err := s.Own(ctx, "switch", "a", "noc"); return err },
		"try own": func() error { _, err := s.TryOwn(ctx, "switch", "a", "noc"); return err },
		"append":  func() error { _, err := s.Audit().Append(ctx, AuditRecord{Who: "a", Verb: "b"}); return err },
		"verify":  func() error { _, err := s.Audit().Verify(ctx); return err },
		"join":    func() error { _, err := s.Join(ctx, "noc", ""); return err },
		"ready":   func() error { return s.Ready(ctx) },
	}
	for _, call := range calls {
		go func() { failed <- call() }()
	}
	cancel(why)
	for range calls {
		wantError(t, receive(t, "a call", failed), why, "the operator has gone")
	}
	p.flow()
	if head := must(etcd.Revisions().Head(within(t)))(t); head.Number != 1 {
		t.Errorf("the head is %d", head.Number)
	}
}

func TestPiecesAreSmallAndStable(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	content := make([]byte, 4<<20)
	_, _ = random.Read(content)
	known := make(map[string][]byte)
	before := cut(content, known)
	var joined []byte
	for _, p := range before {
		if p.Bytes > maxPiece || len(known[p.Hash]) != p.Bytes {
			t.Errorf("a piece of %d bytes", p.Bytes)
		}
		joined = append(joined, known[p.Hash]...)
	}
	if !bytes.Equal(joined, content) || len(before) < 8 {
		t.Errorf("%d pieces do not make the content", len(before))
	}
	n := len(known)
	cut(append([]byte("before all"), content...), known)
	if len(known)-n > 2 {
		t.Errorf("%d of %d pieces are new after ten bytes at the start", len(known)-n, n)
	}
	if got := cut(nil, known); got != nil {
		t.Errorf("nothing is cut into %v", got)
	}
}
