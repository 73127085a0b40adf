package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// ErrSlow is returned if a request was not answered in time. If the request was for a change, the change may or may not have been made.
var ErrSlow = errors.New("the controller did not answer in time")

// Ask sends a request and returns the answer. It returns ErrSlow if no answer arrives within the given time; 0 means no limit.
func Ask[Q, A any](ctx context.Context, within time.Duration, call func(context.Context, *connect.Request[Q]) (*connect.Response[A], error), q *Q) (*A, error) {
	ctx, _, end := deadline(ctx, within)
	defer end()
	answer, err := call(ctx, connect.NewRequest(q))
	if err != nil {
		return nil, cause(ctx, err)
	}
	return answer.Msg, nil
}

// A Stream is a method of a client that returns a stream of messages.
type Stream[Q, M any] = func(context.Context, *connect.Request[Q]) (*connect.ServerStreamForClient[M], error)

// Follow sends a request and calls each with every message of the answer. It returns when the stream ends, when each returns an error, or
// when ctx ends. within limits the wait for the first message.
func Follow[Q, M any](ctx context.Context, within time.Duration, call Stream[Q, M], q *Q, each func(*M) error) error {
	ctx, answered, end := deadline(ctx, within)
	defer end()
	return follow(ctx, answered, call, q, each)
}

// Await is like Follow, but limits the wait for the last message too: first limits the wait for the first message, and within the time from then
// until the last one. 0 means no limit.
func Await[Q, M any](ctx context.Context, first, within time.Duration, call Stream[Q, M], q *Q, each func(*M) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := slow(cancel, first)
	defer func() { stop() }()
	heard := false
	return follow(ctx, func() {
		if !heard {
			heard = true
			stop()
			stop = slow(cancel, within)
		}
	}, call, q, each)
}

func follow[Q, M any](ctx context.Context, answered func(), call Stream[Q, M], q *Q, each func(*M) error) error {
	stream, err := call(ctx, connect.NewRequest(q))
	if err != nil {
		return cause(ctx, err)
	}
	defer stream.Close()
	for stream.Receive() {
		answered()
		if err := each(stream.Msg()); err != nil {
			return err
		}
	}
	return cause(ctx, stream.Err())
}

// Watch is like Follow, but for a stream that does not end by itself. If the controller ends the stream because of the connection's age,
// Watch repeats the request on a new connection.
func Watch[Q, M any](
	ctx context.Context, within time.Duration, call func(context.Context, *connect.Request[Q]) (*connect.ServerStreamForClient[M], error), q *Q,
	each func(*M) error,
) error {
	for {
		heard := false
		err := Follow(ctx, within, call, q, func(m *M) error {
			heard = true
			return each(m)
		})
		if !heard || !comeAgain(err) {
			return err
		}
	}
}

// comeAgain reports whether an error from the controller requests that the caller repeat the call.
func comeAgain(err error) bool {
	var e *connect.Error
	if !errors.As(err, &e) || e.Code() != connect.CodeUnavailable {
		return false
	}
	return slices.ContainsFunc(e.Details(), func(d *connect.ErrorDetail) bool {
		m, err := d.Value()
		_, is := m.(*errdetails.RetryInfo)
		return err == nil && is
	})
}

// deadline returns a context that ends with ErrSlow after within, unless answered is called first. The caller must call end, which ends the
// context. The context has no deadline, because connect would send the deadline to the controller, and the controller might then end the
// call first.
func deadline(ctx context.Context, within time.Duration) (_ context.Context, answered, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := slow(cancel, within)
	return ctx, stop, func() { stop(); cancel(nil) }
}

// slow cancels with ErrSlow after within, unless the function that it returns is called first. 0 means no limit.
func slow(cancel context.CancelCauseFunc, within time.Duration) (stop func()) {
	if within == 0 {
		return func() {}
	}
	timer := time.AfterFunc(within, func() { cancel(fmt.Errorf("%w, within %v; --timeout sets the limit", ErrSlow, within)) })
	return func() { timer.Stop() }
}

// cause returns ErrSlow if the context of deadline ended the request; otherwise it returns err.
func cause(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), ErrSlow) {
		return context.Cause(ctx)
	}
	return err
}
