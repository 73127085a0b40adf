package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"op25b/internal/openconfig"
)

// collecting runs a collector until the test ends. Each target has the name of a place, at which its server runs.
type collecting struct {
	*Collector
	t   *testing.T
	end func()
}

func collect(t *testing.T, interval time.Duration, p *place) *collecting {
	t.Helper()
	c, err := New(Config{Interval: interval, DialOptions: []grpc.DialOption{p.dial()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	return &collecting{Collector: c, t: t, end: func() { cancel(); <-done }}
}

func edge(name string) Target { return Target{Switch: name, Addr: "passthrough:///" + name} }

// until waits for changes of the target until the condition is met, and returns the reading.
func (c *collecting) until(name string, condition func(*Reading, Status) bool) (*Reading, Status) {
	c.t.Helper()
	changed := make(chan struct{}, 1)
	stop := func() {}
	for ok := false; !ok; {
		if stop, ok = c.Watch(name, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}); !ok {
			time.Sleep(time.Millisecond) // on the fake clock; Set takes effect in Run
		}
	}
	defer stop()
	for range changed {
		if r, st, ok := c.Read(name); ok && condition(r, st) {
			return r, st
		}
	}
	return nil, Status{}
}

func in(states ...State) func(*Reading, Status) bool {
	return func(_ *Reading, st Status) bool { return slices.Contains(states, st.State) }
}

func failed(_ *Reading, st Status) bool { return st.State == Disconnected && st.Err != nil }

func TestCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := func(n uint64) openconfig.ACLEntry { return openconfig.ACLEntry{SequenceID: 3, MatchedPackets: n} }
		src := newSource(linkOf("a", 1, 1, rule(1)), linkOf("b", 2, 10))
		p := &place{}
		stop := p.serve(newServer(t, src))
		c := collect(t, 5*time.Second, p)
		c.Set([]Target{edge("edge-1")})
		r, _ := c.until("edge-1", in(Synced))
		if e, _ := r.Interface("a").Entry("op25b", 3); e.Packets != 1 || r.Interface("b").Counters[InPkts] != 10 || r.Interface("b").Oper != "UP" {
			t.Fatalf("first sync: %+v", r)
		}

		// The next sample has new values, and does not change the earlier reading.
		src.set(linkOf("a", 1, 2, rule(4)), linkOf("b", 2, 20))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		now, st, _ := c.Read("edge-1")
		if e, _ := now.Interface("a").Entry("op25b", 3); e.Packets != 4 || now.Interface("a").Counters[InPkts] != 2 || st.State != Synced {
			t.Errorf("sample: %+v, %+v", now.Interface("a"), st)
		}
		if e, _ := r.Interface("a").Entry("op25b", 3); e.Packets != 1 {
			t.Errorf("the first reading has changed: %+v", r)
		}

		// The target stops. Its values are kept and become older.
		stop()
		r, st = c.until("edge-1", in(Disconnected))
		if st.Err == nil || !st.Retry.After(st.Since) || st.Reason == ReasonNone || r.Interface("a").Counters[InPkts] != 2 {
			t.Errorf("disconnected without a reason, a time or values: %+v, %+v", st, r)
		}

		// The target comes back with one interface less. It counted during the outage.
		src.set(linkOf("a", 1, 7))
		stop = p.serve(newServer(t, src))
		r, _ = c.until("edge-1", in(Synced))
		if len(r.Interfaces) != 1 || r.Interface("a").Counters[InPkts] != 7 {
			t.Errorf("after the outage: %+v", r.Interfaces)
		}
		c.end()
		stop()
	})
}

// TestCollectorSeesDeletes verifies that an interface that is removed leaves the reading at once.
func TestCollectorSeesDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(linkOf("a", 1, 1), linkOf("b", 2, 10))
		p := &place{}
		stop := p.serve(newServer(t, src))
		c := collect(t, time.Second, p)
		c.Set([]Target{edge("edge-1")})
		c.until("edge-1", in(Synced))
		src.set(linkOf("a", 1, 1))
		c.until("edge-1", func(r *Reading, st Status) bool { return r.Interface("b") == nil && st.State == Synced })
		c.end()
		stop()
	})
}

