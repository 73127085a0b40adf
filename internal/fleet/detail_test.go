package fleet

import (
	"errors"
	"fmt"
	"testing"

	"op25b/internal/p4rt"
)

// TestSessionDetail verifies that the detail of an unreachable switch does not say again that it is unreachable, and that any other error is shown as
// it is.
func TestSessionDetail(t *testing.T) {
	refused := errors.New("connection refused")
	unreachable := &p4rt.Error{Addr: "192.0.2.1:9559", DeviceID: 1, Op: "connect", Kind: p4rt.ErrUnreachable, Err: refused}
	wrapped := fmt.Errorf("after a minute: %w", unreachable)
	tls := &p4rt.Error{Addr: "192.0.2.1:9559", DeviceID: 1, Op: "connect", Kind: p4rt.ErrTLS, Err: refused}
	for _, c := range []struct {
		reason p4rt.StateReason
		err    error
		want   string
	}{
		{p4rt.ReasonUnreachable, unreachable, "192.0.2.1:9559 device 1: connect: connection refused"},
		{p4rt.ReasonUnreachable, wrapped, wrapped.Error()},
		{p4rt.ReasonStreamLost, unreachable, unreachable.Error()},
		{p4rt.ReasonTLS, tls, tls.Error()},
	} {
		if got := sessionDetail(p4rt.SessionStatus{Reason: c.reason, Err: c.err}); got != c.want {
			t.Errorf("%v, %v: %q, want %q", c.reason, c.err, got, c.want)
		}
	}
}
