package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"
	xrate "golang.org/x/time/rate"

	"op25b/internal/auth"
	"op25b/internal/store"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/report"
	op25bv1 "op25b/proto/op25b/v1"
)

// Limits on reports of sessions.
const (
	// maxReportStreams is the limit on open streams of reports.
	maxReportStreams = 64
	// batchesAtOnce is the limit on calls of ReportBatch in progress.
	batchesAtOnce, batchesWaiting = 64, 1024
	// eventsOfRequest and eventsAtOnce are the limits on the events in progress of one request and of all requests. The store combines writes
	// that are in progress together. Events that wait hold back their stream.
	eventsOfRequest, eventsAtOnce = 64, 256
	// eventsASecond is the limit on the events of one caller after a burst of eventsInBurst. Further events wait.
	eventsASecond, eventsInBurst = 2000, 8 * report.MaxEvents
	// reportRecordEvery is the time after which another audit record says that a caller reports for a source.
	reportRecordEvery = time.Hour
	// maxReporting is the limit on the pairs of a caller and a source that are remembered for reportRecordEvery, and on the callers with a rate.
	maxReporting = 4096
)

// reports has the limits on what callers report.
type reports struct {
	now     func() time.Time
	slots   chan struct{} // holds a token for each event in progress
	records *recordLimit

	mu    sync.Mutex // guards the fields below
	begun map[[2]string]time.Time
	rates map[string]*xrate.Limiter // by caller
}

func newReports(now func() time.Time) *reports {
	return &reports{
		now: now, slots: make(chan struct{}, eventsAtOnce), begun: make(map[[2]string]time.Time), rates: make(map[string]*xrate.Limiter),
		records: newRecordLimit(now, rate{100, 10}, rate{1000, 60}),
	}
}

// due reports whether the audit chain has no record for reportRecordEvery that a caller reports for a source.
func (r *reports) due(who, source string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.begun[[2]string{who, source}]
	return !known || r.now().Sub(at) >= reportRecordEvery
}

// recorded notes that the audit chain has the record.
func (r *reports) recorded(who, source string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.begun) >= maxReporting {
		clear(r.begun)
	}
	r.begun[[2]string{who, source}] = r.now()
}

func (r *reports) rate(who string) *xrate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rates[who] == nil {
		if len(r.rates) >= maxReporting {
			clear(r.rates)
		}
		r.rates[who] = xrate.NewLimiter(eventsASecond, eventsInBurst)
	}
	return r.rates[who]
}

var outcomes = map[subscriber.Outcome]op25bv1.SessionOutcome{
	subscriber.Opened:    op25bv1.SessionOutcome_SESSION_OUTCOME_OPENED,
	subscriber.Refreshed: op25bv1.SessionOutcome_SESSION_OUTCOME_REFRESHED,
	subscriber.Closed:    op25bv1.SessionOutcome_SESSION_OUTCOME_CLOSED,
	subscriber.Restarted: op25bv1.SessionOutcome_SESSION_OUTCOME_RESTARTED,
	subscriber.Late:      op25bv1.SessionOutcome_SESSION_OUTCOME_LATE,
	subscriber.Unknown:   op25bv1.SessionOutcome_SESSION_OUTCOME_UNKNOWN,
	subscriber.NoLine:    op25bv1.SessionOutcome_SESSION_OUTCOME_NO_LINE,
	subscriber.Ambiguous: op25bv1.SessionOutcome_SESSION_OUTCOME_AMBIGUOUS,
}

// ReportBatch takes the events of one request.
func (s subscriberService) ReportBatch(ctx context.Context, req *connect.Request[op25bv1.ReportRequest]) (*connect.Response[op25bv1.ReportResponse], error) {
	answer, err := s.report(ctx, caller(ctx), req.Msg)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(answer), nil
}

// Report takes the events of a stream, one request at a time. A caller that sends faster is held back by the flow control of HTTP/2.
func (s subscriberService) Report(ctx context.Context, stream *connect.BidiStream[op25bv1.ReportRequest, op25bv1.ReportResponse]) error {
	ctx, cancel := s.stream(ctx)
	defer cancel(nil)
	body, _ := ctx.Value(idledKey{}).(*idled)
	stop := context.AfterFunc(ctx, body.cut) // Receive does not know ctx
	defer stop()
	again := errors.New("send the requests without an answer again")
	for {
		req, err := stream.Receive()
		switch {
		case ctx.Err() != nil:
			return s.ended(ctx, again)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && body.expired():
			return connect.NewError(connect.CodeDeadlineExceeded, fmt.Errorf("no request for %v; open a stream when there are events", body.within))
		case err != nil:
			return err
		}
		if err := s.serve(ctx, stream, req); err != nil {
			if ctx.Err() != nil {
				return s.ended(ctx, again)
			}
			return err
		}
	}
}

