package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Intervals of a lease, as fractions of its TTL. With the default TTL of 3 s, a lease is renewed every 0.6 s, and a failed renewal is
// repeated after 0.15 s. In this process, the lease ends 2.4 s after the last confirmed renewal was sent. In etcd, it ends 3 s after that
// renewal was received, which is later. So etcd admits another holder at least 0.6 s after this holder has stopped. This margin also covers
// a write just after a check, and clocks that run at different rates.
const (
	renewParts  = 5
	retryParts  = 20
	marginParts = 5
)

// A lease is the etcd lease of all ownerships and presences of a store. After it has ended, the next ownership or presence gets a new
// lease.
type lease struct {
	id  clientv3.LeaseID
	ttl time.Duration
	now func() time.Time
	gen *Generation // generation in which the lease was granted; the lease ends when the generation ends

	life context.Context // cancelled when the lease ends
	end  context.CancelFunc

	mu    sync.Mutex // guards all following fields
	until time.Time  // time at which the lease ends unless it is renewed
	ended error      // reason why the lease ended, or nil
	timer *time.Timer
	owned map[*Ownership]struct{}
}

// current returns the lease that is held, or grants a new one.
func (s *Store) current(ctx context.Context) (*lease, error) {
	const op = "grant lease"
	timer := time.NewTimer(s.patience())
	defer timer.Stop()
	select {
	case s.granting <- struct{}{}:
		defer func() { <-s.granting }()
	case <-timer.C:
		return nil, s.failure(ctx, op, context.DeadlineExceeded)
	case <-ctx.Done():
		return nil, s.failure(ctx, op, ctx.Err())
	}
	s.mu.Lock()
	l := s.lease
	s.mu.Unlock()
	if l != nil && l.held() {
		return l, nil
	}
	var sent time.Time
	g := s.Generation()
	resp, err := ask(ctx, s, op, func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) {
		sent = s.cfg.Now()
		return s.leases.Grant(ctx, int64(s.cfg.TTL/time.Second))
	})
	if err != nil {
		return nil, err
	}
	l = newLease(g, resp.ID, time.Duration(resp.TTL)*time.Second, s.cfg.Now, sent)
	s.mu.Lock()
	s.lease = l
	s.mu.Unlock()
	if !s.start(func() { s.keep(l) }) || !s.start(func() { s.evict(l) }) {
		l.over(ErrClosed)
		return nil, fmt.Errorf("%s: %w", op, ErrClosed)
	}
	return l, nil
}

func newLease(g *Generation, id clientv3.LeaseID, ttl time.Duration, now func() time.Time, sent time.Time) *lease {
	l := &lease{id: id, ttl: ttl, now: now, gen: g, owned: make(map[*Ownership]struct{})}
	l.life, l.end = context.WithCancel(g.ctx)
	context.AfterFunc(l.life, func() { l.held() }) // ends the lease and its ownerships if the generation ends
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = sent.Add(l.trusted())
	l.timer = time.AfterFunc(l.until.Sub(now()), l.wake)
	return l
}

// trusted returns how long this process relies on the lease after a renewal was sent.
func (l *lease) trusted() time.Duration { return l.ttl - l.ttl/marginParts }

// held reports whether the lease is held now. It reads the clock, so the result is correct even if the process was paused and the timer has
// not fired yet.
func (l *lease) held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heldLocked()
}

func (l *lease) heldLocked() bool {
	if l.ended == nil && l.gen.Err() != nil {
		l.overLocked(fmt.Errorf("%w: %w", ErrLost, l.gen.Err()))
	}
	if l.ended == nil && !l.now().Before(l.until) {
		l.overLocked(fmt.Errorf("%w: etcd has confirmed no renewal for %v", ErrLost, l.trusted()))
	}
	return l.ended == nil
}

// wake ends the lease at its expiry, even if nobody calls held.
func (l *lease) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.heldLocked() {
		l.timer.Reset(l.until.Sub(l.now()))
	}
}

