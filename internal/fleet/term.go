package fleet

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"op25b/internal/p4rt"
	"op25b/internal/reconcile"
	"op25b/internal/store"
)

// errElsewhere ends the session of a switch whose address has changed.
var errElsewhere = errors.New("the switch has another address now")

// A term is one ownership of a switch, from when it is taken until it is lost or given back.
type term struct {
	*seat
	own    *store.Ownership
	before uint64 // the epoch of the seat's own term before; 0 is none

	// Guarded by telling.
	primary bool            // the session is, and what the worker finds is the status
	leader  p4rt.ElectionID // that ended the session with errOutranked

	id p4rt.ElectionID // ours; belongs to the goroutine of run

	// What follows belongs to the worker, of which there is one at a time.
	bases  bases
	is     *desired          // what the switch was last brought to, in this session; nil if that is not known
	memory *reconcile.Memory // of its rule sets; nil if that is not known
	trying *desired          // what the switch is being brought to
	held   bool              // it is kept at the documents before in the meantime: see hold

	phaseOnly bool // its phase was changed meanwhile
}

func newTerm(s *seat, own *store.Ownership) *term {
	return &term{seat: s, own: own}
}

// run holds a session until ctx ends.
func (t *term) run(ctx context.Context) {
	t.begin(ctx)
	for failures := 0; ctx.Err() == nil; {
		err := t.session(ctx)
		reason := ReasonConfig
		if errors.Is(err, errOutranked) {
			t.telling.Lock()
			leader := t.leader
			t.telling.Unlock()
			reason, err = ReasonNoHigherElection, t.rise(ctx, leader)
		}
		if ctx.Err() != nil || err == nil || errors.Is(err, errElsewhere) {
			continue
		}
		failures++
		t.set(func(st *Status) error { return st.fail(reason, err.Error(), false, t.c.Now()) })
		t.await(ctx, backoff(failures, t.c.AuditEvery))
	}
}

// begin takes over what is known of the switch. If ctx ends first it takes over nothing, and the status of the owner before stays the one
// that counts: what the switch was last brought to is the way back, and must not be lost with a slow store.
func (t *term) begin(ctx context.Context) {
	t.readRank(ctx)
	r, err := t.c.reporter.records.Get(ctx, t.name)
	for errors.Is(err, store.ErrNoQuorum) && pause(ctx, retryMin) {
		r, err = t.c.reporter.records.Get(ctx, t.name)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.log.Warn("the status before cannot be read, and is not known", zap.Error(err))
	}
	t.set(func(st *Status) error {
		t.epoch = t.own.Epoch()
		// Where nobody owned it since our own last term, what we know of it is newer than what was stored.
		if known := r.Value; known.Switch == t.name && known.Store == t.c.identity.ID && (t.before == 0 || known.Epoch > t.before) {
			*st = known
		}
		st.Store = t.c.identity.ID
		t.bases.prior, t.bases.replaced = *st, t.c.gen.Number() > 1
		st.Ownership, st.OwnershipDetail, st.Owner, st.Epoch = Owned, "", t.c.Name, t.own.Epoch()
		return st.become(eventDial, ReasonDialing, "")
	})
}

// session keeps a session with the switch where the newest intent has it, and returns nil, errElsewhere, errOutranked or p4rt.ErrConfig.
func (t *term) session(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	sw, ok := t.c.view.Load().device(t.name)
	if !ok { // removed: the controller is about to end this
		<-ctx.Done()
		return context.Cause(ctx)
	}
	d := deviceOf(sw)
	cfg, err := t.c.session(d, t.id, func(s p4rt.Status) {
		t.follow(s)
		if outranked(s) {
			end(errOutranked)
		}
	})
	cfg.OnAlive = t.alive
	if t.c.Recorder != nil {
		cfg.Recorder = t.c.Recorder(t.name)
	}
	if err != nil {
		return err
	}
	cfg.DialOptions = append(cfg.DialOptions[:len(cfg.DialOptions):len(cfg.DialOptions)], fence(t.own.Held))
	t.mu.Lock()
	t.device, t.redial = d, func() { end(errElsewhere) }
	t.mu.Unlock()
	t.look() // the address may have changed meanwhile
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.redial = nil
	}()
	return p4rt.Keep(ctx, cfg, t.work)
}