// serve takes and answers one request of a stream.
func (s subscriberService) serve(ctx context.Context, stream *connect.BidiStream[op25bv1.ReportRequest, op25bv1.ReportResponse], req *op25bv1.ReportRequest) error {
	id, err := callerNow(ctx) // the access file may confine the caller to other sources and switches now
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	answer, err := s.report(within, id, req)
	if err != nil {
		return err
	}
	return stream.Send(answer)
}

// report takes the events of a request, and returns what they changed when all of them are in the store.
func (s subscriberService) report(ctx context.Context, id auth.Caller, req *op25bv1.ReportRequest) (*op25bv1.ReportResponse, error) {
	if s.Sessions == nil {
		return nil, errNoSessions()
	}
	events, err := report.Events(req, s.Now())
	if err != nil {
		return nil, err
	}
	if err := confined(id, req.Source); err != nil {
		return nil, err
	}
	if err := s.recordReport(ctx, id, req.Source); err != nil {
		return nil, err
	}
	if err := s.reports.rate(id.Who).WaitN(ctx, len(events)); err != nil {
		e := connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%w: %s reports more than %d events a second", errBusy, id.Who, eventsASecond))
		return nil, retryAfter(e, time.Second)
	}
	var switches []string
	if id.Reports != nil {
		switches = id.Reports.Switches
	}
	changed := make([]subscriber.Outcome, len(events))
	for done := 0; done < len(events); {
		next := done + beforeRestart(events[done:])
		if err := s.together(ctx, events[done:next], changed[done:next], switches); err != nil {
			return nil, unstored(err)
		}
		done = next
	}
	answer := &op25bv1.ReportResponse{}
	for _, o := range changed {
		answer.Outcomes = append(answer.Outcomes, outcomes[o])
	}
	return answer, nil
}

// beforeRestart returns the number of events before the next restart, or 1 if the first event is a restart. A restart ends the sessions of all
// earlier events, so it is not taken together with others.
func beforeRestart(events []subscriber.Event) int {
	n := slices.IndexFunc(events, func(e subscriber.Event) bool { return e.Kind == subscriber.Restart })
	switch n {
	case -1:
		return len(events)
	case 0:
		return 1
	}
	return n
}

// errNoSessions is the error of a controller without sessions.
func errNoSessions() error {
	return connect.NewError(connect.CodeUnimplemented, errors.New("this controller reads no sessions: start op25b serve with --session-key or --radius"))
}

// confined returns an error if the access file does not let a caller report for a source. The error does not repeat the name of the source,
// because it is recorded.
func confined(id auth.Caller, source string) error {
	switch {
	case id.Reports == nil && id.Role != auth.Reporter: // operators report for every source
		return nil
	case id.Reports == nil:
		return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%s has the role reporter without an access file", id.Who))
	case slices.Contains(id.Reports.Sources, source):
		return nil
	}
	return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%s may not report for this source; the access file permits %s", id.Who, strings.Join(id.Reports.Sources, ", ")))
}

// recordReport writes the audit record that a caller reports for a source, if the chain has none yet.
func (s subscriberService) recordReport(ctx context.Context, id auth.Caller, source string) error {
	if !s.reports.due(id.Who, source) {
		return nil
	}
	if _, ok := s.reports.records.tell(id.Who); !ok {
		e := connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%w: %s reports for too many sources", errBusy, id.Who))
		return retryAfter(e, time.Minute)
	}
	_, err := s.Store.Audit().Append(ctx, store.AuditRecord{Who: id.Who, Role: string(id.Role), Verb: "report", Object: "source " + source, Detail: "sessions"})
	if err != nil {
		return fmt.Errorf("the report could not be recorded in the audit chain, so its events are not taken: %w", err)
	}
	s.reports.recorded(id.Who, source)
	return nil
}

// together takes events of which those of one line are in their order. It returns when all are in the store, or with the first error.
func (s subscriberService) together(ctx context.Context, events []subscriber.Event, changed []subscriber.Outcome, switches []string) error {
	lines := make(map[string][]int)
	for i, e := range events {
		line := fmt.Sprint(e.Line, e.Identities)
		lines[line] = append(lines[line], i)
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(eventsOfRequest)
	for _, same := range lines {
		work.Go(func() (err error) {
			for _, i := range same {
				if changed[i], err = s.one(ctx, events[i], switches); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return work.Wait()
}

func (s subscriberService) one(ctx context.Context, e subscriber.Event, switches []string) (subscriber.Outcome, error) {
	select {
	case s.reports.slots <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-s.reports.slots }()
	return s.Sessions.Report(ctx, e, switches)
}

// unstored returns the error for events of which some may not be in the store.
func unstored(err error) error {
	code := codeOf(err)
	if code == connect.CodeInternal { // the record of a line changes all the time
		code = connect.CodeUnavailable
	}
	return connect.NewError(code, fmt.Errorf("the events are not acknowledged, send them again: %w", err))
}
