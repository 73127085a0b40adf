package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/expiry"
)

// switchKind is the kind under which the store keeps ownerships of switches.
const switchKind = "switch"

// An assignment is a switch that is assigned to this controller. It waits for the ownership, runs a worker while it owns the switch, and
// then releases the ownership.
type assignment struct {
	c    *controller
	name string
	log  *zap.Logger
	wake chan struct{} // holds one token if the worker must check the desired state
	quit context.CancelFunc

	// storing is locked while a status is being stored, and updating is locked while the status is being changed and reported. Both are
	// locked before mu.
	storing, updating sync.Mutex

	mu      sync.Mutex // guards all following fields
	status  Status
	seen    time.Time        // time at which the switch last answered
	own     *store.Ownership // nil while the switch is not owned
	epoch   uint64           // epoch of the last ownership that took over the stored status; 0 if there was none
	device  device           // device to which the session is connected
	redial  func()           // ends the session, so that the next session uses the new address; nil without a session
	idle    func()           // makes the worker heed a hold while no session is primary; nil without a worker
	removed bool             // whether the switch was removed from the inventory

	// failed is the state that the last attempts failed to reach, failedFor is the reason, and failures is the number of failures in a
	// row. All are reset when an attempt succeeds. They outlive sessions and ownerships, so that a new session or ownership does not
	// hasten the next attempt. Only the goroutine of work accesses them, and only one such goroutine runs at a time.
	failed    *desired
	failedFor Reason
	failures  int

	// left lists the states whose entries the switch may still have from a store that was replaced. Only the goroutine of run accesses
	// it.
	left []desired
}

// work starts the goroutine that works on a switch.
func (c *controller) work(name string) *assignment {
	s := &assignment{c: c, name: name, log: c.log.With(zap.String("switch", name)), wake: make(chan struct{}, 1), status: Status{Switch: name, Owner: c.Name}, left: c.left[name]}
	ctx, quit := context.WithCancel(context.Background())
	s.quit = quit
	c.workingMu.Lock()
	c.working[s] = struct{}{}
	c.workingMu.Unlock()
	go func() {
		s.run(ctx)
		c.Metrics.state(s.status.counted(), 0)
		c.workingMu.Lock()
		delete(c.working, s)
		c.workingMu.Unlock()
		c.ended <- s
	}()
	return s
}

// stop ends the work after the current step. If removed is set, the switch was removed from the inventory, and its status is deleted.
func (s *assignment) stop(removed bool) {
	s.mu.Lock()
	s.removed = s.removed || removed
	s.mu.Unlock()
	s.quit()
}

func (s *assignment) owned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own != nil && s.own.Held()
}

// recheck makes the worker check the desired state. If the switch's address has changed, recheck also makes the worker dial again.
func (s *assignment) recheck() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
	sw, ok := s.c.view.Load().device(s.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok && s.redial != nil && s.device != deviceOf(sw) {
		s.redial()
	}
}

// run takes the ownership and works on the switch. It repeats this until ctx ends.
func (s *assignment) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		own, err := s.take(ctx)
		switch {
		case err == nil:
			failures = 0
			s.c.Metrics.owned()
			s.runOwned(ctx, own)
		case ctx.Err() != nil, errors.Is(err, store.ErrClosed):
			return
		default: // an error such as a full store
			failures++
			s.reportWaiting(err.Error())
			store.Pause(ctx, backoff(failures, s.c.AuditEvery))
		}
	}
}

// take waits until this controller owns the switch.
func (s *assignment) take(ctx context.Context) (*store.Ownership, error) {
	s.reportWaiting("")
	own, err := s.c.Store.TryOwn(ctx, switchKind, s.name, s.c.Name) // try first without a watch, because most switches are free
	if err == nil || ctx.Err() != nil {
		return own, err
	}
	s.reportWaiting(err.Error())
	return s.c.Store.Own(ctx, switchKind, s.name, s.c.Name)
}

// reportWaiting reports that the switch is not owned yet, with the reason.
func (s *assignment) reportWaiting(detail string) {
	s.update(func(st *Status) error {
		st.Ownership, st.OwnershipDetail, st.Epoch = Waiting, detail, 0
		return nil
	})
}

