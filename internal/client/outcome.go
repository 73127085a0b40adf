package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
)

const (
	// SettleWithin bounds how long Settle goes on asking: longer than a controller takes to be started again, or to be taken over.
	SettleWithin = 30 * time.Second
	// settleAttempt bounds one question, and settlePause is between two.
	settleAttempt = 5 * time.Second
	settlePause   = 250 * time.Millisecond
)

// NewRequest returns a request id that no other request has.
func NewRequest() string { return rand.Text() }

// Unclear reports whether an error of a change leaves open whether the change was stored: the answer was lost, or the controller does not
// know itself. An error that a controller gave on purpose is clear, and so is a connection that never stood.
func Unclear(err error) bool {
	var dial *net.OpError
	var answer *connect.Error
	switch {
	case err == nil:
		return false
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, &dial) && dial.Op == "dial":
		return false
	case !errors.As(err, &answer), !connect.IsWireError(err):
		return true
	}
	switch answer.Code() {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled, connect.CodeUnknown, connect.CodeInternal, connect.CodeDataLoss:
		return true
	default:
		return false
	}
}

// Settle asks what became of a change until a controller says, at most for within. The error is that of the last question.
func Settle(ctx context.Context, within time.Duration, c *Client, request string, base uint64) (*op25bv1.OutcomeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	q := &op25bv1.OutcomeRequest{RequestId: request, Base: base}
	for {
		answer, err := Ask(ctx, min(within, settleAttempt), c.Intent.Outcome, q)
		if err == nil {
			return answer, nil
		}
		if connect.IsWireError(err) && !Unclear(err) { // it will say the same again
			return nil, err
		}
		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			return nil, err
		}
	}
}