// await waits for a reason to look, at most for some time.
func (t *term) await(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-t.wake:
	case <-timer.C:
	}
}

// follow takes in what becomes of the session. While it is primary the worker says how the switch is.
func (t *term) follow(s p4rt.Status) {
	t.telling.Lock()
	defer t.telling.Unlock()
	t.primary = s.State == p4rt.Primary
	if outranked(s) {
		t.leader = s.Leader
	}
	if t.primary || s.Reason == p4rt.ReasonClosed { // closed by us: whoever did says why
		return
	}
	detail := ""
	switch {
	case s.Err != nil:
		detail = s.Err.Error()
	case s.State == p4rt.Backup && !s.Leader.IsZero():
		detail = "the switch follows election id " + s.Leader.String()
	}
	e := eventDisconnect
	switch s.State {
	case p4rt.Connecting:
		e = eventDial
	case p4rt.Backup:
		e = eventBackup
	}
	t.setTelling(func(st *Status) error { return st.become(e, sessionReasons[s.Reason], detail) })
}

// tell is set for the worker: what it found of a session that is over is not told.
func (t *term) tell(change func(*Status) error, fields ...zap.Field) {
	t.telling.Lock()
	defer t.telling.Unlock()
	if t.primary {
		t.setTelling(change, fields...)
	}
}

// work brings the switch of a primary session to what is wanted, whenever there is a reason to look, until ctx ends. It returns an error
// of the session, which Keep then makes anew.
func (t *term) work(ctx context.Context, s *p4rt.Session) error {
	t.is, t.memory = nil, nil
	due := time.NewTimer(t.c.AuditEvery)
	defer due.Stop()
	full := true
	for {
		next, err := t.bring(ctx, s, full)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			full, t.failed, t.failures, t.held, t.phaseOnly = false, nil, 0, false, false
		case isOfSession(err):
			return err
		default:
			if err = t.holdOn(ctx, s, err); isOfSession(err) {
				return err
			}
			t.is, t.memory, full = nil, nil, true
			t.fail(err)
			next = backoff(t.failures, t.c.AuditEvery)
		}
		if next > 0 {
			due.Reset(next)
		}
		for again := true; again; {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-due.C:
				full, again = true, false
			case <-t.wake:
				again = t.failedAlready()
			}
		}
	}
}

// failedAlready reports whether what is wanted now is what the switch could not be brought to. Then nothing but time is a reason to try again,
// and a revision that changes nothing here is only taken in.
func (t *term) failedAlready() bool {
	v := t.c.view.Load()
	if _, ok := v.device(t.name); !ok || t.failed == nil {
		return false
	}
	want, err := v.desired(t.name, t.c.Now())
	if err != nil || !t.failed.same(want) {
		return false
	}
	t.tell(func(st *Status) error {
		st.Wanted = want.Number
		if f := st.Failure; f != nil {
			taken := *f
			taken.Wanted = want.Number
			st.Failure = &taken
		}
		return nil
	})
	return true
}

// isOfSession says whether an error is a reason for another session.
func isOfSession(err error) bool {
	for _, kind := range []error{p4rt.ErrUnreachable, p4rt.ErrStreamLost, p4rt.ErrNotPrimary, p4rt.ErrClosed} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// fail tells of a switch that answers and could not be brought to its state.
func (t *term) fail(err error) {
	if write := (*p4rt.WriteError)(nil); errors.As(err, &write) {
		t.c.Metrics.refused(len(write.Failed))
	}
	same := t.failed != nil && t.trying != nil && t.failed.same(*t.trying)
	reason := failureOf(err)
	if t.held && t.phaseOnly {
		reason = ReasonPhaseOnly
	}
	if !same || reason != t.failedFor {
		t.failures = 0
	}
	t.failed, t.failedFor = t.trying, reason
	t.failures++
	t.tell(func(st *Status) error { return st.fail(reason, err.Error(), same, t.c.Now()) }, zap.Error(err))
}
