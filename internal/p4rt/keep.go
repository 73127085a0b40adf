package p4rt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// DefaultProbeInterval is how often Keep probes a connected switch. Two missed probes of DefaultProbeTimeout end the
// session, so that a hung switch is detected within 10 + 5 + 5 s. With 1,000 switches, the controllers send 100 small
// requests per second.
const DefaultProbeInterval = 10 * time.Second

// missedProbes is the number of consecutive missed probes that ends a session. It is more than 1, because a switch that is
// busy with a large batch may miss a probe.
const missedProbes = 2

// A KeepConfig configures Keep and the sessions that Keep makes.
type KeepConfig struct {
	Config
	Backoff       Backoff
	ProbeInterval time.Duration // interval of probes; 0 means DefaultProbeInterval
	// OnStatus, if not nil, is called in Keep's goroutine with every change of the status. Changes that occur during a
	// call may be combined. OnStatus must not block for long, because Keep does nothing else in the meantime.
	OnStatus func(SessionStatus)
	// OnAlive, if not nil, is called whenever the switch has answered the arbitration or a probe. It may be called from
	// several goroutines.
	OnAlive func()
}

// Keep maintains a session with the switch. Whenever the session is lost, Keep dials again, with growing pauses. Each time
// the session becomes primary, Keep calls fn and waits for fn to return. The context of fn is cancelled when the session
// ends or is no longer primary; context.Cause returns the reason (see Session.PrimaryContext). If fn returns nil while the
// session is still primary, the work is done and Keep returns nil. If fn returns an error while the session is still
// primary, Keep logs the error and dials a new session. If the session is no longer primary, Keep ignores the result of
// fn.
//
// If the switch cannot be reached or refuses the arbitration, Keep tries again. If the switch follows another controller,
// Keep waits as backup. Keep returns ErrConfig if the configuration is invalid, and the cause of ctx when ctx ends. A
// caller that loses the ownership on which the election id is based must end ctx. When the caller regains the ownership,
// it must call Keep with a higher id, because Keep stays a backup after it has seen a higher id than its own.
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

// A keeper is the state of one call of Keep. Only the goroutine of Keep uses it.
type keeper struct {
	cfg     Config
	backoff Backoff
	every   time.Duration
	tell    func(SessionStatus)
	alive   func()
	fn      func(context.Context, *Session) error
	log     *zap.Logger
	last    SessionStatus
	seen    ElectionID // the highest election id that was seen in any session
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

// session dials once and maintains the session until the session ends. done reports whether fn has finished its work.
// lasted is the duration of the session, without the dial.
func (k *keeper) session(ctx context.Context) (done bool, lasted time.Duration, err error) {
	if k.last.Since.IsZero() { // during later dials, the status continues to show the loss and its reason
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

// serve follows the status of the session and runs fn while the session is primary.
func (k *keeper) serve(ctx context.Context, s *Session) (done bool, err error) {
	returned := make(chan error, 1)
	running := false
	var work context.Context
	release := func() {}
	defer func() {
		if running { // wait for fn, whose context has ended together with the session
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
				k.report(s.Status()) // report the loss that ended the work before its consequences
				return false, context.Cause(work)
			case err != nil:
				return false, fmt.Errorf("%s: %w", ReasonFailed, err)
			default:
				return true, nil
			}
		}
	}
}

// probe probes the switch at intervals. After missedProbes consecutive missed probes, it aborts the session.
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

// report calls OnStatus if the status has changed.
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
