package api

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// A class is a kind of call. Each class has its own limits, so that calls in one class cannot block calls in another.
type class int

// Classes of calls.
const (
	freeClass   class = iota // the health check
	readClass                // reads of the store or its cache
	heavyClass               // plans, checks with documents, and reads of the whole audit chain
	changeClass              // changes
	watchClass               // watches and reflection streams
	countClass               // watches of counters
	askClass                 // questions of the portal
	reportClass              // streams of reports
	batchClass               // reports that are no streams
	classes
)

// Limits on the calls in progress and on the waiting calls of each class.
const (
	// heavyAtOnce is the limit on heavy calls in progress. A plan reads up to plan.DefaultParallel switches at the same time and uses 28
	// MiB for each of them.
	heavyAtOnce, heavyWaiting = 2, 16
	// changesAtOnce is the limit on changes in progress. It includes stored changes whose callers still follow the switches.
	changesAtOnce, changesWaiting = 32, 64
	// maxWatchers is the limit on open watches and reflection streams. Each watch may send the statuses of 1,000 switches.
	maxWatchers = 1024
	// maxCounterWatches is the limit on open watches of counters. A message of 65,536 rows takes 20 MB.
	maxCounterWatches = 32
	readsWaiting      = 4096
	// asksAtOnce is the limit on questions of the portal in progress. Most of them take less than a millisecond, and the others wait for a
	// look-up of a name, of which as many may be in progress. They must not delay reads.
	asksAtOnce, asksWaiting = 64, 4096
)

// classOf returns the class of a call. message may be nil.
func classOf(procedure string, message any) class {
	switch procedure {
	case healthCheck:
		return freeClass
	case op25bv1connect.IntentServicePlanProcedure, op25bv1connect.FleetServiceDriftProcedure, op25bv1connect.FleetServiceProveProcedure,
		op25bv1connect.AuditServiceVerifyProcedure:
		return heavyClass
	case op25bv1connect.FleetServiceWatchSwitchesProcedure, op25bv1connect.PortalServiceWatchPublicationProcedure, reflectV1, reflectV1Alpha:
		return watchClass
	case op25bv1connect.TelemetryServiceWatchCountersProcedure:
		return countClass
	case op25bv1connect.PortalServiceAskOwnLineProcedure:
		return askClass
	case op25bv1connect.SubscriberServiceReportProcedure:
		return reportClass
	case op25bv1connect.SubscriberServiceReportBatchProcedure:
		return batchClass
	}
	if asks, ok := message.(interface{ GetFrom() *op25bv1.CheckFrom }); ok && len(asks.GetFrom().GetFiles()) > 0 {
		return heavyClass
	}
	if verbs[procedure].Name != "" {
		return changeClass
	}
	return readClass
}

// turns limits the calls of a class in progress and makes further calls wait. Each caller has a separate queue, and the queues are served
// in rotation, so a caller with a hundred calls delays only itself.
type turns struct {
	what          string // the name of the class in errors
	most, waiting int
	again         time.Duration // the retry delay in errors

	mu    sync.Mutex // guards the fields below
	held  int
	lines []*line // the queues that are not empty; the first is served next
	count int     // the number of waiting calls
}

// A line is the queue of one caller's waiting calls.
type line struct {
	who  string
	each []chan struct{} // one channel for each call, closed when the call may begin
}

// take waits until a call may begin. The caller must call give when the call ends. take returns an error if too many calls already wait or
// if ctx ends first.
func (t *turns) take(ctx context.Context, who string) (give func(), err error) {
	t.mu.Lock()
	if t.held < t.most {
		t.held++
		t.mu.Unlock()
		return t.give, nil
	}
	if t.count >= t.waiting {
		t.mu.Unlock()
		e := connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%w: %d %s are in progress and %d wait, which is the limit", errBusy, t.most, t.what, t.waiting))
		return nil, retryAfter(e, t.again)
	}
	turn := make(chan struct{})
	i := slices.IndexFunc(t.lines, func(l *line) bool { return l.who == who })
	if i < 0 {
		i = len(t.lines)
		t.lines = append(t.lines, &line{who: who})
	}
	t.lines[i].each = append(t.lines[i].each, turn)
	t.count++
	t.mu.Unlock()
	select {
	case <-turn:
		return t.give, nil
	case <-ctx.Done():
	}
	if !t.leave(who, turn) { // the call got its turn just as ctx ended
		t.give()
	}
	return nil, fmt.Errorf("%d %s are in progress, and this one did not get its turn: %w", t.most, t.what, context.Cause(ctx))
}

// leave removes a waiting call from its line. It returns false if the call already has its turn.
func (t *turns) leave(who string, turn chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, l := range t.lines {
		if l.who != who {
			continue
		}
		if j := slices.Index(l.each, turn); j >= 0 {
			l.each = slices.Delete(l.each, j, j+1)
			t.count--
			if len(l.each) == 0 {
				t.lines = slices.Delete(t.lines, i, i+1)
			}
			return true
		}
	}
	return false
}

// give ends a call and starts the next waiting call, if there is one.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		t.held--
		return
	}
	next := t.lines[0]
	t.lines = t.lines[1:]
	close(next.each[0])
	t.count--
	if next.each = next.each[1:]; len(next.each) > 0 {
		t.lines = append(t.lines, next)
	}
}

// An usher makes calls wait for their turn.
type usher struct{ of [classes]*turns }

func newUsher() *usher {
	u := &usher{}
	reads := 2 * runtime.GOMAXPROCS(0) // reads wait for the store half of the time, and more concurrent reads would delay the renewal of leases
	u.of[readClass] = &turns{what: "reads", most: reads, waiting: readsWaiting, again: 5 * time.Second}
	u.of[heavyClass] = &turns{what: "plans and checks of documents", most: heavyAtOnce, waiting: heavyWaiting, again: 30 * time.Second}
	u.of[changeClass] = &turns{what: "changes", most: changesAtOnce, waiting: changesWaiting, again: 30 * time.Second}
	u.of[watchClass] = &turns{what: "streams", most: maxWatchers, again: 30 * time.Second}
	u.of[countClass] = &turns{what: "streams of counters", most: maxCounterWatches, again: 30 * time.Second}
	u.of[askClass] = &turns{what: "questions of the portal", most: asksAtOnce, waiting: asksWaiting, again: 5 * time.Second}
	u.of[reportClass] = &turns{what: "streams of reports", most: maxReportStreams, again: 30 * time.Second}
	u.of[batchClass] = &turns{what: "reports", most: batchesAtOnce, waiting: batchesWaiting, again: 5 * time.Second}
	return u
}

func (u *usher) take(ctx context.Context, procedure string, message any) (func(), error) {
	t := u.of[classOf(procedure, message)]
	if t == nil {
		return func() {}, nil
	}
	return t.take(ctx, caller(ctx).Who)
}

// WrapUnary makes unary calls wait for their turn.
func (u *usher) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		give, err := u.take(ctx, req.Spec().Procedure, req.Any())
		if err != nil {
			return nil, asConnectError(err)
		}
		defer give()
		return next(ctx, req)
	}
}

// WrapStreamingHandler makes streams wait for their turn.
func (u *usher) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		give, err := u.take(ctx, conn.Spec().Procedure, nil)
		if err != nil {
			return asConnectError(err)
		}
		defer give()
		return next(ctx, conn)
	}
}

// WrapStreamingClient returns next unchanged, because the interceptor is for servers only.
func (u *usher) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

var _ connect.Interceptor = (*usher)(nil)
