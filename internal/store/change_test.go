package store

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// If the answer to a change is lost, the change is neither made twice nor attributed to another writer.
func TestAnswerLost(t *testing.T) {
	s := embeddedStore(t)
	p := behindProxy(t, s)
	var losing atomic.Bool
	far := open(t, Config{Endpoints: []string{p.endpoint()}, TTL: 60 * time.Second, Now: func() time.Time {
		if losing.Load() { // Put reads the clock between its last read and its transaction
			p.stallOnly(answers)
		}
		return time.Now()
	}})
	must(far.TryOwn(within(t), "switch", "warm", "noc"))(t) // the first ownership makes the store get its lease
	lost := func(key string, call func() error) {
		t.Helper()
		done := make(chan error)
		go func() { done <- call() }()
		for u := range s.follow(within(t), s.key(key)) {
			if len(u.kvs) > 0 { // the change was made
				break
			}
		}
		p.flow()
		p.cut()
		if err := receive(t, key, done); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		// The answer may have passed before the connection was cut. The read connects again before the answers are
		// stopped for the next call.
		must(far.Revisions().Head(within(t)))(t)
	}
	losing.Store(true)
	lost("intent/head", func() error {
		r, err := far.Revisions().Put(within(t), Change{Author: "a", Reason: "r", Documents: docs("a", "1")})
		losing.Store(false)
		if err == nil && r.Number != 1 {
			err = fmt.Errorf("revision %d", r.Number)
		}
		return err
	})
	p.stallOnly(answers)
	lost("rec/status/a", func() error {
		rev, err := JSON[string](far, "status").PutIf(within(t), "a", 0, "up")
		if got := raw(t, s, s.key("rec/status/a")).Kvs[0].ModRevision; err == nil && got != rev {
			err = fmt.Errorf("revision %d, want %d", rev, got)
		}
		return err
	})
	p.stallOnly(answers)
	lost("own/switch/a", func() error {
		o, err := far.TryOwn(within(t), "switch", "a", "noc")
		if err == nil && (!o.Held() || int64(o.Epoch()) != raw(t, s, o.key).Kvs[0].CreateRevision) {
			err = fmt.Errorf("held %v, epoch %d", o.Held(), o.Epoch())
		}
		return err
	})
}
