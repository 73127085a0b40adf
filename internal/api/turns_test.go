package api

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/plan"
	op25bv1 "op25b/proto/op25b/v1"
)

// Callers are served in rotation. A caller with many calls does not delay the others, and a caller that disconnects frees its place in the
// queue.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := &turns{what: "plans", most: 1, waiting: 5}
		give, err := turns.take(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan string, 10)
		wait := func(ctx context.Context, who string) {
			go func() {
				give, err := turns.take(ctx, who)
				if err != nil {
					served <- "no " + who
					return
				}
				served <- who
				give()
			}()
			synctest.Wait()
		}
		leaving, leave := context.WithCancel(t.Context())
		wait(t.Context(), "a")
		wait(t.Context(), "a")
		wait(t.Context(), "a")
		wait(leaving, "c")
		wait(t.Context(), "b")
		_, err = turns.take(t.Context(), "d")
		if connect.CodeOf(err) != connect.CodeResourceExhausted || !errors.Is(err, errBusy) || !strings.Contains(err.Error(), "1 plans are in progress and 5 wait, which is the limit") {
			t.Errorf("one too many: %v", err)
		}
		leave()
		synctest.Wait()
		give()
		synctest.Wait()
		close(served)
		var got []string
		for who := range served {
			got = append(got, who)
		}
		if want := []string{"no c", "a", "b", "a", "a"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if turns.held != 0 || turns.count != 0 || len(turns.lines) != 0 {
			t.Errorf("%+v", turns)
		}
	})
}

// A slowPlanner is a Planner whose plans take until the caller disconnects.
type slowPlanner struct {
	Planner
	begun, ended chan struct{}
}

// Make blocks until the caller disconnects.
func (p slowPlanner) Make(ctx context.Context, _ plan.Request) (*plan.Plan, error) {
	p.begun <- struct{}{}
	<-ctx.Done()
	p.ended <- struct{}{}
	return nil, context.Cause(ctx)
}

// I12: two plans are computed at the same time, up to 16 more plans wait, and any further plan is refused. When a caller disconnects, its
// plan ends. Reads and changes are not affected.
func TestPlansTakeTurns(t *testing.T) {
	planner := slowPlanner{begun: make(chan struct{}, 100), ended: make(chan struct{}, 100)} // the channels have room for plans that begin although their callers have disconnected
	w := newWorld(t, func(d *Deps) { d.Plan = planner })
	w.put(spinnet(t))
	c := op25bv1.NewIntentServiceClient(w.dial())
	outcomes := make(chan error, 2+heavyWaiting)
	ask := func(ctx context.Context) {
		_, err := c.Plan(ctx, &op25bv1.PlanRequest{})
		for status.Code(err) == codes.ResourceExhausted { // the extra plan in full may occupy a place for a moment
			_, err = c.Plan(ctx, &op25bv1.PlanRequest{})
		}
		outcomes <- err
	}
	first, hangUp := context.WithCancel(within(t))
	rest, leave := context.WithCancel(within(t))
	go ask(first)
	<-planner.begun
	for range 1 + heavyWaiting {
		go ask(rest)
	}
	<-planner.begun
	full := func() (err error) { // returns as soon as all other plans are in the queue
		for status.Code(err) != codes.ResourceExhausted {
			ctx, cancel := context.WithTimeout(within(t), 50*time.Millisecond)
			_, err = c.Plan(ctx, &op25bv1.PlanRequest{})
			cancel()
		}
		return err
	}
	if err := full(); detail[*errdetails.RetryInfo](err).GetRetryDelay().GetSeconds() != 30 || !strings.Contains(err.Error(), "2 plans and checks of documents are in progress and 16 wait") {
		t.Errorf("one too many: %v", err)
	}
	if _, err := c.Current(within(t), &op25bv1.CurrentRequest{}); err != nil {
		t.Errorf("a read: %v", err)
	}
	hangUp()
	<-planner.ended
	<-planner.begun // the next plan in the queue begins
	leave()
	for range 2 {
		<-planner.ended
	}
	for range 2 + heavyWaiting {
		if err := <-outcomes; status.Code(err) != codes.Canceled {
			t.Errorf("%v", err)
		}
	}
}
