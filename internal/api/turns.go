package api

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"

	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// A class is a kind of work. Each class has its own places, so that no kind of call keeps another from being served.
type class int

// The classes.
const (
	freeClass   class = iota // the health check
	readClass                // what the store, or what is kept of it, answers
	heavyClass               // plans, documents to be read, and the whole audit chain
	changeClass              // what changes something
	watchClass               // streams that go on for ever
	classes
)

// The places of the classes.
const (
	// heavyAtOnce plans are made at a time: one reads up to plan.DefaultParallel switches with 28 MiB each.
	heavyAtOnce, heavyWaiting = 2, 16
	// changesAtOnce changes are made at a time. Following the switches afterwards counts: an apply that waits is one.
	changesAtOnce, changesWaiting = 32, 64
	// maxWatchers streams are open: each switch of 1,000 is told to all of them.
	maxWatchers  = 1024
	readsWaiting = 4096
)

// classOf is the class of a call. message may be nil.
func classOf(procedure string, message any) class {
	switch procedure {
	case healthCheck:
		return freeClass
	case op25bv1connect.IntentServicePlanProcedure, op25bv1connect.FleetServiceDriftProcedure, op25bv1connect.AuditServiceVerifyProcedure:
		return heavyClass
	case op25bv1connect.FleetServiceWatchSwitchesProcedure, reflectV1, reflectV1Alpha:
		return watchClass
	}
	if asks, ok := message.(interface{ GetFrom() *op25bv1.CheckFrom }); ok && len(asks.GetFrom().GetFiles()) > 0 {
		return heavyClass
	}
	if verbs[procedure].Name != "" {
		return changeClass
	}
	return readClass
}

// turns gives each call of its class a place, or has it wait for one. Callers wait in one line each, and the lines are served in turn: who asks
// a hundred things waits for oneself.
type turns struct {
	what          string // in messages
	most, waiting int
	again         time.Duration // when it is worth another try

	mu    sync.Mutex // guards everything that follows
	held  int
	lines []*line // never empty ones; the first is served next
	count int     // of all who wait
}

// A line is the calls of one caller that wait.
type line struct {
	who  string
	each []chan struct{} // closed when the turn has come
}

// take returns once the caller has a place; give returns it. The error is for the caller: there are too many who wait, or ctx has ended.
func (t *turns) take(ctx context.Context, who string) (give func(), err error) {
	t.mu.Lock()
	if t.held < t.most {
		t.held++
		t.mu.Unlock()
		return t.give, nil
	}
	if t.count >= t.waiting {
		t.mu.Unlock()
		e := connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%w: %d %s are under way and %d wait, which is the limit", errBusy, t.most, t.what, t.waiting))
		return nil, withDetail(e, &errdetails.RetryInfo{RetryDelay: durationpb.New(t.again)})
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
	if !t.leave(who, turn) { // the turn came at the same time
		t.give()
	}
	return nil, fmt.Errorf("%d %s are under way, and there was no turn for this one: %w", t.most, t.what, context.Cause(ctx))
}

// leave takes a waiting call out of its line. It reports false if its turn has come.
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

// give returns a place, to the next who waits if there is one.
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

// An usher gives calls their turn.
type usher struct{ of [classes]*turns }

func newUsher() *usher {
	u := &usher{}
	reads := 2 * runtime.GOMAXPROCS(0) // they wait for the store half of the time; more of them at once take the processor from the leases
	u.of[readClass] = &turns{what: "reads", most: reads, waiting: readsWaiting, again: 5 * time.Second}
	u.of[heavyClass] = &turns{what: "plans and checks of documents", most: heavyAtOnce, waiting: heavyWaiting, again: 30 * time.Second}
	u.of[changeClass] = &turns{what: "changes", most: changesAtOnce, waiting: changesWaiting, again: 30 * time.Second}
	u.of[watchClass] = &turns{what: "streams", most: maxWatchers, again: 30 * time.Second}
	return u
}

func (u *usher) take(ctx context.Context, procedure string, message any) (func(), error) {
	t := u.of[classOf(procedure, message)]
	if t == nil {
		return func() {}, nil
	}
	return t.take(ctx, caller(ctx).Who)
}

// WrapUnary gives calls of one message their turn.
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

// WrapStreamingHandler gives streams their turn.
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

// WrapStreamingClient is for clients, of which there are none here.
func (u *usher) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

var _ connect.Interceptor = (*usher)(nil)
