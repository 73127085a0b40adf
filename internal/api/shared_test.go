package api

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// countedSwitches is a Switches that counts its watches.
type countedSwitches struct {
	Switches
	begun, open int
	told        chan []*op25bv1.SwitchStatus
}

// Watch sends the statuses that the test sets.
func (c *countedSwitches) Watch(ctx context.Context) <-chan []*op25bv1.SwitchStatus {
	c.begun++
	c.open++
	out := make(chan []*op25bv1.SwitchStatus)
	go func() {
		defer close(out)
		for {
			select {
			case some, ok := <-c.told:
				if !ok {
					return
				}
				out <- some
			case <-ctx.Done():
				c.open--
				return
			}
		}
	}()
	return out
}

// Many watchers share one source. The source starts with the first watcher, ends with the last watcher, and sends
// the newest value to each.
func TestWatchersShareOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := func(revisions ...uint64) (all []*op25bv1.SwitchStatus) {
			for i, r := range revisions {
				all = append(all, &op25bv1.SwitchStatus{Switch: string(rune('a' + i)), Revision: r})
			}
			return all
		}
		counted := &countedSwitches{told: make(chan []*op25bv1.SwitchStatus)}
		s := newShared(counted)
		first, leaveFirst := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		a, b := s.Watch(first), s.Watch(second)
		counted.told <- of(1, 1)
		was := <-a
		if got := <-b; &got[0] != &was[0] {
			t.Error("two watchers have two copies")
		}
		counted.told <- of(1, 2)
		counted.told <- of(1, 3) // b receives nothing between the two values
		if got := <-a; got[0] != was[0] || got[1].Revision < 2 {
			t.Errorf("%v", got)
		}
		synctest.Wait()
		if got := <-b; got[1].Revision != 3 || got[0] != was[0] {
			t.Errorf("%v, want the newest, and what is as before to be the same", got)
		}
		leaveFirst()
		synctest.Wait()
		if counted.begun != 1 || counted.open != 1 {
			t.Errorf("%d sources were begun, and %d are open", counted.begun, counted.open)
		}
		c := s.Watch(second)
		if got := <-c; got[1].Revision != 3 {
			t.Errorf("one who comes later: %v", got)
		}
		leaveSecond()
		synctest.Wait()
		if counted.open != 0 {
			t.Error("nobody watches, and the source is open")
		}
		d := s.Watch(t.Context())
		close(counted.told) // ends the watch, as when the store is closed
		for range d {
			t.Error("there is nothing to be told")
		}
		if counted.begun != 2 {
			t.Errorf("%d sources", counted.begun)
		}
	})
}

// TestWatcherMissesNothing verifies that a watcher receives a value that is reported just after it received the
// previous value.
func TestWatcherMissesNothing(t *testing.T) {
	values := make(chan int)
	f := fan[int]{watch: func(context.Context) <-chan int { return values }}
	watched := f.Watch(t.Context())
	for i := range 20_000 {
		values <- i
		for got := range watched {
			if got == i {
				break
			}
		}
	}
	close(values)
	for range watched {
	}
}

// The statuses of an inventory are computed once for all watchers.
func TestJoinedOnce(t *testing.T) {
	var j joined
	some := []*op25bv1.SwitchStatus{{Switch: "a", Revision: 1}, {Switch: "b", Revision: 1}}
	was, _ := j.of(nil, some, time.Time{})
	if again, _ := j.of(nil, some, time.Time{}); &again[0] != &was[0] {
		t.Error("the same statuses were worked out twice")
	}
	news, _ := j.of(nil, []*op25bv1.SwitchStatus{proto.CloneOf(some[0]), {Switch: "b", Revision: 2}}, time.Time{})
	if news[0] != was[0] || news[1] == was[1] || news[1].Revision != 2 {
		t.Errorf("%v", news)
	}
}

// same compares statuses that watchers share, and must not modify them.
func TestSameChangesNothing(t *testing.T) {
	early, late := &op25bv1.SwitchStatus{Switch: "a", Seen: timestamppb.New(time.Unix(1, 0))}, &op25bv1.SwitchStatus{Switch: "a", Seen: timestamppb.New(time.Unix(2, 0))}
	var watchers sync.WaitGroup
	for range 4 { // the race detector reports a modification
		watchers.Go(func() {
			if !same(early, late) || same(early, nil) || same(nil, late) || !same(nil, nil) {
				t.Error("only the time at which the switch was seen differs")
			}
		})
	}
	watchers.Wait()
	if late.Seen.Seconds != 2 {
		t.Error("a status was changed")
	}
}
