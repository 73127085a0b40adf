package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/client"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// interruptedWithin is the maximum time that an interrupted command waits for the outcome of its change.
const interruptedWithin = 3 * time.Second

// A lostAnswer is the error for a change whose answer was lost.
type lostAnswer struct {
	Request string
	Outcome op25bv1.OutcomeResponse_Outcome
	Err     error // the error of the change
	Asked   error // the error of the request for the outcome; nil if a controller answered that request
}

// Error returns a message that states whether the change was stored, if known, and why the answer was lost.
func (e *lostAnswer) Error() string {
	why := explain(e.Err).Message
	if e.Outcome == op25bv1.OutcomeResponse_NOT_STORED {
		return "not stored, nothing was changed: " + why
	}
	text := "it is not known whether the change was stored: " + why
	if e.Asked != nil {
		text += "; the request for its outcome failed: " + explain(e.Asked).Message
	}
	return text + "; look for request " + e.Request + " in op25b history -o json"
}

// outcome returns the outcome as it appears in JSON output.
func (e *lostAnswer) outcome() string {
	if e.Outcome == op25bv1.OutcomeResponse_NOT_STORED {
		return "not stored"
	}
	return "unknown"
}

// Unwrap returns the error of the change.
func (e *lostAnswer) Unwrap() error { return e.Err }

var _ error = (*lostAnswer)(nil)

// A changing is the state of a change in progress.
type changing struct {
	stored   *op25bv1.Revision
	done     *op25bv1.Done
	switches map[string]*op25bv1.SwitchStatus // the last status of each switch, by the switch's name
}

// A changeCall is a client method that makes a change.
type changeCall[Q any] func(context.Context, *connect.Request[Q]) (*connect.ServerStreamForClient[op25bv1.Progress], error)

// A changeRequest is a request that makes a change.
type changeRequest interface{ GetRequestId() string }

// change makes a change that is based on revision base, and shows its progress until every switch has converged or failed. If the
// answer is lost, change requests the outcome by the request id. If the change was stored, it then repeats the request to show the
// progress. Because of the request id, a repeated request does not make the change twice.
func change[Q any, P interface {
	*Q
	changeRequest
}](ctx context.Context, c *console, call changeCall[Q], q P, base uint64,
) error {
	var made changing
	follow := func() error {
		return awaitProved(ctx, c, call, (*Q)(q), func(p *op25bv1.Progress) error { return made.show(c, p) })
	}
	err := follow()
	if made.stored == nil && client.Unclear(err) {
		if err = c.settle(ctx, q.GetRequestId(), base, err, &made); err == nil && ctx.Err() == nil {
			err = follow()
		}
	}
	return made.outcome(ctx, c, err)
}

// outcome returns the error of a change whose progress ended with err.
func (m *changing) outcome(ctx context.Context, c *console, err error) error {
	switch {
	case m.stored != nil && ctx.Err() != nil:
		fmt.Fprintf(c.errOut, "Revision %d is stored and stays in force; see op25b status.\n", m.stored.Number)
		return ctx.Err()
	case errors.Is(err, client.ErrSlow) && m.stored != nil:
		return errors.New(view.Unfinished(m.stored, m.switches, c.timeout))
	case connect.CodeOf(err) == connect.CodeAborted && m.stored != nil: // the store was replaced and no longer has the revision
		return err
	case err != nil && m.stored != nil:
		return fmt.Errorf("revision %d is stored, but its progress is not known: %s; see op25b status", m.stored.Number, explain(err).Message)
	case err != nil:
		return err
	case len(m.done.GetFailed()) > 0:
		return errReported
	}
	return nil
}

// show records a progress message and displays it.
func (m *changing) show(c *console, p *op25bv1.Progress) error {
	if r := p.GetStored(); r != nil {
		m.stored = r
	}
	if d := p.GetDone(); d != nil {
		m.done = d
	}
	if s := p.GetSwitch(); s != nil {
		if m.switches == nil {
			m.switches = make(map[string]*op25bv1.SwitchStatus)
		}
		m.switches[s.Switch] = s
	}
	return c.view.Progress(p)
}

// settle requests the outcome of a change whose answer was lost. It returns nil if the change was stored, and a *lostAnswer otherwise.
func (c *console) settle(ctx context.Context, request string, base uint64, lost error, made *changing) error {
	within := client.SettleWithin
	if c.timeout > 0 {
		within = min(within, c.timeout)
	}
	interrupted := ctx.Err() != nil
	if interrupted {
		ctx, within = context.WithoutCancel(ctx), interruptedWithin
	}
	if !c.json {
		fmt.Fprintf(c.errOut, "The answer to the change was lost: %s. Requesting its outcome.\n", explain(lost).Message)
	}
	answer, err := client.Settle(ctx, within, c.Client, request, base)
	if answer.GetOutcome() == op25bv1.OutcomeResponse_STORED {
		made.stored = answer.Revision
		return nil
	}
	settled := &lostAnswer{Request: request, Outcome: answer.GetOutcome(), Err: lost, Asked: err}
	if interrupted {
		fmt.Fprintln(c.errOut, "op25b:", settled)
	}
	return settled
}
