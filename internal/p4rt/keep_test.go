package p4rt

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// A diary records the statuses that Keep reports.
type diary struct {
	mu    sync.Mutex // guards notes
	notes []SessionStatus
}

func (d *diary) note(st SessionStatus) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, st)
}

func (d *diary) all() []SessionStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.notes)
}

type step struct {
	State  State
	Reason StateReason
}

func (d *diary) steps() []step {
	var steps []step
	for _, st := range d.all() {
		if s := (step{st.State, st.Reason}); len(steps) == 0 || steps[len(steps)-1] != s {
			steps = append(steps, s)
		}
	}
	return steps
}

// kept runs Keep in the background of a synctest bubble. stop ends Keep and returns its result.
func kept(ctx context.Context, cfg KeepConfig, fn func(context.Context, *Session) error) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan error, 1)
	go func() { result <- Keep(ctx, cfg, fn) }()
	return func() error {
		cancel()
		return <-result
	}
}

// untilLost returns a function for Keep that works until its context is cancelled, and then sends the cause to
// causes.
func untilLost(causes chan<- error) func(context.Context, *Session) error {
	return func(ctx context.Context, _ *Session) error {
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil
	}
}

// When the stream is cut, the work's context is cancelled with the reason, Keep makes a new session, and the work
// starts again.
func TestKeepComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		var d diary
		causes := make(chan error, 1)
		end := kept(t.Context(), KeepConfig{Config: cfg, OnStatus: d.note}, untilLost(causes))
		for range 3 {
			stream := <-fake.streams
			synctest.Wait() // wait until the work runs
			stream.end <- grpcstatus.Error(codes.Unavailable, "cut")
			if cause := <-causes; !errors.Is(cause, ErrStreamLost) {
				t.Errorf("cause %v, want ErrStreamLost", cause)
			}
		}
		<-fake.streams
		synctest.Wait()
		if err := end(); !errors.Is(err, context.Canceled) {
			t.Errorf("Keep returned %v, want the context's error", err)
		}
		if cause := <-causes; !errors.Is(cause, context.Canceled) {
			t.Errorf("last cause %v, want the context's", cause)
		}
		want := []step{{Connecting, ReasonDialing}}
		for range 3 {
			want = append(want, step{Primary, ReasonElected}, step{Disconnected, ReasonStreamLost})
		}
		want = append(want, step{Primary, ReasonElected}, step{Disconnected, ReasonClosed})
		if got := d.steps(); !slices.Equal(got, want) {
			t.Errorf("steps\n%v\nwant\n%v", got, want)
		}
	})
}

// While the switch is unreachable, the pauses grow to the maximum. Each is at least half of its upper limit. The
// status keeps the time since which the switch has been unreachable.
func TestKeepBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials []time.Time
		fake := &fakeSwitch{arbitrate: func(*fakeStream, *p4v1.MasterArbitrationUpdate) error {
			dials = append(dials, time.Now())
			return grpcstatus.Error(codes.InvalidArgument, "Election id already exists")
		}}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		var d diary
		began := time.Now()
		end := kept(t.Context(), KeepConfig{
			Config: cfg, OnStatus: d.note, Backoff: Backoff{Min: time.Second, Max: 8 * time.Second},
		}, func(context.Context, *Session) error { return errors.New("never primary") })
		time.Sleep(2 * time.Minute) // virtual
		if err := end(); !errors.Is(err, context.Canceled) {
			t.Errorf("Keep returned %v", err)
		}
		for i, full := range []time.Duration{1, 2, 4, 8, 8, 8, 8} {
			full *= time.Second
			if pause := dials[i+1].Sub(dials[i]); pause < full/2 || pause > full {
				t.Errorf("pause %d: %v, want %v to %v", i, pause, full/2, full)
			}
		}
		want := []step{{Connecting, ReasonDialing}, {Disconnected, ReasonRefused}, {Disconnected, ReasonClosed}}
		if got := d.steps(); !slices.Equal(got, want) {
			t.Errorf("steps %v, want %v", got, want)
		}
		for _, st := range d.all()[1:] {
			if !st.Since.Equal(began) {
				t.Errorf("%v, want since %v", st, began)
			}
		}
	})
}

