package p4rt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// DefaultProbeInterval is how often Keep asks a connected switch for a sign of life. Two missed probes of
// DefaultProbeTimeout end the session: a hung switch is found within 10 + 5 + 5 s; 1,000 switches cost 100 small
// requests a second.
const DefaultProbeInterval = 10 * time.Second

// missedProbes ends a session. One may be lost to a switch that is busy with a large batch.
const missedProbes = 2

// A KeepConfig is the Config of every session that Keep makes, and how it makes them.
type KeepConfig struct {
	Config
	Backoff       Backoff
	ProbeInterval time.Duration // DefaultProbeInterval
	// OnStatus, if not nil, is called with every change, one at a time, in Keep's goroutine. Changes that come while it
	// runs may be combined. It must not block for long, because Keep does nothing else meanwhile.
	OnStatus func(SessionStatus)
	// OnAlive, if not nil, is called whenever the switch has answered the arbitration or a probe, from several goroutines.
	OnAlive func()
}

// Keep holds a session with the switch, dialing again, with growing pauses, whenever it is lost. It calls fn each
// time it gains primacy, with a context that is cancelled when primacy or session is lost (context.Cause says how;
// see Session.PrimaryContext), and waits for fn to return before it continues. If fn returns nil while still primary,
// the work is done and Keep returns nil. If fn returns an error while still primary, Keep logs it and dials a new
// session. After the loss of primacy the result is ignored.
//
// A switch that cannot be reached, refuses the arbitration or follows another controller is not an error: Keep goes
// on trying, or waiting as backup. It returns ErrConfig at once, or the cause of ctx's end. A caller that loses the
// ownership behind the election id must end ctx, and call Keep again with a higher id when it regains the ownership:
// once Keep has seen a higher id than its own, it stays a backup.
func Keep(ctx context.Context, cfg KeepConfig, fn func(ctx context.Context, s *Session) error) error {
	k, err := newKeeper(cfg, fn)
	if err != nil {
		return err
	}
	for failures := 0; ; {
		done, lasted, err := k.session(ctx)
		switch {
		case done:
			k.report(SessionStatus{State: Disconnected, Reason: ReasonClosed, Since: time.Now()})
			return nil
		case ctx.Err() != nil:
			k.report(SessionStatus{State: Disconnected, Reason: ReasonClosed, Err: context.Cause(ctx), Since: time.Now()})
			return context.Cause(ctx)
		case errors.Is(err, ErrConfig):
			return err
		}
		if lasted >= k.backoff.Max {
			failures = 0
		}
		failures++
		wait := k.backoff.after(failures)
		k.log.Info("no session with the switch", zap.Error(err), zap.Int("failures", failures), zap.Duration("dial_in", wait))
		k.report(SessionStatus{State: Disconnected, Reason: reasonOf(err), Err: err, Since: time.Now()})
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// A keeper is one run of Keep; everything in it belongs to that goroutine.
type keeper struct {
	cfg     Config
	backoff Backoff
	every   time.Duration
	tell    func(SessionStatus)
	alive   func()
	fn      func(context.Context, *Session) error
	log     *zap.Logger
	last    SessionStatus
	seen    ElectionID // the highest election id that any session has heard of
}

func newKeeper(cfg KeepConfig, fn func(context.Context, *Session) error) (*keeper, error) {
	full, err := cfg.Config.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := full.checkElection(); err != nil {
		return nil, err
	}
	pause, err := cfg.Backoff.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.ProbeInterval < 0 {
		return nil, fmt.Errorf("%w: probe interval %v: must be > 0, or 0 for %v", ErrConfig, cfg.ProbeInterval, DefaultProbeInterval)
	}
	if cfg.ProbeInterval == 0 {
		cfg.ProbeInterval = DefaultProbeInterval
	}
	if cfg.OnStatus == nil {
		cfg.OnStatus = func(SessionStatus) {}
	}
	if cfg.OnAlive == nil {
		cfg.OnAlive = func() {}
	}
	return &keeper{
		cfg: cfg.Config, backoff: pause, every: cfg.ProbeInterval, tell: cfg.OnStatus, alive: cfg.OnAlive, fn: fn, log: full.Logger,
	}, nil
}

// session dials once and looks after the session until it ends. done reports that fn has finished its work; lasted is
// the session's age, without the dial.
func (k *keeper) session(ctx context.Context) (done bool, lasted time.Duration, err error) {
	if k.last.Since.IsZero() { // later dials leave the loss and its reason to be seen until they succeed
		k.report(SessionStatus{State: Connecting, Reason: ReasonDialing, Since: time.Now()})
	}
	s, err := dial(ctx, k.cfg, k.seen)
	if err != nil {
		return false, 0, err
	}
	k.alive()
	began := time.Now()
	probing, stop := context.WithCancel(ctx)
	probed := make(chan struct{})
	go func() {
		defer close(probed)
		k.probe(probing, s)
	}()
	defer func() {
		stop()
		s.Close()
		<-probed
		k.seen = s.highestSeen()
	}()
	done, err = k.serve(ctx, s)
	return done, time.Since(began), err
}

// serve follows the session's status and has fn run while it is primary.
func (k *keeper) serve(ctx context.Context, s *Session) (done bool, err error) {
	returned := make(chan error, 1)
	running := false
	var work context.Context
	release := func() {}
	defer func() {
		if running { // fn's context has ended with whatever ended the session
			<-returned
		}
		release()
	}()
	for {
		st, changed := s.watch()
		k.report(st)
		switch {
		case st.State == Disconnected, st.Reason == ReasonDemoted:
			return false, st.Err
		case st.State == Primary && !running:
			running = true
			work, release = s.PrimaryContext(ctx)
			go func() { returned <- k.fn(work, s) }()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case err := <-returned:
			running = false
			switch {
			case work.Err() != nil:
				k.report(s.Status()) // the loss that ended the work, before what follows from it
				return false, context.Cause(work)
			case err != nil:
				return false, fmt.Errorf("%s: %w", ReasonFailed, err)
			default:
				return true, nil
			}
		}
	}
}

// probe ends the session of a switch that misses probes.
func (k *keeper) probe(ctx context.Context, s *Session) {
	ticker := time.NewTicker(k.every)
	defer ticker.Stop()
	missed := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Done():
			return
		case <-ticker.C:
		}
		err := s.Probe(ctx)
		switch {
		case errors.Is(err, ErrUnreachable):
			missed++
		case err == nil:
			k.alive()
			missed = 0
		default:
			missed = 0
		}
		if missed == missedProbes {
			s.abort(err)
			return
		}
	}
}

// report passes on a status that is news.
func (k *keeper) report(st SessionStatus) {
	if st.State == k.last.State && !k.last.Since.IsZero() {
		st.Since = k.last.Since
	}
	if st.String() == k.last.String() && st.Leader == k.last.Leader {
		return
	}
	k.last = st
	k.log.Info("switch", zap.Stringer("status", st))
	k.tell(st)
}
