package store

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// Holdings returns the owner of each thing, and whether the process that took the ownership is
// still present. // I11
func TestHoldings(t *testing.T) {
	a := embeddedStore(t)
	b := beside(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	watch := a.WatchHoldings(ctx, "switch")
	list := func(all []Holding) string {
		text := ""
		for _, h := range all {
			text += fmt.Sprintf("%s: %s, alive %v, mine %v; ", h.Name, h.Holder, h.Alive, h.Mine)
		}
		return text
	}
	await := func(want string) {
		t.Helper()
		for got := ""; got != want; {
			got = list(receive(t, want, watch))
		}
		if got := list(must(a.Holdings(within(t), "switch"))(t)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	await("")
	must(a.TryOwn(within(t), "switch", "access-1", "noc-1"))(t)
	await("access-1: noc-1, alive false, mine true; ")
	must(a.Join(within(t), "noc-1", ""))(t)
	await("access-1: noc-1, alive true, mine true; ")
	o := must(b.TryOwn(within(t), "switch", "access-2", "noc-2"))(t)
	must(b.Join(within(t), "noc-2", ""))(t)
	await("access-1: noc-1, alive true, mine true; access-2: noc-2, alive true, mine false; ")
	if got := must(a.Holdings(within(t), "switch"))(t)[1].Epoch; got != o.Epoch() {
		t.Errorf("epoch %d, want %d", got, o.Epoch())
	}
	must(b.Join(within(t), "noc-1", ""))(t) // as a new process that replaces the first one
	await("access-1: noc-1, alive false, mine true; access-2: noc-2, alive true, mine false; ")
	if err := o.Release(within(t)); err != nil {
		t.Fatal(err)
	}
	await("access-1: noc-1, alive false, mine true; ")
	cancel()
	for range watch {
	}
}

// A record that is not written again expires.
func TestPutFor(t *testing.T) {
	s := embeddedStore(t)
	r := JSON[int](s, "confirmed")
	watch := r.Watch(within(t))
	receive(t, "nothing", watch)
	if err := r.PutFor(within(t), "noc-1", 1, 1); err != nil {
		t.Fatal(err)
	}
	if e := receive(t, "the record", watch); len(e) != 1 || e[0].Value != 1 {
		t.Errorf("%+v", e)
	}
	began := time.Now()
	if e := receive(t, "its end", watch); len(e) != 1 || !e[0].Deleted {
		t.Errorf("%+v after %v", e, time.Since(began))
	}
}
