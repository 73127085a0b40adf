package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// Sessions knows the addresses of lines by their sessions. *register.Register implements it.
type Sessions interface {
	// Ready returns a channel that is closed when the sessions have been read.
	Ready() <-chan struct{}
	// Follow collects the lines of a switch whose sessions change: see register.Register.
	Follow(switchName string, news chan<- struct{}) (take func() (lines []string, all bool), stop func())
	// Addresses returns the prefixes that a line has by its session. has is false if it has no session. known is false if this is not known;
	// the switch then keeps the line's entries.
	Addresses(line string) (prefixes []netip.Prefix, has, known bool)
}

const (
	// sessionBatch is the number of updates after which the worker looks for another change, such as that of a phase. The embedded switch
	// writes as many in a few milliseconds.
	sessionBatch = 256
	// sessionPause is the shortest time between two writes of sessions. Meanwhile further sessions collect, so that fewer and larger requests
	// leave the processor to other work.
	sessionPause = 10 * time.Millisecond
	// sessionReport is the shortest time between two reports of the number of sessions in force.
	sessionReport = 500 * time.Millisecond
)

// SessionStatus is the number of lines whose sessions, or of lines and addresses whose leases, a switch has. Lines whose sessions have no entries are
// not counted: see compile.SessionLines.Uses.
type SessionStatus struct {
	// InForce is the number of lines with a session or lease whose entries the switch has confirmed. Waiting is the number of other such lines.
	InForce int `json:"inForce"`
	Waiting int `json:"waiting"`
	// Detail says why these sessions or leases are waiting, or why they are not known.
	Detail string `json:"detail,omitempty"`
}

// knowsSessions reports whether the sessions have been read.
func (w *worker) knowsSessions() bool { return w.c.Sessions != nil && isClosed(w.c.Sessions.Ready()) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// writeSessions brings the layer of the switch to the sessions. Only lines whose session changed cost anything. It returns early, with more set,
// if the worker has something else to do. An error means that the switch must be read again.
func (w *worker) writeSessions(ctx context.Context, s *p4rt.Session) (more bool, err error) {
	if w.layer == nil || w.onHold() || w.c.Sessions != nil && !w.knowsSessions() || w.c.Sessions == nil && w.c.Leases == nil {
		return false, nil
	}
	w.layer.mark(news(w.takeSessions))
	w.layer.mark(news(w.takeLeases))
	if _, by := w.ending(); by != w.layer.endsBy {
		w.layer.mark(w.layer.lines.Exempt(), false)
		w.layer.endsBy = by
	}
	if w.layer.clean() {
		return false, nil
	}
	defer func() { w.sessionsWritten = time.Now() }()
	skip := make(map[string]bool) // lines of which the switch refused an update: what comes after it would leave them worse
	all := w.layer.changes(w.wants())
	for _, changes := range all {
		for len(changes) > 0 {
			n := min(len(changes), sessionBatch)
			if err := w.writeLines(ctx, s, changes[:n], skip); err != nil {
				return false, err
			}
			if changes = changes[n:]; len(w.wake) > 0 {
				return true, nil // what is left is computed again
			}
		}
	}
	w.layer.settle(all, skip)
	return false, nil
}

// writeLines writes a part of one stage, without the lines in skip. It adds the lines of refused updates to skip.
func (w *worker) writeLines(ctx context.Context, s *p4rt.Session, changes []lineChange, skip map[string]bool) error {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c lineChange) bool { return skip[c.line] })
	if len(changes) == 0 {
		return nil
	}
	refused, err := writeChanges(ctx, s, changes)
	if err != nil {
		return err
	}
	var again, confirmed []lineChange
	for i, c := range changes {
		switch code, is := refused[i]; {
		case is && c.Kind == pipeline.Insert && code == codes.AlreadyExists: // another hand was here
			c.Kind = pipeline.Modify
			again = append(again, c)
		case is && c.Kind == pipeline.Modify && code == codes.NotFound:
			c.Kind = pipeline.Insert
			again = append(again, c)
		case is && (c.Kind != pipeline.Delete || code != codes.NotFound):
			w.refuseLine(c, code, skip)
		default:
			confirmed = append(confirmed, c)
		}
	}
	w.confirmLines(confirmed)
	if len(again) == 0 {
		return nil
	}
	if refused, err = writeChanges(ctx, s, again); err != nil {
		return err
	}
	confirmed = confirmed[:0]
	for i, c := range again {
		if code, is := refused[i]; is {
			w.refuseLine(c, code, skip)
		} else {
			confirmed = append(confirmed, c)
		}
	}
	w.confirmLines(confirmed)
	return nil
}