// TestCollectorFollowsItsTargets verifies that the values and the session of a removed target vanish, while the sessions of the other
// targets continue. A target whose address changes keeps its totals.
func TestCollectorFollowsItsTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(linkOf("a", 1, 5))
		p := &place{}
		stop := p.serve(newServer(t, src))
		c := collect(t, time.Second, p)
		if _, _, there := c.Read("edge-1"); there || len(c.Statuses()) != 0 {
			t.Error("targets before Set")
		}
		c.Set([]Target{edge("edge-1"), edge("edge-2")})
		c.until("edge-1", in(Synced))
		_, kept := c.until("edge-2", in(Synced))
		c.Set([]Target{edge("edge-2")})
		synctest.Wait()
		if _, _, there := c.Read("edge-1"); there {
			t.Error("edge-1 is still a target")
		}
		if _, st, _ := c.Read("edge-2"); !st.Since.Equal(kept.Since) || st.State != Synced {
			t.Errorf("edge-2 was disturbed: %+v, before %+v", st, kept)
		}
		src.set(linkOf("a", 1, 3)) // another switch, which has its own counters
		c.Set([]Target{{Switch: "edge-2", Addr: "passthrough:///elsewhere"}})
		r, _ := c.until("edge-2", func(_ *Reading, st Status) bool { return st.State == Synced && strings.HasSuffix(st.Addr, "elsewhere") })
		if n := r.Interface("a").Counters[InPkts]; n != 5 {
			t.Errorf("%d frames after the address changed, want the 5 before: a smaller value adds nothing", n)
		}
		c.end()
		stop()
	})
}

// TestBackoff verifies that the pauses double from the shortest to the longest, and are shortened by up to a fifth.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := collect(t, time.Second, &place{})
		c.Set([]Target{edge("edge-1")})
		want := DefaultMinBackoff
		last := time.Now()
		for range 9 {
			_, st := c.until("edge-1", func(r *Reading, st Status) bool {
				return failed(r, st) && (st.Since.After(last) || want == DefaultMinBackoff)
			})
			last = st.Since
			if status.Code(st.Err) != codes.Unavailable || st.Reason != ReasonUnreachable || !st.Updated.IsZero() {
				t.Errorf("%+v", st)
			}
			if wait := st.Retry.Sub(st.Since); wait > want || wait < want*4/5 {
				t.Errorf("waits %v, want %v less up to a fifth", wait, want)
			}
			want = min(2*want, DefaultMaxBackoff)
		}
		c.end()
	})
}

