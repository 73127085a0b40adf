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

// errElsewhere ends the session with a switch whose address has changed.
var errElsewhere = errors.New("the address of the switch has changed")

// A worker works on one switch during one ownership, from the beginning of the ownership until it is lost or released.
type worker struct {
	*assignment
	own    *store.Ownership
	before uint64 // epoch of this controller's previous ownership of the switch; 0 if there was none

	// primary and leader are guarded by updating.
	primary bool            // whether the session is primary; only then does the worker report the status
	leader  p4rt.ElectionID // election id of the leader that ended the session with errOutranked

	id p4rt.ElectionID // election id of this worker; only the goroutine of run accesses it

	// Only the goroutine of work accesses the following fields, and only one such goroutine runs at a time.
	origins  origins
	current  *desired          // state to which the switch was brought in this session; nil if unknown
	memory   *reconcile.Memory // rule sets in the switch; nil if unknown
	trying   *desired          // state to which the switch is being brought
	pushed   bool              // whether the program was pushed since the last subscription to mail flows
	fellBack bool              // whether the switch is kept at the previous documents for now: see fallBack

	phaseOnly bool // whether the fallback changed the phase

	layer        *layer                            // the entries by sessions and leases; nil if they are not known
	takeSessions func() (lines []string, all bool) // nil if this controller reads no sessions
	takeLeases   func() (lines []string, all bool) // nil if this controller reads no leases
	reported     layerStatus                       // the status of sessions and leases that was last reported in this session, at reportedAt
	reportedAt   time.Time

	last sessionEvent // guarded by updating; of the current ownership

	clockErr  error // why the clock could not be read the last time; nil if it was
	clockTold bool  // whether that was reported in this session

	sessionsWritten time.Time // time at which the last write of sessions ended

	asker  *asker // asks the switch about packets
	writes uint64 // the number of writes in this session

	clock  p4rt.SwitchClock // the switch's clock; unknown until it has been read in the current session
	reader *clockReader     // reads it
	ends   ends
}

func newWorker(s *assignment, own *store.Ownership) *worker {
	return &worker{assignment: s, own: own}
}

// run keeps a session with the switch open until ctx ends.
func (w *worker) run(ctx context.Context) {
	w.begin(ctx)
	for failures := 0; ctx.Err() == nil; {
		err := w.session(ctx)
		reason := ReasonConfig
		if errors.Is(err, errOutranked) {
			w.updating.Lock()
			leader := w.leader
			w.updating.Unlock()
			reason, err = ReasonNoHigherElection, w.rise(ctx, leader)
		}
		if ctx.Err() != nil || err == nil || errors.Is(err, errElsewhere) {
			continue
		}
		failures++
		w.update(func(st *Status) error { return st.fail(reason, err.Error(), false, w.c.Now()) })
		w.await(ctx, backoff(failures, w.c.AuditEvery))
	}
}

// begin takes over the status that the previous owner stored. If ctx ends first, begin takes over nothing, and the stored status stays
// valid. It must not be lost because of a slow store, because it contains the revision to which the switch can fall back.
func (w *worker) begin(ctx context.Context) {
	w.readRank(ctx)
	w.readHold(ctx)
	r, err := w.c.reporter.records.Get(ctx, w.name)
	for errors.Is(err, store.ErrNoQuorum) && store.Pause(ctx, retryMin) {
		r, err = w.c.reporter.records.Get(ctx, w.name)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		w.log.Warn("the previous status cannot be read; continuing without it", zap.Error(err))
	}
	w.update(func(st *Status) error {
		w.epoch = w.own.Epoch()
		// If no other controller has owned the switch since the previous ownership of this controller, the status in memory is newer than
		// the stored status.
		if known := r.Value; known.Switch == w.name && known.Store == w.c.identity.ID && (w.before == 0 || known.Epoch > w.before) {
			*st = known
		}
		st.Store = w.c.identity.ID
		w.origins.prior, w.origins.replaced = *st, w.c.gen.Number() > 1
		st.Ownership, st.OwnershipDetail, st.Owner, st.Epoch = Owned, "", w.c.Name, w.own.Epoch()
		st.Hold, w.last = w.c.holds.hold(w.name), sessionEvent{event: eventDial, reason: ReasonDialing}
		return st.become(eventDial, ReasonDialing, "")
	})
}