// runOwned works on the switch while this controller owns it, and then releases the ownership.
func (s *assignment) runOwned(ctx context.Context, own *store.Ownership) {
	w := newWorker(s, own)
	w.origins.begun, s.left = s.left, nil
	defer func() {
		if s.c.gen.Err() != nil {
			s.left = w.origins.all()
		}
	}()
	s.mu.Lock()
	s.own, w.before, s.idle = own, s.epoch, w.idleHeed
	s.mu.Unlock()
	working, end := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-own.Lost():
			end(store.ErrLost)
		case <-working.Done():
		}
	})
	w.run(working)
	end(nil)
	watch.Wait()
	s.mu.Lock()
	s.idle = nil
	s.mu.Unlock()
	s.c.Certificates.Remove(expiry.P4Runtime, s.name)
	if !own.Held() {
		s.mu.Lock()
		s.own = nil
		s.mu.Unlock()
		s.c.Metrics.lost()
		s.update(func(st *Status) error { // the reported condition does not change
			st.Ownership, st.Progress = Lost, nil
			if err := s.c.gen.Err(); err != nil {
				st.OwnershipDetail = err.Error()
			}
			return nil
		})
	} else {
		s.release(own)
	}
}

// release releases the ownership. The session must already be closed.
func (s *assignment) release(own *store.Ownership) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	s.mu.Lock()
	removed := s.removed
	s.mu.Unlock()
	s.update(func(st *Status) error {
		st.Ownership, st.Progress, st.Owner = NotOwned, nil, ""
		return nil
	})
	var err error
	if removed {
		s.storing.Lock()
		err = s.c.reporter.records.Delete(ctx, s.name, store.AnyVersion, own)
		s.mu.Lock()
		s.own = nil // must happen before the status can be stored again
		s.mu.Unlock()
		s.storing.Unlock()
	} else {
		err = s.store(ctx)
	}
	s.mu.Lock()
	s.own = nil
	s.mu.Unlock()
	if err := errors.Join(err, own.Release(ctx)); err != nil && !errors.Is(err, store.ErrClosed) {
		s.log.Warn("the ownership was not released", zap.Error(err))
	}
}

// update changes the status. It logs the change and reports it to OnStatus and the reporter. An error of change indicates a bug in this
// program.
func (s *assignment) update(change func(*Status) error, fields ...zap.Field) {
	s.updating.Lock()
	defer s.updating.Unlock()
	s.updateLocked(change, fields...)
}

func (s *assignment) updateLocked(change func(*Status) error, fields ...zap.Field) {
	s.mu.Lock()
	before := s.status
	if err := change(&s.status); err != nil {
		s.c.fault(fmt.Errorf("switch %q: %w", s.name, err))
	}
	now := s.c.Now()
	s.status.Since = s.status.since(before, now)
	if s.status.Ownership == Owned { // without the ownership, nothing is stored and nothing is seen
		s.status.remember(now)
	}
	if s.seen.After(s.status.Seen) {
		s.status.Seen = s.seen.UTC()
	}
	changed := s.status.Ownership != before.Ownership || s.status.Owner != before.Owner
	if changed {
		s.status.OwnershipSince = now.UTC()
	}
	st := s.status
	s.mu.Unlock()
	s.c.Metrics.state(before.counted(), st.counted())
	if len(fields) > 0 || changed || st.State != before.State {
		s.log.Info("switch", append(st.fields(), fields...)...)
	}
	if s.c.OnStatus != nil {
		s.c.OnStatus(st)
	}
	s.c.reporter.changed(s)
}

// fields returns the fields of a log entry about a status.
func (st Status) fields() []zap.Field {
	fields := []zap.Field{
		zap.Stringer("state", st.State), zap.Stringer("reason", st.Reason), zap.Stringer("ownership", st.Ownership),
		zap.Uint64("revision", st.Revision), zap.String("phase", st.InForce),
	}
	if st.Detail != "" {
		fields = append(fields, zap.String("detail", st.Detail))
	}
	return fields
}

// A device is the address of a switch with its connection parameters.
type device struct {
	addr string
	id   uint64
	tls  policy.TLS
}

func deviceOf(sw *policy.Switch) device { return device{sw.P4Runtime, uint64(sw.DeviceID), sw.TLS} }

// tlsConfig returns the TLS configuration of a session with a device that uses TLS.
func (d device) tlsConfig(log *zap.Logger, ends *tlsfiles.Ends) (*tls.Config, error) {
	cfg, err := tlsfiles.Client(tlsfiles.Files{
		CA: d.tls.CA, Cert: d.tls.Cert, Key: d.tls.Key, ServerName: d.tls.ServerName, Ends: ends,
		OnError: func(err error) {
			log.Warn("certificates changed and cannot be used", zap.String("addr", d.addr), zap.Error(err))
		},
	})
	if err != nil {
		return nil, fmt.Errorf("TLS to %s: %w", d.addr, err)
	}
	return cfg, nil
}

// backoff returns the pause after the given number of failures in a row. The pause doubles with each failure, up to most, and is then
// shortened at random by up to half.
func backoff(failures int, most time.Duration) time.Duration {
	wait := min(retryMin, most)
	for range failures - 1 {
		wait = min(2*wait, most)
	}
	return wait - rand.N(wait/2+1)
}
