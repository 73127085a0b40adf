package fleet

import (
	"errors"
	"math"
	"testing"

	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/store"
	"op25b/p4src"
)

// Another client becomes primary with a higher election id, pushes another pipeline and leaves. The owner returns with a higher id,
// repairs the switch and reports the repair (I7). The next owner has a higher id than both (I3).
func TestAnotherHandGoes(t *testing.T) {
	for _, low := range []uint64{1, math.MaxUint64} { // for the first id the same high word suffices; the second id requires the next high word
		x := startTestSwitch(t, 1, "127.0.0.1:0")
		s := embeddedStore(t)
		now := clockAt(allDestinations).now
		book := intent.NewBook(s, now)
		in := apply(t, book, documentsOf(t, x))
		cfg := Config{Name: "noc-1", Store: s, Book: book, Now: now}
		first := start(t, cfg)
		first.converged(x.name, in.Number)
		other := x.session(t, p4rt.ElectionID{High: math.MaxUint64 - 1, Low: low})
		if err := other.WaitPrimary(within(t)); err != nil {
			t.Fatal(err)
		}
		first.await("backup", func(all map[string]Status) bool { return all[x.name].State == StateBackup })
		if err := other.Push(within(t), p4src.P4Info(), p4src.DeviceConfig(), 7); err != nil {
			t.Fatal(err)
		}
		x.forget()
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		st := first.converged(x.name, in.Number)
		if st.Reason != ReasonDrift || len(st.Drift) != 1 {
			t.Errorf("after another pipeline: %+v", st)
		}
		high := uint64(math.MaxUint64 - 1)
		if low == math.MaxUint64 {
			high++
		}
		old := p4rt.ElectionID{High: high, Low: st.Epoch}
		if got := x.leader(); got.GetHigh() != old.High || got.GetLow() != old.Low {
			t.Errorf("written with election id %v, want %v", got, old)
		}
		first.end()

		x.forget()
		second := start(t, cfg)
		second.converged(x.name, in.Number)
		next := apply(t, book, replaced(documentsOf(t, x), "203.0.113.0/26", "203.0.113.0/27"))
		epoch := second.converged(x.name, next.Number).Epoch
		if got := x.leader(); got.GetHigh() != high || got.GetLow() != epoch || epoch <= old.Low {
			t.Errorf("the next owner wrote with election id %v, want %d/%d after %v", got, high, epoch, old)
		}
		second.end()
	}
}

// If the switch follows the highest possible id, this is reported, and nothing is written until the switch has restarted.
func TestNoHigherID(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	in := apply(t, book, documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: now})
	r.converged(x.name, in.Number)
	other := x.session(t, p4rt.ElectionID{High: math.MaxUint64, Low: math.MaxUint64})
	if err := other.WaitPrimary(within(t)); err != nil {
		t.Fatal(err)
	}
	x.forget()
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	r.await("failed", func(all map[string]Status) bool {
		st := all[x.name]
		return st.State == StateFailed && st.Reason == ReasonNoHigherElection &&
			st.Detail == "election id 18446744073709551615/18446744073709551615: no election id is higher: restart the switch"
	})
	if writes, pushes := x.forget(); len(writes)+pushes != 0 {
		t.Errorf("%d writes, %d pushes", len(writes), pushes)
	}
	x.stop()
	startTestSwitch(t, 1, x.addr)
	r.await("converged after the restart", func(all map[string]Status) bool {
		return all[x.name].State == StateConverged && all[x.name].Reason == ReasonDrift
	})
}

// A controller that has lost the ownership of the switch cannot raise the switch's rank.
func TestRankIsFenced(t *testing.T) {
	s := embeddedStore(t)
	own := must(s.TryOwn(within(t), switchKind, "edge-1", "noc-1"))(t)
	c := &controller{Config: Config{Store: s}, birth: 7}
	tm := newWorker(&assignment{c: c, name: "edge-1"}, own)
	tm.readRank(within(t))
	if want := (p4rt.ElectionID{High: 7, Low: own.Epoch()}); tm.id != want {
		t.Fatalf("election id %v, want %v", tm.id, want)
	}
	if err := own.Release(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := tm.rise(within(t), p4rt.ElectionID{High: 9}); !errors.Is(err, store.ErrLost) {
		t.Errorf("rise: %v, want ErrLost", err)
	}
}