// A dial that hangs for a long time does not count as a session that has lasted, so the pauses grow.
func TestKeepBacksOffFromHangingDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := make(chan time.Time, 100)
		fake := &fakeSwitch{arbitrate: func(s *fakeStream, _ *p4v1.MasterArbitrationUpdate) error {
			dials <- time.Now()
			<-s.Context().Done()
			return nil
		}}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		cfg.DialTimeout = time.Minute
		end := kept(t.Context(), KeepConfig{
			Config: cfg, Backoff: Backoff{Min: time.Second, Max: 8 * time.Second},
		}, func(context.Context, *Session) error { return errors.New("never primary") })
		time.Sleep(10 * time.Minute) // virtual
		_ = end()
		last := <-dials
		for i, full := range []time.Duration{1, 2, 4, 8, 8, 8} {
			full *= time.Second
			next := <-dials
			pause := next.Sub(last) - time.Minute
			if last = next; pause < full/2 || pause > full {
				t.Errorf("pause %d: %v, want %v to %v", i, pause, full/2, full)
			}
		}
	})
}

// A session that has lasted long enough resets the number of failures, so that the switch is dialed again soon.
func TestKeepForgetsOldFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials []time.Time
		fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
		fake.arbitrate = func(s *fakeStream, _ *p4v1.MasterArbitrationUpdate) error {
			if dials = append(dials, time.Now()); len(dials) <= 5 {
				return grpcstatus.Error(codes.InvalidArgument, "Election id already exists")
			}
			s.arbitration(codes.OK, testElection)
			return nil
		}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		causes := make(chan error, 2)
		end := kept(t.Context(), KeepConfig{
			Config: cfg, Backoff: Backoff{Min: time.Second, Max: time.Minute},
		}, untilLost(causes))
		stream := <-fake.streams
		time.Sleep(time.Minute) // virtual
		cut := time.Now()
		stream.end <- nil
		<-fake.streams
		if pause := time.Since(cut); pause > time.Second {
			t.Errorf("dialed again after %v, want at most 1 s", pause)
		}
		synctest.Wait()
		_ = end()
	})
}

// If another controller takes the switch over, the work's context is cancelled, and Keep becomes its backup. Keep
// stays a backup even if the switch would promote it again afterwards, as bmv2 does.
func TestKeepStaysBackupOnceOutranked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		var d diary
		causes := make(chan error, 1)
		end := kept(t.Context(), KeepConfig{Config: cfg, OnStatus: d.note}, untilLost(causes))
		stream := <-fake.streams
		synctest.Wait()
		stream.arbitration(codes.AlreadyExists, ElectionID{Low: 43})
		if cause := <-causes; !errors.Is(cause, ErrNotPrimary) {
			t.Errorf("cause %v, want ErrNotPrimary", cause)
		}
		<-fake.streams // the new session, which the fake switch immediately reports as primary
		synctest.Wait()
		if err := end(); !errors.Is(err, context.Canceled) {
			t.Errorf("Keep returned %v", err)
		}
		want := []step{
			{Connecting, ReasonDialing},
			{Primary, ReasonElected},
			{Backup, ReasonDemoted},
			{Disconnected, ReasonDemoted},
			{Backup, ReasonOutranked},
			{Disconnected, ReasonClosed},
		}
		if got := d.steps(); !slices.Equal(got, want) {
			t.Errorf("steps\n%v\nwant\n%v", got, want)
		}
	})
}

