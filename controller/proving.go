package main

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/client"
	"op25b/internal/plan"
)

// provingWithin is the time that a command waits for an answer that contains a proof, unless --timeout is given: the longest time of a proof, and as much
// as any other part of the answer takes.
const provingWithin = plan.ProofTime + time.Minute

// provingTold is the time after which a command says why it waits.
const provingTold = 3 * time.Second

// proving returns the longest wait for an answer that contains a proof. 0 means no limit.
func (c *console) proving() time.Duration {
	if c.timeoutGiven || c.timeout == 0 {
		return c.timeout
	}
	return max(c.timeout, provingWithin)
}

// tellProving writes to stderr why the command waits, unless the returned function is called within provingTold.
func (c *console) tellProving() (stop func()) {
	if c.json {
		return func() {}
	}
	timer := time.AfterFunc(provingTold, func() {
		fmt.Fprintf(c.errOut, "Waiting for the proof on the twin, which ends within %v.\n", plan.ProofTime)
	})
	return func() { timer.Stop() }
}

// askProved sends a request whose answer contains a proof.
func askProved[Q, A any](ctx context.Context, c *console, call func(context.Context, *connect.Request[Q]) (*connect.Response[A], error), q *Q) (*A, error) {
	defer c.tellProving()()
	return client.Ask(ctx, c.proving(), call, q)
}

// awaitProved makes a change that is proved before it is stored, and follows its progress.
func awaitProved[Q, M any](ctx context.Context, c *console, call client.Stream[Q, M], q *Q, each func(*M) error) error {
	stop := c.tellProving()
	defer stop()
	return client.Await(ctx, c.proving(), c.timeout, call, q, func(m *M) error {
		stop()
		return each(m)
	})
}
