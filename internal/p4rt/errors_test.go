package p4rt

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

func TestErrorText(t *testing.T) {
	refused := grpcstatus.Error(codes.PermissionDenied, "Not primary")
	for want, err := range map[string]error{
		"sw:1 device 7: read: no forwarding pipeline: FailedPrecondition: none yet": &Error{
			"sw:1", 7, "read", ErrNoPipeline, grpcstatus.Error(codes.FailedPrecondition, "none yet"),
		},
		"sw:1 device 7: read: Unimplemented":       &Error{"sw:1", 7, "read", nil, grpcstatus.Error(codes.Unimplemented, "")},
		"sw:1 device 7: connect: context canceled": &Error{"sw:1", 7, "connect", nil, context.Canceled},
		"sw:1 device 7: stream: stream lost":       &Error{"sw:1", 7, "stream", ErrStreamLost, nil},
		"sw:1 device 7: write: 4 of 10 updates applied, 2 unclear, 4 not applied: outcome unclear: unreachable: bye": &WriteError{
			Addr: "sw:1", DeviceID: 7, Total: 10, Applied: 4, Unclear: Span{4, 6}, NotSent: Span{6, 10},
			Err: unclear(grpcstatus.Error(codes.Unavailable, "bye")),
		},
		"update 3 (UNSPECIFIED empty entity): NotFound (vendor 500)": UpdateError{
			Index: 3, Code: codes.NotFound, Space: "vendor", SpaceCode: 500,
		},
	} {
		if err.Error() != want {
			t.Errorf("message\n%s\nwant\n%s", err, want)
		}
	}
	err := error(&Error{"sw:1", 7, "write", ErrNotPrimary, refused})
	if !errors.Is(err, ErrNotPrimary) || !errors.Is(err, refused) || grpcstatus.Code(err) != codes.PermissionDenied {
		t.Errorf("%v: kind, cause or code is lost", err)
	}
}

// The text of a connection error contains the switch and the cause exactly once.
func TestConnectErrorSaysItOnce(t *testing.T) {
	for message, want := range map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 192.0.2.1:9559: connect: connection refused"`:   "connection refused",
		`connection error: desc = "transport: Error while dialing: dial tcp: lookup edge-1 on 192.0.2.53:53: no such host"`: "lookup edge-1 on 192.0.2.53:53: no such host",
		`connection error: desc = "transport: Error while dialing: dial tcp 192.0.2.1:9559: i/o timeout"`:                   "i/o timeout",
		`connection error: desc = "error reading server preface: EOF"`:                                                      "error reading server preface: EOF",
		`connection error: desc = "a \"quoted\" word"`:                                                                      `a "quoted" word`,
		"bye": "bye",
		"":    "Unavailable",
	} {
		err := &Error{"192.0.2.1:9559", 1, "connect", ErrUnreachable, grpcstatus.Error(codes.Unavailable, message)}
		if want := "192.0.2.1:9559 device 1: connect: unreachable: " + want; err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
		if got, want := err.WithoutKind(), "192.0.2.1:9559 device 1: connect: "+want; got != want {
			t.Errorf("without the kind: %q, want %q", got, want)
		}
	}
	if got := (&Error{Addr: "sw:1", DeviceID: 7, Op: "connect", Kind: ErrUnreachable}).WithoutKind(); got != "sw:1 device 7: connect" {
		t.Errorf("without a cause: %q", got)
	}
}

func TestReasonOf(t *testing.T) {
	for err, want := range map[error]StateReason{
		ErrClosed:             ReasonClosed,
		ErrUnknownDevice:      ReasonUnknown,
		ErrArbitrationRefused: ReasonRefused,
		ErrUnreachable:        ReasonUnreachable,
		ErrStreamLost:         ReasonStreamLost,
		ErrNotPrimary:         ReasonDemoted,
		io.ErrUnexpectedEOF:   ReasonFailed,
	} {
		if got := reasonOf(&Error{Kind: err}); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

func TestBackoffGrowsToItsMaximum(t *testing.T) {
	b := Backoff{Min: 250 * time.Millisecond, Max: 15 * time.Second}
	for failures, full := range map[int]time.Duration{
		1: 250 * time.Millisecond, 2: 500 * time.Millisecond, 6: 8 * time.Second, 7: 15 * time.Second, 8: 15 * time.Second, 1000: 15 * time.Second,
	} {
		low, high := full, time.Duration(0)
		for range 1000 {
			wait := b.after(failures)
			low, high = min(low, wait), max(high, wait)
		}
		// The probability that 1,000 draws all miss a tenth of the range at one of its ends is 2 x
		// 0.9^1000, or 1 in 10^45.
		if low < full/2 || high > full || low > full*55/100 || high < full*95/100 {
			t.Errorf("after %d failures %v to %v, want %v to %v", failures, low, high, full/2, full)
		}
	}
}

func TestElectionID(t *testing.T) {
	rising := []ElectionID{{}, {Low: 1}, {Low: 2}, {High: 1}, {High: 1, Low: 1}, {High: 2}}
	for i, a := range rising {
		for j, b := range rising {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%v against %v: %d, want %d", a, b, got, want)
			}
		}
	}
	for want, id := range map[string]ElectionID{"42": {Low: 42}, "1/2": {High: 1, Low: 2}} {
		if id.String() != want {
			t.Errorf("%q, want %q", id, want)
		}
	}
}
