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

// ErrSlow is returned for a request that was not answered in time. Whether a change was made is then not known.
var ErrSlow = errors.New("the controller has not answered in time")

// Ask sends a request and returns the answer, or ErrSlow after within; 0 waits for ever.
func Ask[Q, A any](ctx context.Context, within time.Duration, call func(context.Context, *connect.Request[Q]) (*connect.Response[A], error), q *Q) (*A, error) {
	ctx, _, end := deadline(ctx, within)
	defer end()
	answer, err := call(ctx, connect.NewRequest(q))
	if err != nil {
		return nil, cause(ctx, err)
	}
	return answer.Msg, nil
}

// A Stream is the method of a client whose answer is several messages.
type Stream[Q, M any] = func(context.Context, *connect.Request[Q]) (*connect.ServerStreamForClient[M], error)

// Follow sends a request and hands each message of the answer to each, until there is none, each fails, or ctx ends. within bounds the
// wait for the first.
func Follow[Q, M any](ctx context.Context, within time.Duration, call Stream[Q, M], q *Q, each func(*M) error) error {
	ctx, answered, end := deadline(ctx, within)
	defer end()
	return follow(ctx, answered, call, q, each)
}

// Await is Follow, but within bounds the wait for the last message, whatever the controller does.
func Await[Q, M any](ctx context.Context, within time.Duration, call Stream[Q, M], q *Q, each func(*M) error) error {
	ctx, _, end := deadline(ctx, within)
	defer end()
	return follow(ctx, func() {}, call, q, each)
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

// Watch is Follow for a stream that has no end: when the controller ends it because the connection is old, Watch asks again on a new one.
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

// comeAgain reports whether an error asks to make the call again.
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

// deadline ends a context with ErrSlow unless answered is called before; end ends it in any case. It is not a context's own deadline, which
// the server would be told of and keep to as well, so that who sees it first is chance.
func deadline(ctx context.Context, within time.Duration) (_ context.Context, answered, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if within == 0 {
		return ctx, func() {}, func() { cancel(nil) }
	}
	timer := time.AfterFunc(within, func() { cancel(fmt.Errorf("%w, which was %v; --timeout says how long to wait", ErrSlow, within)) })
	return ctx, func() { timer.Stop() }, func() { timer.Stop(); cancel(nil) }
}

// cause is what ended a request: the deadline, if it was that.
func cause(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), ErrSlow) {
		return context.Cause(ctx)
	}
	return err
}
