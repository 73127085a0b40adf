package telemetry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/openconfig"
)

// follow streams until the test ends it, and passes on the updates one by one.
func follow(t *testing.T, c *Client, interval time.Duration) (updates <-chan Update, end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, done := make(chan Update), make(chan error, 1)
	go func() {
		done <- c.Stream(ctx, interval, func(u Update) {
			select {
			case out <- u:
			case <-ctx.Done():
			}
		})
	}()
	return out, func() error { cancel(); return <-done }
}

func wantState(t *testing.T, u Update, want State) {
	t.Helper()
	if u.State != want || u.Stale() != (want != Synced) {
		t.Fatalf("state %v (stale %v, error %v), want %v", u.State, u.Stale(), u.Err, want)
	}
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := func(n uint64) openconfig.ACLEntry { return openconfig.ACLEntry{SequenceID: 3, MatchedPackets: n} }
		src := newSource(port("a", 1, 1, rule(1)), port("b", 2, 10))
		p := &place{}
		stop := p.serve(newServer(t, src))
		c := p.client(t, Options{})
		updates, end := follow(t, c, 5*time.Second)
		start := time.Now()
		wantState(t, <-updates, Connecting)
		u := <-updates
		wantState(t, u, Connected)
		if u.Snapshot != nil {
			t.Errorf("values before the first sync: %v", u.Snapshot)
		}
		u = <-updates
		wantState(t, u, Synced)
		first := u.Snapshot
		if e, _ := first.Interfaces["a"].Entry("op25b", 3); e.Packets.Value != 1 || first.Interfaces["b"].Counters.InPkts.Value != 10 {
			t.Fatalf("first sync: %v", first.Interfaces)
		}

		// The next sample has new values, and does not change the earlier snapshot.
		src.set(port("a", 1, 2, rule(4)), port("b", 2, 20))
		u = <-updates
		wantState(t, u, Synced)
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("sampled after %v, want 5s", got)
		}
		if e, _ := u.Snapshot.Interfaces["a"].Entry("op25b", 3); e.Packets.Value != 4 || u.Snapshot.Interfaces["a"].Counters.InPkts.Value != 2 {
			t.Errorf("sample: %v", u.Snapshot.Interfaces["a"])
		}
		if e, _ := first.Interfaces["a"].Entry("op25b", 3); e.Packets.Value != 1 || first.Interfaces["a"].Counters.InPkts.Value != 1 {
			t.Errorf("the first snapshot has changed: %v", first.Interfaces["a"])
		}

		// The target stops: its values stay, and grow old.
		stop()
		u = <-updates
		wantState(t, u, Waiting)
		if u.Err == nil || !u.Retry.After(u.Since) {
			t.Errorf("waiting without a reason or a time: %+v", u)
		}
		time.Sleep(time.Minute)
		if age := u.Snapshot.Interfaces["a"].Counters.InPkts.Age(time.Now()); age != time.Minute {
			t.Errorf("age %v after a minute", age)
		}

		// It comes back with one interface less. Until the sync the old values are the last known ones.
		src.set(port("a", 1, 7))
		stop = p.serve(newServer(t, src))
		for u.State != Connected {
			u = <-updates
		}
		if u.Snapshot.Interfaces["b"] == nil || !u.Stale() {
			t.Errorf("connected, not synced: %+v", u)
		}
		u = <-updates
		wantState(t, u, Synced)
		if in := u.Snapshot.Interfaces; len(in) != 1 || in["a"].Counters.InPkts.Value != 7 || len(in["a"].ACL) != 0 {
			t.Errorf("after the outage: %v", in)
		}
		if err := end(); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		stop()
	})
}

func TestStreamSeesDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(port("a", 1, 1), port("b", 2, 10))
		p := &place{}
		stop := p.serve(newServer(t, src))
		updates, end := follow(t, p.client(t, Options{}), time.Second)
		for (<-updates).State != Synced {
		}
		src.set(port("a", 1, 1))
		for u := range updates {
			if u.Snapshot.Interfaces["b"] == nil {
				wantState(t, u, Synced)
				break
			}
		}
		_ = end()
		stop()
	})
}

