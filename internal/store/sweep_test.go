package store

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A sweep keeps the pieces of revisions that are kept, and deletes all others.
func TestSweep(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), History: 2})
	rs := s.Revisions()
	count := func() int64 {
		return raw(t, s, s.pieceKey(""), clientv3.WithPrefix(), clientv3.WithCountOnly()).Count
	}
	for i := range uint64(4) {
		put(t, rs, i, docs("a", fmt.Sprint(i), "same", "same"))
	}
	if _, err := s.client.Put(within(t), s.pieceKey("left by a crash"), "x"); err != nil {
		t.Fatal(err)
	}
	_, err := rs.At(within(t), 2)
	wantError(t, err, ErrNotFound, "revision 2 of intent: not found: the current one is 4, and 2 are kept")
	if n := must(rs.sweep(within(t)))(t); n != 5 { // a manifest and a document each for revisions 1 and 2, and the piece that the crash left
		t.Errorf("%d reclaimed", n)
	}
	if n := count(); n != 5 {
		t.Errorf("%d pieces left", n)
	}
	for _, r := range []uint64{3, 4} {
		if got := must(rs.At(within(t), r))(t); string(got.Documents["same"]) != "same" || string(got.Documents["a"]) != fmt.Sprint(r-1) {
			t.Errorf("revision %d has %q", r, got.Documents)
		}
	}
	if n := must(rs.sweep(within(t)))(t); n != 0 {
		t.Errorf("%d reclaimed by a second sweep", n)
	}
	// The sweep is also started by Put.
	for i := uint64(4); i < sweepEvery; i++ {
		put(t, rs, i, docs("a", fmt.Sprint(i), "same", "same"))
	}
	s.sweeping <- struct{}{} // blocks until the sweep has ended
	if n := count(); n > 5 {
		t.Errorf("%d pieces left after revision %d", n, sweepEvery)
	}
}

// A change in progress relies on pieces that a concurrent sweep considers unused. The pieces are stored before the change's
// transaction, because they are too large for it.
func TestSweepDuringPut(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	rs := s.Revisions()
	put(t, rs, 0, docs("a", "1"))
	var mu sync.Mutex // guards swept
	swept := 0
	// Put reads the clock after it has stored the pieces and before it stores the head. The store also reads the clock in the
	// background. A sweep at that time finds nothing.
	sweeping := open(t, Config{Endpoints: s.Endpoints(), Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if swept == 0 {
			var err error
			if swept, err = rs.sweep(within(t)); err != nil {
				t.Error(err)
			}
		}
		return time.Now()
	}})
	large := strings.Repeat("2", 2*littleBytes)
	r := put(t, sweeping.Revisions(), 1, docs("a", large))
	mu.Lock()
	defer mu.Unlock()
	if r.Number != 2 || swept < 2 {
		t.Errorf("revision %d, and the sweep found %d", r.Number, swept)
	}
	if got := must(rs.At(within(t), 2))(t).Documents["a"]; string(got) != large {
		t.Errorf("revision 2 has %d bytes", len(got))
	}
}

func TestDamagedContent(t *testing.T) {
	s := embeddedStore(t)
	rs := s.Revisions()
	put(t, rs, 0, docs("a", "content"))
	for _, kv := range raw(t, s, s.pieceKey(""), clientv3.WithPrefix()).Kvs {
		if string(kv.Value) == "content" {
			must(s.client.Put(within(t), string(kv.Key), "c0ntent"))(t)
		}
	}
	_, err := beside(t, s).Revisions().At(within(t), 1) // a store that has not cached the piece
	wantError(t, err, ErrCorrupt, "intent at revision 1: stored content is damaged: piece ")
}