// session keeps a session with the switch open, at the address in the newest intent. It returns errElsewhere if the address has changed,
// errOutranked if the switch follows a higher election id, and p4rt.ErrConfig if the session cannot be configured. If ctx ends, the result
// has no meaning.
func (w *worker) session(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	sw, ok := w.c.view.Load().device(w.name)
	if !ok { // the switch was removed from the inventory, and the controller is about to end this worker
		<-ctx.Done()
		return context.Cause(ctx)
	}
	d := deviceOf(sw)
	cfg, err := w.c.session(w.name, d, w.id, func(s p4rt.SessionStatus) {
		w.onSession(s)
		if outranked(s) {
			end(errOutranked)
		}
	})
	cfg.OnAlive = w.alive
	if w.c.Recorder != nil {
		cfg.Recorder = w.c.Recorder(w.name)
	}
	if err != nil {
		return err
	}
	cfg.DialOptions = append(cfg.DialOptions[:len(cfg.DialOptions):len(cfg.DialOptions)], fence(w.own.Held))
	w.mu.Lock()
	w.device, w.redial = d, func() { end(errElsewhere) }
	w.mu.Unlock()
	w.recheck() // the address may have changed in the meantime
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.redial = nil
	}()
	return p4rt.Keep(ctx, cfg, w.work)
}

// await waits until the worker is woken, the given time has passed, or ctx ends.
func (w *worker) await(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-timer.C:
	}
}

// onSession handles a change of the session's state. It does not change the status while the session is primary, because the worker then
// reports the status.
func (w *worker) onSession(s p4rt.SessionStatus) {
	w.updating.Lock()
	defer w.updating.Unlock()
	w.primary = s.State == p4rt.Primary
	if outranked(s) {
		w.leader = s.Leader
	}
	if w.primary || s.Reason == p4rt.ReasonClosed { // this process closed the session and has already set the status
		return
	}
	detail := ""
	switch {
	case s.Err != nil:
		detail = sessionDetail(s)
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
	w.last = sessionEvent{e, sessionReasons[s.Reason], detail}
	w.updateLocked(func(st *Status) error { return st.become(e, sessionReasons[s.Reason], detail) })
}

// sessionDetail returns the error of a session, without what the reason says already.
func sessionDetail(s p4rt.SessionStatus) string {
	// A wrapped error is returned as it is, because the text around it would be lost.
	if e, ok := s.Err.(*p4rt.Error); ok && s.Reason == p4rt.ReasonUnreachable && e.Kind == p4rt.ErrUnreachable {
		return e.WithoutKind()
	}
	return s.Err.Error()
}

// report is the variant of update for the goroutine of work. It does nothing if the session is no longer primary.
func (w *worker) report(change func(*Status) error, fields ...zap.Field) {
	w.updating.Lock()
	defer w.updating.Unlock()
	if w.primary {
		w.updateLocked(change, fields...)
	}
}

// work converges the switch over a primary session. It does so at once and whenever there is a reason to, until ctx ends. If the session
// fails, work returns the error, and p4rt.Keep opens another session.
func (w *worker) work(ctx context.Context, s *p4rt.Session) error {
	w.current, w.memory, w.layer, w.reported, w.clockTold = nil, nil, nil, layerStatus{}, false
	reading, stop := context.WithCancel(ctx)
	defer func() { w.c.Metrics.layerChanged(w.reported, layerStatus{}) }()
	flows := w.startFlows(reading, s)
	defer flows.wait()
	w.reader, w.ends = w.startClock(reading, s, w.c.clockEvery), ends{}
	defer w.reader.wait()
	w.asker = w.startAsker(reading, s)
	defer w.asker.wait()
	proofs, closeProofs := w.c.Proofs.open(w.name, s)
	defer closeProofs()
	defer stop()
	due := time.NewTimer(w.c.AuditEvery)
	defer due.Stop()
	probeDue := time.NewTimer(w.nextProbe())
	defer probeDue.Stop()
	reportDue, gathered := time.NewTimer(0), time.NewTimer(0)
	defer reportDue.Stop()
	defer gathered.Stop()
	news := make(chan struct{}, 1)
	var sessionsReady, leasesReady <-chan struct{} // nil after they are ready
	if w.c.Sessions != nil {
		var unfollow func()
		w.takeSessions, unfollow = w.c.Sessions.Follow(w.name, news)
		defer unfollow()
		sessionsReady = w.c.Sessions.Ready()
	}
	if w.c.Leases != nil {
		var unfollow func()
		w.takeLeases, unfollow = w.c.Leases.Follow(w.name, news)
		defer unfollow()
		leasesReady = w.c.Leases.Ready()
	}
	full := true
	for {
		next, err := w.converge(ctx, s, full)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			full, w.failed, w.failures, w.fellBack, w.phaseOnly = false, nil, 0, false, false
			if w.current != nil { // the switch has the program
				flows.subscribe(ctx, s, w.pushed)
				w.pushed = false
			}
		case isOfSession(err):
			return err
		default:
			if err = w.fallBackAfter(ctx, s, err); isOfSession(err) {
				return err
			}
			w.current, w.memory, full = nil, nil, true // the layer stays: sessions still change, and each of their updates can be repeated
			w.fail(err)
			next = backoff(w.failures, w.c.AuditEvery)
		}
		if next > 0 {
			due.Reset(next)
		}
		for again := true; again; {
			if gather := sessionPause - time.Since(w.sessionsWritten); gather > 0 {
				gathered.Reset(gather)
			} else {
				interrupted, err := w.writeSessions(ctx, s)
				switch {
				case ctx.Err() != nil:
					return context.Cause(ctx)
				case isOfSession(err):
					return err
				case err != nil: // it is not known which entries the switch has
					w.log.Warn("the entries of sessions were not written; the switch is read again", zap.Error(err))
					w.layer, full = nil, true
					due.Reset(retryMin)
				}
				if interrupted {
					<-w.wake
					again = w.failedAlready()
					continue
				}
			}
			if left := w.reportSessions(time.Now()); left > 0 {
				reportDue.Reset(left)
			}
			if w.probeDue() {
				w.probe()
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-due.C:
				full, again = true, false
			case <-w.wake:
				again = w.failedAlready()
			case taken := <-w.reader.readings:
				w.observe(w.reader, taken)
				again = w.failed != nil || !w.endsDue()
			case answer := <-proofs:
				answer <- w.proofSubject()
			case <-probeDue.C:
				w.probe()
			case r := <-w.asker.answers:
				probeDue.Reset(w.nextProbe())
				if w.probed(r) {
					full = true
					due.Reset(w.c.secondLook)
				}
			case <-news:
			case <-sessionsReady:
				sessionsReady = nil
			case <-leasesReady:
				if leasesReady = nil; w.layer != nil {
					w.layer.mark(nil, true) // until now, the leases were left as they are
				}
			case <-reportDue.C:
			case <-gathered.C:
			}
		}
	}
}

