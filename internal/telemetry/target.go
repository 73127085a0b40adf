package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// A Target is a switch from which counters are collected.
type Target struct {
	Switch string // the name of the switch in the inventory
	Addr   string // the host:port of the switch's gNMI server
	// Credentials returns the credentials of a connection, or nil for plaintext. It is called before each attempt. The field may be nil.
	Credentials func() (credentials.TransportCredentials, error)
	// Key identifies the configuration of the connection. The collector reconnects if Key or Addr changes.
	Key string
}

// A target is the subscription to one switch, with the received values.
type target struct {
	Target
	c   *Collector
	log *zap.Logger

	// mu guards everything below.
	mu       sync.Mutex
	series   *series
	decoder  *decoder
	state    State
	reason   Reason
	err      error
	since    time.Time
	retry    time.Time
	updated  time.Time
	watchers *watchers
	changes  int // the value of series.changes when the watchers were last called
}

// run subscribes to the target until ctx ends. It retries without a limit.
func (t *target) run(ctx context.Context, delay time.Duration) {
	t.enter(Disconnected, ReasonScheduled, nil, delay)
	backoff := t.c.cfg.MinBackoff
	for wait := delay; ; {
		if !Pause(ctx, wait) {
			return
		}
		synced, err := t.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if synced {
			backoff = t.c.cfg.MinBackoff
		}
		wait = jittered(backoff)
		backoff = min(2*backoff, t.c.cfg.MaxBackoff)
		reason := reasonOf(err)
		if errors.Is(err, errCredentials) {
			reason = ReasonTLS
		}
		t.log.Warn("gNMI subscription ended", zap.Stringer("reason", reason), zap.Error(err), zap.Duration("retry_in", wait))
		t.enter(Disconnected, reason, err, wait)
	}
}

// Pause waits for d. It returns false if ctx ended first.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// jittered shortens a pause by up to a fifth, so that sessions that failed together do not reconnect together.
func jittered(d time.Duration) time.Duration { return d - time.Duration(rand.Int64N(int64(d)/5+1)) }

func (t *target) enter(s State, r Reason, err error, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state, t.reason, t.err, t.since, t.retry = s, r, err, t.c.cfg.Now(), time.Time{}
	if s == Disconnected {
		t.retry = t.since.Add(wait)
	}
	t.notifyLocked(true)
}

var errCredentials = errors.New("credentials")

// session makes one attempt. It connects, subscribes, and receives values until an error occurs. synced reports whether the first values
// were complete.
func (t *target) session(ctx context.Context) (synced bool, err error) {
	t.enter(Connecting, ReasonDialing, nil, 0)
	opts := Options{DialOptions: t.c.cfg.DialOptions, CallTimeout: t.c.cfg.CallTimeout, Now: t.c.cfg.Now, pool: t.c.tables.pool}
	if t.Credentials != nil {
		if opts.Credentials, err = t.Credentials(); err != nil {
			return false, fmt.Errorf("%w: %w", errCredentials, err)
		}
	}
	client, err := NewClient(t.Addr, opts)
	if err != nil {
		return false, err
	}
	defer client.Close()
	o, err := client.capabilities(ctx)
	if err != nil {
		return false, err
	}
	synced, err = t.stream(ctx, client, o)
	code := status.Code(err)
	if !synced && (code == codes.InvalidArgument || code == codes.Unimplemented) && !o.sampleOnly {
		o.sampleOnly = true // the target refuses ON_CHANGE
		synced, err = t.stream(ctx, client, o)
	}
	return synced, err
}

// stream receives values until an error occurs.
func (t *target) stream(ctx context.Context, client *Client, o offer) (synced bool, err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	t.enter(Connected, ReasonNone, nil, 0)
	list := &gpb.SubscriptionList{
		Mode: gpb.SubscriptionList_STREAM, Encoding: o.encoding, Subscription: subscriptions(o, t.c.cfg.Interval, t.c.cfg.LineInterval),
	}
	stream, err := client.subscribe(ctx, list)
	if err != nil {
		return false, err
	}
	t.mu.Lock()
	t.series.begin()
	t.mu.Unlock()
	quiet := t.c.cfg.quiet()
	var probing sync.WaitGroup
	defer probing.Wait()
	defer end(nil)
	var watchdog *time.Timer
	watchdog = time.AfterFunc(quiet, func() {
		probing.Go(func() {
			if err := t.probe(ctx, client, quiet); err != nil {
				end(err)
				return
			}
			watchdog.Reset(quiet)
		})
	})
	defer watchdog.Stop()
	unsynced := time.AfterFunc(t.c.cfg.syncWithin(), func() {
		end(fmt.Errorf("gNMI target %s: stream: %w for %v", t.Addr, ErrNoSync, t.c.cfg.syncWithin()))
	})
	defer unsynced.Stop()
	for f := new(frame); ; {
		if err := stream.RecvMsg(f); err != nil {
			if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
				return synced, cause
			}
			if errors.Is(err, io.EOF) {
				err = errors.New("the target ended it")
			}
			return synced, fmt.Errorf("gNMI target %s: stream: %w", t.Addr, err)
		}
		watchdog.Reset(quiet)
		now, err := t.take(f.bytes())
		f.free()
		if err != nil {
			return synced, fmt.Errorf("gNMI target %s: stream: %w", t.Addr, err)
		}
		if now && !synced {
			synced = true
			unsynced.Stop()
			t.log.Info("gNMI subscription synced")
		}
	}
}

// take processes a message, and reports whether it is the sync response.
func (t *target) take(b []byte) (sync bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.c.cfg.Now()
	sync, err = t.decoder.message(b, now.UnixNano())
	if err != nil {
		return false, err
	}
	t.updated = now
	if sync && t.state == Connected {
		t.series.synced()
		t.state, t.reason, t.err, t.since = Synced, ReasonNone, nil, now
		t.notifyLocked(true)
		return true, nil
	}
	t.notifyLocked(false)
	return sync, nil
}

// probe handles a silence. If samples are due, the subscription has failed, even if the target answers other requests. If there is nothing
// to sample, probe requests the target's capabilities to test the connection.
func (t *target) probe(ctx context.Context, client *Client, quiet time.Duration) error {
	t.mu.Lock()
	due := t.state != Synced || len(t.series.ports) > 0
	t.mu.Unlock()
	if due {
		return fmt.Errorf("gNMI target %s: stream: %w for %v", t.Addr, ErrSilent, quiet)
	}
	_, err := client.capabilities(ctx)
	return err
}

// notifyLocked calls OnUpdate. It also calls the watchers if more than counter values has changed.
func (t *target) notifyLocked(changed bool) {
	changed = changed || t.changes != t.series.changes
	if told := t.c.cfg.OnUpdate; told != nil {
		told(t.Switch, changed)
	}
	if !changed {
		return
	}
	t.changes = t.series.changes
	t.watchers.call()
}

// status returns the current status. A target is Stale if two samples are overdue.
func (t *target) status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Status{
		Switch: t.Switch, Addr: t.Addr, State: t.state, Reason: t.reason, Err: t.err, Since: t.since, Retry: t.retry, Updated: t.updated,
		Rejected: t.series.rejected, Late: t.series.late,
	}
	if s.State == Synced && len(t.series.ports) > 0 {
		s.StaleAt = t.updated.Add(t.c.cfg.staleAfter())
		if t.c.cfg.Now().After(s.StaleAt) {
			s.State, s.Reason, s.Since = Stale, ReasonSilent, s.StaleAt
		}
	}
	return s
}