// A backup waits as long as necessary, and starts to work when it becomes primary.
func TestKeepBackupIsPromoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeSwitch{streams: make(chan *fakeStream, 1), arbitrate: answers(codes.AlreadyExists, ElectionID{Low: 41})}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		working := make(chan bool, 1)
		end := kept(t.Context(), KeepConfig{Config: cfg}, func(ctx context.Context, s *Session) error {
			working <- s.Primary()
			<-ctx.Done()
			return nil
		})
		stream := <-fake.streams
		time.Sleep(time.Hour) // virtual
		select {
		case <-working:
			t.Error("a backup works")
		default:
		}
		stream.arbitration(codes.OK, testElection)
		if !<-working {
			t.Error("the work began without primacy")
		}
		_ = end()
	})
}

// If a switch keeps its stream open but does not answer requests, two consecutive missed probes end the session. A
// single missed probe does not.
func TestKeepFindsHungSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probes := make(chan time.Duration, 10)
		began := time.Now()
		fake := &fakeSwitch{streams: make(chan *fakeStream, 2), alive: func(ctx context.Context) error {
			at := time.Since(began)
			probes <- at
			if at != 20*time.Second { // all probes except the second hang
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		causes := make(chan error, 2)
		end := kept(t.Context(), KeepConfig{Config: cfg}, untilLost(causes))
		cause := <-causes
		if !errors.Is(cause, ErrUnreachable) {
			t.Errorf("cause %v, want ErrUnreachable", cause)
		}
		// The probes at 10 s and 30 s are missed, the probe at 20 s is answered, and the probe at 40 s is missed
		// after 5 s.
		if took := time.Since(began); took != 45*time.Second || len(probes) != 4 {
			t.Errorf("found after %v and %d probes, want 45 s and 4", took, len(probes))
		}
		<-fake.streams
		<-fake.streams // the new session
		synctest.Wait()
		_ = end()
	})
}

// While the session is primary, the result of the work determines whether Keep returns or dials again.
func TestKeepWorkReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeSwitch{}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		var d diary
		calls := 0
		err := Keep(t.Context(), KeepConfig{Config: cfg, OnStatus: d.note}, func(ctx context.Context, s *Session) error {
			if calls++; calls == 1 {
				return errors.New("the first time fails")
			}
			return s.Write(ctx, inserts(1))
		})
		if err != nil || calls != 2 {
			t.Errorf("Keep returned %v after %d calls, want nil after 2", err, calls)
		}
		want := []step{
			{Connecting, ReasonDialing},
			{Primary, ReasonElected},
			{Disconnected, ReasonFailed},
			{Primary, ReasonElected},
			{Disconnected, ReasonClosed},
		}
		if got := d.steps(); !slices.Equal(got, want) {
			t.Errorf("steps\n%v\nwant\n%v", got, want)
		}
	})
}

func TestKeepConfig(t *testing.T) {
	good := Config{Addr: "127.0.0.1:1", ElectionID: testElection}
	for name, cfg := range map[string]KeepConfig{
		"address":        {Config: Config{ElectionID: testElection}},
		"election id":    {Config: Config{Addr: "127.0.0.1:1"}},
		"backoff":        {Config: good, Backoff: Backoff{Min: 2, Max: 1}},
		"negative":       {Config: good, Backoff: Backoff{Min: -1}},
		"probe interval": {Config: good, ProbeInterval: -1},
	} {
		if err := Keep(t.Context(), cfg, nil); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
}

func TestStatusString(t *testing.T) {
	since := time.Date(2006, 10, 1, 3, 0, 0, 0, time.UTC)
	for want, st := range map[string]SessionStatus{
		"primary since 2006-10-01T03:00:00Z: highest election id":                            {State: Primary, Reason: ReasonElected, Since: since, Leader: ElectionID{Low: 1}},
		"backup since 2006-10-01T03:00:00Z: another controller is primary (election id 1/2)": {State: Backup, Reason: ReasonOtherHigher, Since: since, Leader: ElectionID{1, 2}},
		"disconnected since 2006-10-01T03:00:00Z: stream lost (gone)":                        {Reason: ReasonStreamLost, Since: since, Err: errors.New("gone")},
	} {
		if got := st.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := State(9).String(); got != "State(9)" {
		t.Errorf("%q", got)
	}
}