// failedAlready reports whether the desired state is still the state that could not be reached. If so, the next attempt is made only after
// the pause. A new revision that changes nothing for this switch is recorded without an attempt.
func (w *worker) failedAlready() bool {
	v := w.c.view.Load()
	if _, ok := v.device(w.name); !ok || w.failed == nil {
		return false
	}
	if st, same := w.heldStatus(); !same || st.Hold != nil {
		return false
	}
	want, err := v.desired(w.name, w.c.Now())
	if err != nil || !w.failed.same(want) {
		return false
	}
	w.report(func(st *Status) error {
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

// isOfSession reports whether an error requires a new session.
func isOfSession(err error) bool {
	for _, kind := range []error{p4rt.ErrUnreachable, p4rt.ErrStreamLost, p4rt.ErrNotPrimary, p4rt.ErrClosed} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// fail reports that the switch answers but could not be brought to the desired state.
func (w *worker) fail(err error) {
	if write := (*p4rt.WriteError)(nil); errors.As(err, &write) {
		w.c.Metrics.refused(len(write.Failed))
	}
	same := w.failed != nil && w.trying != nil && w.failed.same(*w.trying)
	reason := failureOf(err)
	if w.fellBack && w.phaseOnly {
		reason = ReasonPhaseOnly
	}
	if !same || reason != w.failedFor {
		w.failures = 0
	}
	w.failed, w.failedFor = w.trying, reason
	w.failures++
	w.report(func(st *Status) error { return st.fail(reason, err.Error(), same, w.c.Now()) }, zap.Error(err))
}