// renewed extends the lease after etcd has confirmed a renewal that was sent at the given time. It does nothing if the lease has ended.
func (l *lease) renewed(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.heldLocked() {
		return // too late: callers may already have been notified that the lease has ended
	}
	if until := sent.Add(l.trusted()); until.After(l.until) {
		l.until = until
		l.timer.Reset(until.Sub(l.now()))
	}
}

// over ends the lease in this process. The lease may still exist in etcd.
func (l *lease) over(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.overLocked(why)
}

func (l *lease) overLocked(why error) {
	if l.ended != nil {
		return
	}
	l.ended = why
	l.timer.Stop()
	l.end()
	for o := range l.owned {
		o.lose()
	}
	l.owned = nil
}

// keep renews the lease until it ends.
func (s *Store) keep(l *lease) {
	defer s.giveBack(l)
	every, again := l.ttl/renewParts, l.ttl/retryParts
	for wait := every; Pause(l.life, wait); {
		sent, err := s.renew(l)
		switch {
		case err == nil:
			l.renewed(sent)
			wait = every
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			l.over(fmt.Errorf("%w: etcd has ended the lease", ErrLost))
		default:
			s.log.Debug("lease not renewed", zap.Error(err))
			wait = again
		}
	}
}

// renew renews the lease once and returns when the renewal was sent. The client's KeepAliveOnce is not used, because it retries by itself
// and does not report when it sent the renewal.
func (s *Store) renew(l *lease) (time.Time, error) {
	ctx, cancel := context.WithTimeout(l.life, l.ttl/renewParts)
	defer cancel()
	stream, err := etcdserverpb.NewLeaseClient(s.leases.ActiveConnection()).LeaseKeepAlive(ctx, grpc.WaitForReady(true))
	if err != nil {
		return time.Time{}, err
	}
	sent := l.now()
	if err := stream.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: int64(l.id)}); err != nil {
		return time.Time{}, err
	}
	resp, err := stream.Recv()
	switch {
	case err != nil:
		return time.Time{}, rpctypes.Error(err)
	case resp.TTL <= 0:
		return time.Time{}, rpctypes.ErrLeaseNotFound
	default:
		return sent, nil
	}
}

// giveBack revokes a lease that has ended in this process, so that other holders need not wait until the lease expires in etcd.
func (s *Store) giveBack(l *lease) {
	if s.life.Err() != nil {
		return // Close revokes the lease
	}
	l.mu.Lock()
	why := l.ended
	l.mu.Unlock()
	s.log.Warn("ownerships lost", zap.Error(why))
	ctx, cancel := context.WithTimeout(s.life, l.ttl)
	defer cancel()
	if _, err := s.leases.Revoke(ctx, l.id); err != nil {
		s.log.Debug("lease not revoked", zap.Error(err))
	}
}

// evict ends each ownership whose key was deleted by another process. It must not wait for the end of the lease, because etcd admits the
// next holder as soon as the key is deleted.
func (s *Store) evict(l *lease) {
	for u := range s.follow(l.life, s.key("own/")) {
		there := make(map[string]int64)
		for _, kv := range u.kvs {
			there[string(kv.Key)] = kv.CreateRevision
		}
		l.mu.Lock()
		for o := range l.owned {
			_, gone := u.gone[o.key]
			gone = gone || u.whole && there[o.key] != int64(o.epoch)
			if gone && int64(o.epoch) <= u.rev {
				delete(l.owned, o)
				o.lose()
			}
		}
		l.mu.Unlock()
	}
}

// settle repeats a request in the background until the request succeeds or the lease ends. It is used after a caller's own request has
// failed, because otherwise the key would remain until the lease ends. do must be safe to repeat.
func (s *Store) settle(l *lease, do func(context.Context) error) {
	s.start(func() {
		for do(l.life) != nil && Pause(l.life, followPause) {
			continue
		}
	})
}