// confirmLines records updates that the switch has confirmed.
func (w *worker) confirmLines(changes []lineChange) {
	var added, removed int
	for _, c := range changes {
		w.layer.apply(c)
		if c.Kind == pipeline.Delete {
			removed++
		} else {
			added++
		}
	}
	w.c.Metrics.sessionEntries(added, removed, 0)
}

// refuseLine records that the switch refused an update of a line, and adds the line to skip.
func (w *worker) refuseLine(c lineChange, code codes.Code, skip map[string]bool) {
	skip[c.line] = true
	w.c.Metrics.sessionEntries(0, 0, 1)
	of := "session"
	_, lease := w.layer.lines.LeaseOf(*c.Entry)
	if _, address := w.layer.lines.Address(*c.Entry); lease || address {
		of = "lease"
	}
	why := fmt.Sprintf("table %q: the switch refused an entry of a %s: %v", c.Entry.Table(), of, code)
	if code == codes.ResourceExhausted {
		why = fmt.Sprintf("table %q: no room: the switch refused an entry of a %s; remove exemptions or move lines to another switch", c.Entry.Table(), of)
	}
	if len(w.layer.refused) == 0 {
		w.log.Warn("sessions or leases are waiting", zap.String("detail", why))
	}
	w.layer.refused[c.line] = why
}

// writeChanges sends updates and returns the codes of those that the switch refused, by their index. An error means that it is not known which
// updates the switch applied.
func writeChanges(ctx context.Context, s *p4rt.Session, changes []lineChange) (map[int]codes.Code, error) {
	updates := make([]pipeline.Update, len(changes))
	for i, c := range changes {
		updates[i] = c.Update
	}
	err := s.WriteEntries(ctx, updates)
	var failed *p4rt.WriteError
	if err == nil {
		return nil, nil
	}
	if !errors.As(err, &failed) || !failed.Answered() {
		return nil, err
	}
	refused := make(map[int]codes.Code, len(failed.Failed))
	for _, f := range failed.Failed {
		refused[f.Index] = f.Code
	}
	return refused, nil
}

// news returns the lines that have changed. all means that all may have. A nil take means that nothing is followed.
func news(take func() (lines []string, all bool)) (lines []string, all bool) {
	if take == nil {
		return nil, false
	}
	return take()
}

// reportSessions reports the number of sessions in force, but not more often than sessionReport. It returns the time until the next report is due; 0
// means that there is nothing left to report.
func (w *worker) reportSessions(now time.Time) time.Duration {
	if w.onHold() { // the last numbers stay
		return 0
	}
	st := layerStatus{w.sessionStatus(), w.leaseStatus()}
	if st.same(w.reported) {
		return 0
	}
	if left := sessionReport - now.Sub(w.reportedAt); left > 0 && left <= sessionReport {
		return left
	}
	w.c.Metrics.layerChanged(w.reported, st)
	w.reported, w.reportedAt = st, now
	w.report(func(status *Status) error {
		status.Sessions, status.Leases = st.sessions, st.leases
		return nil
	})
	return 0
}

// sessionStatus returns the status of sessions, or nil if the switch has no lines with entries by sessions.
func (w *worker) sessionStatus() *SessionStatus {
	switch {
	case w.layer == nil || !w.layer.lines.Used():
		return nil
	case w.c.Sessions == nil:
		return &SessionStatus{Detail: "this controller reads no sessions: start it with --session-key; the switch keeps its last entries of sessions"}
	case !w.knowsSessions():
		return &SessionStatus{Detail: "the sessions have not been read yet; the switch keeps its last entries of sessions"}
	}
	st := w.layer.status(w.layer.sessions)
	return &st
}

// A layerStatus is the status of sessions and of leases. Each is nil if the switch can have no entries by them.
type layerStatus struct{ sessions, leases *SessionStatus }

func (s layerStatus) same(o layerStatus) bool {
	equal := func(a, b *SessionStatus) bool { return a == b || a != nil && b != nil && *a == *b }
	return equal(s.sessions, o.sessions) && equal(s.leases, o.leases)
}

// leaseStatus returns the status of leases, or nil if the switch can have none.
func (w *worker) leaseStatus() *SessionStatus {
	switch {
	case w.layer == nil || !w.layer.lines.UsesLeases() || w.c.Leases == nil:
		return nil
	case !w.knowsLeases():
		return &SessionStatus{Detail: "the leases have not been read yet; the switch keeps its last entries of leases"}
	}
	st := w.layer.status(w.layer.leases)
	if w.clockTold && w.clockErr != nil {
		st.Detail = "the switch does not report its clock, so it cannot have leases: " + w.clockErr.Error()
	}
	return &st
}