// The pauses double from the shortest to the longest, less up to a fifth.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		updates, end := follow(t, (&place{}).client(t, Options{}), time.Second)
		want := DefaultMinBackoff
		for range 9 {
			wantState(t, <-updates, Connecting)
			u := <-updates
			wantState(t, u, Waiting)
			if status.Code(u.Err) != codes.Unavailable || u.Snapshot != nil {
				t.Errorf("error %v, snapshot %v", u.Err, u.Snapshot)
			}
			if wait := u.Retry.Sub(u.Since); wait > want || wait < want*4/5 {
				t.Errorf("waits %v, want %v less up to a fifth", wait, want)
			}
			want = min(2*want, DefaultMaxBackoff)
		}
		_ = end()
	})
}

// A subscription that has silently died is made again. A target without an interface may be silent, and is probed.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		f := &foreign{encodings: []gpb.Encoding{gpb.Encoding_PROTO}}
		f.answer = func(_ *gpb.SubscriptionList, stream gpb.GNMI_SubscribeServer) error {
			asked++
			var err error
			if asked == 2 {
				err = stream.Send(note(&gpb.Notification{Update: []*gpb.Update{{
					Path: mustPath(t, "/interfaces/interface[name=a]/state/counters/in-pkts"),
					Val:  &gpb.TypedValue{Value: &gpb.TypedValue_UintVal{UintVal: 1}},
				}}}))
			}
			if err == nil {
				err = stream.Send(synced())
			}
			<-stream.Context().Done()
			return err
		}
		p := &place{}
		stop := p.serve(f)
		updates, end := follow(t, p.client(t, Options{}), time.Second)
		wantState(t, <-updates, Connecting)
		wantState(t, <-updates, Connected)
		wantState(t, <-updates, Synced)
		select { // nothing is due, and the target answers when asked
		case u := <-updates:
			t.Fatalf("%v: %v", u.State, u.Err)
		case <-time.After(10 * DefaultSilence):
		}
		stop()
		u := <-updates
		wantState(t, u, Waiting)

		stop = p.serve(f)
		for u.State != Synced {
			u = <-updates
		}
		start := time.Now()
		u = <-updates
		wantState(t, u, Waiting)
		if !errors.Is(u.Err, ErrSilent) || time.Since(start) != DefaultSilence {
			t.Errorf("after %v: %v; want ErrSilent after %v", time.Since(start), u.Err, DefaultSilence)
		}
		if u.Snapshot.Interfaces["a"].Counters.InPkts.Value != 1 {
			t.Errorf("the stale values are gone: %v", u.Snapshot)
		}
		_ = end()
		stop()
	})
}

// A target that refuses ON_CHANGE gets a subscription to samples of everything.
func TestSampleOnlyTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &foreign{encodings: []gpb.Encoding{gpb.Encoding_PROTO}, models: []string{"openconfig-interfaces"}}
		f.answer = func(list *gpb.SubscriptionList, stream gpb.GNMI_SubscribeServer) error {
			for _, s := range list.GetSubscription() {
				if s.GetPath().GetElem()[0].GetName() != "interfaces" {
					t.Errorf("asked for %v, which is not in its models", s.GetPath())
				}
				if s.GetMode() != gpb.SubscriptionMode_SAMPLE {
					return status.Error(codes.InvalidArgument, "SAMPLE only")
				}
			}
			if err := stream.Send(synced()); err != nil {
				return err
			}
			<-stream.Context().Done()
			return nil
		}
		p := &place{}
		stop := p.serve(f)
		updates, end := follow(t, p.client(t, Options{}), time.Second)
		for _, want := range []State{Connecting, Connected, Waiting, Connecting, Connected, Synced} {
			wantState(t, <-updates, want)
		}
		_ = end()
		stop()
	})
}

func TestStreamRefusesItsInterval(t *testing.T) {
	c := (&place{}).client(t, Options{})
	if err := c.Stream(t.Context(), 0, func(Update) { t.Error("called") }); !errors.Is(err, ErrInterval) {
		t.Errorf("got %v", err)
	}
}
