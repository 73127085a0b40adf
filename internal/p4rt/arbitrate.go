package p4rt

import (
	"context"
	"fmt"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
)

func arbitration(cfg Config) *p4v1.StreamMessageRequest {
	update := &p4v1.MasterArbitrationUpdate{DeviceId: cfg.DeviceID, ElectionId: cfg.ElectionID.proto()}
	if cfg.Role != "" {
		update.Role = &p4v1.Role{Name: cfg.Role}
	}
	return &p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Arbitration{Arbitration: update}}
}

// arbitrated handles the arbitration message, by which the switch reports the primary (section 5.4).
//
// A session becomes primary only if the status is OK and the reported election id is its own. When a primary leaves,
// bmv2 promotes a remaining session, although section 5.3 rules this out. arbitrated rejects the promotion in two
// cases. A session that was primary before never becomes primary again, because another controller may have written
// in between, and the caller's view of the switch would be out of date. A session that has seen a higher election id
// than its own never becomes primary, because the switch has had a later owner.
func (s *Session) arbitrated(update *p4v1.MasterArbitrationUpdate) {
	leader := ElectionID{High: update.GetElectionId().GetHigh(), Low: update.GetElectionId().GetLow()}
	code := codes.Code(update.GetStatus().GetCode())
	elected := update.GetStatus() != nil && code == codes.OK && leader == s.cfg.ElectionID

	s.mu.Lock()
	defer s.mu.Unlock()
	if leader.Compare(s.seen) > 0 {
		s.seen = leader
	}
	switch {
	case s.over != nil:
	case s.fenced != nil:
		s.setLocked(Backup, ReasonDemoted, s.fenced, leader)
	case elected && s.seen.Compare(s.cfg.ElectionID) > 0:
		s.setLocked(Backup, ReasonOutranked, nil, s.seen)
	case elected:
		s.setLocked(Primary, ReasonElected, nil, leader)
	case s.status.State == Primary:
		s.fenceLocked(fmt.Errorf("%w: the switch now follows election id %v (%v)", ErrNotPrimary, leader, code), leader)
	case code == codes.NotFound:
		s.setLocked(Backup, ReasonNoPrimary, nil, leader)
	default:
		s.setLocked(Backup, ReasonOtherHigher, nil, leader)
	}
}

// fence ends the session's time as primary after the switch refused a write. It returns the error ErrNotPrimary,
// which all later writes return too. The switch may send its notification later or never.
func (s *Session) fence(refusal error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fenced == nil {
		s.fenceLocked(fmt.Errorf("%w: %s", ErrNotPrimary, causeText(refusal, false)), s.status.Leader)
	}
	return s.fenced
}

func (s *Session) fenceLocked(cause error, leader ElectionID) {
	s.fenced = cause
	s.endPrimacy(cause)
	if s.over == nil {
		s.setLocked(Backup, ReasonDemoted, cause, leader)
	}
}

func (s *Session) setLocked(state State, reason StateReason, err error, leader ElectionID) {
	old := s.status
	s.status = SessionStatus{State: state, Reason: reason, Err: err, Since: old.Since, Leader: leader}
	if state != old.State {
		s.status.Since = time.Now()
	}
	if state == old.State && reason == old.Reason && leader == old.Leader {
		return
	}
	s.log.Debug("session", zap.Stringer("status", s.status))
	s.record.status(s.status)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Status returns the state of the session and the reason for it.
func (s *Session) Status() SessionStatus {
	st, _ := s.watch()
	return st
}

// watch returns the status, and a channel that is closed when the status changes.
func (s *Session) watch() (SessionStatus, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.changed
}

// Primary reports whether, as far as the session knows, the switch would accept a write.
func (s *Session) Primary() bool { return s.Status().State == Primary }

// Demoted returns a channel that is closed when the session loses the primary role or ends. Before the session
// becomes primary, only its end closes the channel.
func (s *Session) Demoted() <-chan struct{} { return s.primacy.Done() }

// WaitPrimary waits until the session is primary, and returns nil. It returns ErrNotPrimary if the session was
// primary and cannot become primary again, the cause if the session ends, and the context's cause if ctx ends.
func (s *Session) WaitPrimary(ctx context.Context) error {
	const op = "wait for primacy"
	for {
		st, changed := s.watch()
		switch {
		case st.State == Primary:
			return nil
		case st.State == Disconnected, st.Reason == ReasonDemoted:
			return s.fail(op, nil, st.Err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s.fail(op, nil, context.Cause(ctx))
		}
	}
}

// PrimaryContext returns a context for work that only the primary may do. The context is cancelled when ctx ends,
// when another controller becomes primary (context.Cause returns ErrNotPrimary), or when the session ends
// (context.Cause returns the same error as Err). If the session is not primary, the returned context is already
// cancelled. The caller must call cancel to release the context's resources.
func (s *Session) PrimaryContext(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	if err := s.mayWrite(ctx); err != nil {
		end(err)
		return ctx, func() {}
	}
	release := context.AfterFunc(s.primacy, func() { end(context.Cause(s.primacy)) })
	return ctx, func() {
		release()
		end(context.Canceled)
	}
}

// mayWrite returns nil if the session may write. Otherwise it returns the reason: the cause of ctx, the end of the
// session, or ErrNotPrimary.
func (s *Session) mayWrite(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over != nil:
		return s.over
	case s.fenced != nil:
		return s.fenced
	case s.status.State != Primary:
		return fmt.Errorf("%w: %s (election id %v, ours is %v)", ErrNotPrimary, s.status.Reason, s.status.Leader, s.cfg.ElectionID)
	}
	return nil
}

func (s *Session) highestSeen() ElectionID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}