// TestSilence verifies that a subscription that dies silently becomes stale and is then replaced. A target without an interface may be
// silent, and is probed.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		f := &foreign{encodings: []gpb.Encoding{gpb.Encoding_PROTO}}
		f.answer = func(_ *gpb.SubscriptionList, stream gpb.GNMI_SubscribeServer) error {
			calls++
			var err error
			if calls == 2 {
				err = stream.Send(note(&gpb.Notification{Update: []*gpb.Update{{
					Path: mustPath(t, "/interfaces/interface[name=a]/state/counters/in-pkts"), Val: number(1),
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
		c := collect(t, 10*time.Second, p)
		c.Set([]Target{edge("edge-1")})
		_, first := c.until("edge-1", in(Synced))
		time.Sleep(10 * DefaultSilence) // nothing is due, and the target answers when it is probed
		synctest.Wait()
		if _, st, _ := c.Read("edge-1"); st.State != Synced || !st.Since.Equal(first.Since) {
			t.Fatalf("%+v", st)
		}
		stop()
		c.until("edge-1", in(Disconnected))

		stop = p.serve(f)
		_, st := c.until("edge-1", in(Synced))
		start := st.Since
		time.Sleep(26 * time.Second)
		if _, st, _ = c.Read("edge-1"); st.State != Stale || st.Reason != ReasonSilent || !st.Since.Equal(start.Add(25*time.Second)) {
			t.Errorf("two samples are overdue: %+v", st)
		}
		r, st := c.until("edge-1", in(Disconnected))
		if !errors.Is(st.Err, ErrSilent) || st.Reason != ReasonSilent || st.Since.Sub(start) != DefaultSilence {
			t.Errorf("after %v: %v; want ErrSilent after %v", st.Since.Sub(start), st.Err, DefaultSilence)
		}
		if r.Interface("a").Counters[InPkts] != 1 {
			t.Errorf("the stale values are gone: %+v", r)
		}
		c.end()
		stop()
	})
}

// TestSampleOnlyTarget verifies that a target that refuses ON_CHANGE gets a subscription that samples everything. The subscription
// contains only the models that the target has.
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
		c := collect(t, time.Second, p)
		c.Set([]Target{edge("edge-1")})
		c.until("edge-1", in(Synced))
		c.end()
		stop()
	})
}

// TestReasons verifies the reason for each way in which a target can fail.
func TestReasons(t *testing.T) {
	proto := []gpb.Encoding{gpb.Encoding_PROTO}
	for want, f := range map[Reason]*foreign{
		ReasonUnsupported: {encodings: []gpb.Encoding{gpb.Encoding_ASCII}},
		ReasonEnded:       {encodings: proto, answer: func(*gpb.SubscriptionList, gpb.GNMI_SubscribeServer) error { return nil }},
		ReasonRefused: {encodings: proto, answer: func(*gpb.SubscriptionList, gpb.GNMI_SubscribeServer) error {
			return status.Error(codes.PermissionDenied, "no")
		}},
		ReasonInvalid: {encodings: proto, answer: func(_ *gpb.SubscriptionList, stream gpb.GNMI_SubscribeServer) error {
			deep := &gpb.Path{}
			for range maxElems + 1 {
				deep.Elem = append(deep.Elem, &gpb.PathElem{Name: "x"})
			}
			return stream.Send(note(&gpb.Notification{Prefix: deep}))
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &place{}
			stop := p.serve(f)
			c := collect(t, time.Second, p)
			c.Set([]Target{edge("edge-1")})
			if _, st := c.until("edge-1", failed); st.Reason != want || st.Err == nil {
				t.Errorf("reason %v (%v), want %v", st.Reason, st.Err, want)
			}
			c.end()
			stop()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c := collect(t, time.Second, &place{})
		target := edge("edge-1")
		target.Credentials = func() (credentials.TransportCredentials, error) { return nil, errors.New("no such file") }
		c.Set([]Target{target})
		if _, st := c.until("edge-1", failed); st.Reason != ReasonTLS {
			t.Errorf("reason %v (%v), want tls", st.Reason, st.Err)
		}
		c.end()
	})
}

func TestNamesOfStatesAndReasons(t *testing.T) {
	if len(stateNames) != int(Stale)+1 || len(reasonNames) != int(ReasonTLS)+1 {
		t.Errorf("%d states and %d reasons have names", len(stateNames)-1, len(reasonNames)-1)
	}
	for i, name := range slices.Concat(stateNames[1:], reasonNames[1:]) {
		if name == "" {
			t.Errorf("name %d is empty", i)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for want, cfg := range map[string]Config{
		"invalid collector configuration: Interval is -1s: it must be > 0, or 0 for 10s": {Interval: -time.Second},
		"invalid collector configuration: backoff from 5s to 1s: must not fall":          {MinBackoff: 5 * time.Second, MaxBackoff: time.Second},
	} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestTargetsAreSpread verifies that a thousand targets that are added together are spread over the interval.
func TestTargetsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := collect(t, 10*time.Second, &place{})
		var all []Target
		for i := range 1000 {
			all = append(all, edge(fmt.Sprint("edge-", i)))
		}
		c.Set(all)
		synctest.Wait()
		var first, last time.Time
		for _, st := range c.Statuses() {
			if first.IsZero() || st.Retry.Before(first) {
				first = st.Retry
			}
			if st.Retry.After(last) {
				last = st.Retry
			}
		}
		if d := last.Sub(first); d < 9*time.Second || d > 10*time.Second {
			t.Errorf("the first attempts lie within %v, want about 10s", d)
		}
		c.end()
	})
}
