package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
)

// After a refusal by a controller or a failed connection, the outcome is clear. After every other
// error, the change may have been stored.
func TestUnclear(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	broken := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{&Unreachable{Err: refused}, false},
		{&Unreachable{Err: broken}, true},
		{fmt.Errorf("x: %w", ErrSlow), true},
		{connect.NewError(connect.CodeInvalidArgument, errors.New("protocol error: incomplete envelope: unexpected EOF")), true},
		{context.Canceled, true},
	} {
		if got := Unclear(c.err); got != c.want {
			t.Errorf("%v is unclear: %v, want %v", c.err, got, c.want)
		}
	}
	for code, want := range map[connect.Code]bool{
		connect.CodeAborted: false, connect.CodeInvalidArgument: false, connect.CodeFailedPrecondition: false, connect.CodePermissionDenied: false,
		connect.CodeResourceExhausted: false, connect.CodeUnavailable: true, connect.CodeDeadlineExceeded: true, connect.CodeInternal: true,
	} {
		c := dial(t, Config{Server: serve(t, &controller{fail: connect.NewError(code, errors.New("why"))}, nil)})
		_, err := Ask(t.Context(), time.Minute, c.Intent.Current, &op25bv1.CurrentRequest{})
		if got := Unclear(err); got != want {
			t.Errorf("%v from a controller is unclear: %v, want %v", code, got, want)
		}
	}
}

// Settle repeats its request until a controller answers or the time limit is reached.
func TestSettle(t *testing.T) {
	c := &controller{}
	client := dial(t, Config{Server: serve(t, c, nil)})
	c.outcomes = []error{connect.NewError(connect.CodeUnavailable, errors.New("no quorum")), nil}
	answer, err := Settle(t.Context(), time.Minute, client, NewRequest(), 7)
	if err != nil || answer.Outcome != op25bv1.OutcomeResponse_STORED || answer.Revision.Number != 8 {
		t.Errorf("%v, %v", answer, err)
	}
	c.outcomes = []error{connect.NewError(connect.CodePermissionDenied, errors.New("no role")), nil}
	if _, err := Settle(t.Context(), time.Minute, client, NewRequest(), 7); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("%v", err)
	}
	c.outcomes = []error{connect.NewError(connect.CodeUnavailable, errors.New("no quorum"))}
	if _, err := Settle(t.Context(), time.Millisecond, client, NewRequest(), 7); err == nil {
		t.Error("it was answered")
	}
}

func (c *controller) Outcome(_ context.Context, q *connect.Request[op25bv1.OutcomeRequest]) (*connect.Response[op25bv1.OutcomeResponse], error) {
	if len(q.Msg.RequestId) < 16 || q.Msg.Base != 7 {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%v", q.Msg))
	}
	err := c.outcomes[0]
	if len(c.outcomes) > 1 {
		c.outcomes = c.outcomes[1:]
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.OutcomeResponse{Outcome: op25bv1.OutcomeResponse_STORED, Revision: &op25bv1.Revision{Number: 8}}), nil
}
