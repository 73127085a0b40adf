package telemetry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A State is the state of a stream.
type State int

// The states of a stream.
const (
	Connecting State = iota // the target's capabilities are requested
	Connected               // the target sends its first values; the snapshot is still that of the previous session
	Synced                  // all values were received once, and updates follow
	Waiting                 // the session has failed, and the next attempt is scheduled
)

func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Synced:
		return "synced"
	case Waiting:
		return "waiting"
	default:
		return fmt.Sprintf("State(%d)", int(s))
	}
}

// An Update is the state of a stream after a change.
type Update struct {
	State State
	Since time.Time // start of the state
	Err   error     // error that ended the session, while Waiting
	Retry time.Time // time of the next attempt, while Waiting
	// Snapshot holds the last known values, nil before the first sync. In any state but Synced they are stale; Counter.Age returns their
	// age. Values that are missing after a reconnect are removed at the next sync.
	Snapshot *Snapshot
}

// Stale reports whether the snapshot is not being updated.
func (u Update) Stale() bool { return u.State != Synced }

// Stream subscribes to the target until ctx ends, and then returns ctx's error. It samples the counters at the interval, subscribes to
// changes of state, and reconnects after every failure. It returns ErrInterval if interval is not positive.
//
// update is called at each change of state and for each message after the sync, one call at a time. While update runs, nothing is read from
// the target, which should then skip samples.
func (c *Client) Stream(ctx context.Context, interval time.Duration, update func(Update)) error {
	if interval <= 0 {
		return fmt.Errorf("%w %v: it must be > 0", ErrInterval, interval)
	}
	s := &session{c: c, interval: interval, tell: update}
	backoff := c.opts.MinBackoff
	for {
		err := s.run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.state == Synced {
			backoff = c.opts.MinBackoff
		}
		wait := jittered(backoff)
		backoff = min(2*backoff, c.opts.MaxBackoff)
		c.log.Warn("gNMI stream failed", zap.Error(err), zap.Duration("retry_in", wait))
		s.enter(Waiting, err, wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// jittered shortens a pause by up to a fifth, so that the streams of a fleet that failed together do not reconnect together.
func jittered(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/5+1))
}

// A session is the state of a stream. run makes one attempt to connect, and is called again after a failure.
type session struct {
	c        *Client
	interval time.Duration
	tell     func(Update)
	state    State
	since    time.Time
	last     *Snapshot // snapshot of the present attempt once it is synced; until then, of an earlier attempt
}

func (s *session) enter(state State, err error, wait time.Duration) {
	s.state, s.since = state, s.c.opts.Now()
	u := Update{State: state, Since: s.since, Err: err, Snapshot: s.last}
	if state == Waiting {
		u.Retry = s.since.Add(wait)
	}
	s.tell(u)
}

// run connects, subscribes and processes messages until there is an error.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.enter(Connecting, nil, 0)
	o, err := s.c.ask(ctx)
	if err != nil {
		return err
	}
	s.enter(Connected, nil, 0)
	stream, err := s.c.subscribe(ctx, s.list(o))
	if err != nil {
		return err
	}
	messages := make(chan *gpb.SubscribeResponse)
	failed := make(chan error, 1)
	done := make(chan struct{})
	defer func() {
		cancel()
		<-done
	}()
	go func() {
		defer close(done)
		for {
			res, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case messages <- res:
			case <-ctx.Done():
				return
			}
		}
	}()
	return s.follow(ctx, messages, failed)
}

// follow processes the messages of one subscription.
func (s *session) follow(ctx context.Context, messages <-chan *gpb.SubscribeResponse, failed <-chan error) error {
	quiet := max(3*s.interval, s.c.opts.Silence)
	silence := time.NewTimer(quiet)
	defer silence.Stop()
	m := newModel()
	for {
		select {
		case err := <-failed:
			s.learn(err)
			return fmt.Errorf("gNMI target %s: stream: %w", s.c.addr, err)
		case <-silence.C:
			if err := s.probe(ctx, m, quiet); err != nil {
				return err
			}
		case res := <-messages:
			if res.GetSyncResponse() {
				if s.state == Connected {
					s.last = m.snapshot()
					s.enter(Synced, nil, 0)
				}
				break
			}
			if err := m.apply(res.GetUpdate(), s.c.opts.Now()); err != nil {
				return fmt.Errorf("gNMI target %s: stream: %w", s.c.addr, err)
			}
			if s.state == Synced {
				s.last = m.snapshot()
				s.tell(Update{State: Synced, Since: s.since, Snapshot: s.last})
			}
		}
		silence.Reset(quiet)
	}
}

// probe handles a silence. If samples are due, the subscription has failed, even if the target answers other requests. If there is nothing
// to sample, probe requests the target's capabilities.
func (s *session) probe(ctx context.Context, m *model, quiet time.Duration) error {
	if len(m.interfaces) > 0 || s.state != Synced {
		return fmt.Errorf("gNMI target %s: stream: %w for %v", s.c.addr, ErrSilent, quiet)
	}
	_, err := s.c.ask(ctx)
	return err
}

// learn handles a subscription that the target has refused before its first sync: the next attempt requests samples instead of ON_CHANGE,
// or ON_CHANGE again.
func (s *session) learn(err error) {
	code := status.Code(err)
	if s.state != Connected || code != codes.InvalidArgument && code != codes.Unimplemented {
		return
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.c.offered != nil {
		s.c.offered.sampleOnly = !s.c.offered.sampleOnly
	}
}

// list returns the SubscriptionList. Counters are sampled. State is requested on change, or sampled if the target has refused ON_CHANGE.
func (s *session) list(o offer) *gpb.SubscriptionList {
	sample := func(p *gpb.Path) *gpb.Subscription {
		return &gpb.Subscription{Path: p, Mode: gpb.SubscriptionMode_SAMPLE, SampleInterval: uint64(s.interval.Nanoseconds())}
	}
	told := func(p *gpb.Path) *gpb.Subscription {
		if o.sampleOnly {
			return sample(p)
		}
		return &gpb.Subscription{Path: p, Mode: gpb.SubscriptionMode_ON_CHANGE}
	}
	list := &gpb.SubscriptionList{
		Mode: gpb.SubscriptionList_STREAM, Encoding: o.encoding, Prefix: s.c.prefix(),
		Subscription: []*gpb.Subscription{
			sample(steps("interfaces", "interface", "state", "counters")),
			told(steps("interfaces", "interface", "state", "oper-status")),
		},
	}
	if o.p4rt {
		list.Subscription = append(list.Subscription, told(steps("interfaces", "interface", "state", "id")))
	}
	if o.acl {
		list.Subscription = append(list.Subscription, sample(s.c.aclEntries()))
	}
	return list
}
