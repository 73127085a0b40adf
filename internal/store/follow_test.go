package store

import (
	"context"
	"fmt"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestIntentWatch(t *testing.T) {
	s := embeddedStore(t)
	p := behindProxy(t, s)
	far := open(t, Config{Endpoints: []string{p.endpoint()}})
	rs := s.Revisions()
	ctx, cancel := context.WithCancel(t.Context())
	fromStart := far.Revisions().Watch(ctx, 0)
	put(t, rs, 0, docs("a", "1"))
	if r := receive(t, "the first", fromStart); r.Number != 1 || r.Author != "ota" {
		t.Errorf("told of %+v", r)
	}
	later := far.Revisions().Watch(ctx, 2)
	put(t, rs, 1, docs("a", "2"))
	put(t, rs, 2, docs("a", "3"))
	if r := receive(t, "after 2", later); r.Number != 3 {
		t.Errorf("told of %+v, want revision 3", r)
	}
	// If nothing receives for a while, updates are merged, and the newest revision is received in
	// the end.
	for i := range uint64(20) {
		put(t, rs, 3+i, docs("a", fmt.Sprint("slow", i)))
	}
	told := 0
	for n := uint64(0); n < 23; told++ {
		next := receive(t, "the newest", fromStart).Number
		if next <= n {
			t.Fatalf("told of %d after %d", next, n)
		}
		n = next
	}
	// The connection is lost. Changes that are made in the meantime are compacted before the
	// connection returns.
	p.stall()
	put(t, rs, 23, docs("a", "4"))
	last := put(t, rs, 24, docs("a", "5"))
	must(s.client.Compact(within(t), raw(t, s, rs.headKey()).Header.Revision, clientv3.WithCompactPhysical()))(t)
	p.cut()
	p.flow()
	for r := range fromStart {
		if r == last {
			break
		}
	}
	cancel()
	closed(t, "ended by its context", fromStart)
	open := far.Revisions().Watch(t.Context(), last.Number)
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	closed(t, "ended by Close", open)
	closed(t, "begun after Close", far.Revisions().Watch(t.Context(), 0))
}
