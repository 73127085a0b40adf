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
	// SettleWithin is the default time limit for Settle. It is longer than a restart or a replacement of a controller takes.
	SettleWithin = 30 * time.Second
	// settleAttempt is the time limit for one request of Settle. settlePause is the pause between two requests.
	settleAttempt = 5 * time.Second
	settlePause   = 250 * time.Millisecond
)

// NewRequest returns a new, unique request id.
func NewRequest() string { return rand.Text() }

// Unclear reports whether a change may have been stored although err was returned. This is so if the answer was lost or if the controller
// does not know the outcome. It is not so if a controller refused the change or if no connection was made.
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

// Settle requests the outcome of a change. It repeats the request until a controller answers, for at most the time within. If no
// controller has answered by then, it returns the error of the last request.
func Settle(ctx context.Context, within time.Duration, c *Client, request string, base uint64) (*op25bv1.OutcomeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	q := &op25bv1.OutcomeRequest{RequestId: request, Base: base}
	for {
		answer, err := Ask(ctx, min(within, settleAttempt), c.Intent.Outcome, q)
		if err == nil {
			return answer, nil
		}
		if connect.IsWireError(err) && !Unclear(err) { // a refusal, which a repetition would not change
			return nil, err
		}
		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			return nil, err
		}
	}
}
