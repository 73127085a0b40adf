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

// A State is how far a stream has come with its target.
type State int

// The states of a stream.
const (
	Connecting State = iota // the target is being asked what it can do
	Connected               // it has answered, and is telling what it has; values are those of before
	Synced                  // it has told all it has, and goes on telling
	Waiting                 // something failed; the next attempt waits for its time
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

// An Update is what a stream has to tell.
type Update struct {
	State State
	Since time.Time // of the state
	Err   error     // why a stream is Waiting
	Retry time.Time // when it will try again, while Waiting
	// Snapshot holds the values last known, nil before the first sync. In any state but Synced they are stale: Counter.Age
	// tells by how much. What is not there any more after a reconnect leaves it at the next sync.
	Snapshot *Snapshot
}

// Stale says that the values of the snapshot are not being kept up to date.
func (u Update) Stale() bool { return u.State != Synced }

// Stream follows the target until ctx ends, and returns ctx's error then. It samples the counters at the interval, is told
// of state when it changes, and connects again, without end, whenever that fails.
//
// update is called on each change of state and each message after the sync, one call at a time. While it runs nothing is
// read from the target: a target that is read slowly is to leave samples out.
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

// jittered takes up to a fifth off a wait, so that the streams of a fleet that failed together do not come back together.
func jittered(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/5+1))
}

// A session is one attempt at a stream, and what outlives it.
type session struct {
	c        *Client
	interval time.Duration
	tell     func(Update)
	state    State
	since    time.Time
	last     *Snapshot // of this session once it is synced, of the one before until then
}

func (s *session) enter(state State, err error, wait time.Duration) {
	s.state, s.since = state, s.c.opts.Now()
	u := Update{State: state, Since: s.since, Err: err, Snapshot: s.last}
	if state == Waiting {
		u.Retry = s.since.Add(wait)
	}
	s.tell(u)
}

// run connects, subscribes and reads until something fails.
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

// follow takes the messages of one subscription in.
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

// probe looks into a silence: where samples are due the subscription has died, whatever else the target may answer; where
// there is nothing to sample the target is asked whether it is there.
func (s *session) probe(ctx context.Context, m *model, quiet time.Duration) error {
	if len(m.interfaces) > 0 || s.state != Synced {
		return fmt.Errorf("gNMI target %s: stream: %w for %v", s.c.addr, ErrSilent, quiet)
	}
	_, err := s.c.ask(ctx)
	return err
}

// learn notes that a target has refused the subscription before its first sync: the next attempt asks for samples only.
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

// list is one RPC with few subscriptions: the counters sampled, and the state on change unless the target refuses that.
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
