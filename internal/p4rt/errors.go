package p4rt

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Errors before a switch is spoken to.
var (
	// ErrConfig is returned by Dial, DialReader and Keep for a Config that cannot work; nothing has been dialed.
	ErrConfig = errors.New("invalid configuration")
	// ErrUpdate is returned by Write for a list that holds a nil update; nothing has been sent.
	ErrUpdate = errors.New("invalid update")
)

// Errors of a connection and its stream.
var (
	// ErrUnreachable is returned when the switch cannot be connected to, or gives no answer in time.
	ErrUnreachable = errors.New("unreachable")
	// ErrTLS is returned when the switch answers and the TLS handshake fails: one side does not accept the other's
	// certificate, or does not speak TLS.
	ErrTLS = errors.New("TLS refused")
	// ErrArbitrationRefused is returned when the switch ends the stream instead of answering the arbitration. With
	// INVALID_ARGUMENT another live stream, maybe a lost one of our own, still holds this election id.
	ErrArbitrationRefused = errors.New("arbitration refused")
	// ErrUnknownDevice is returned when the switch does not know the device id or the role.
	ErrUnknownDevice = errors.New("unknown device id or role")
	// ErrStreamLost is the end of a session whose stream the switch or the network has cut.
	ErrStreamLost = errors.New("stream lost")
	// ErrClosed is the end of a session that was closed by Close.
	ErrClosed = errors.New("session closed")
)

// Errors of a request.
var (
	// ErrNotPrimary is returned by everything that changes the switch while another controller owns it. It is final for
	// a session that was primary before, whatever the switch reports later.
	ErrNotPrimary = errors.New("not primary")
	// ErrNoPipeline is returned while the switch has no forwarding pipeline.
	ErrNoPipeline = errors.New("no forwarding pipeline")
	// ErrPipelineRefused is returned by Push when the switch does not accept the pipeline; it keeps the one it had.
	ErrPipelineRefused = errors.New("pipeline refused")
	// ErrUnclear is in a WriteError whose Unclear part is not empty: the switch did not report, for each update,
	// whether it was applied.
	ErrUnclear = errors.New("outcome unclear")
)

// ErrRecording is returned by Replay for a file that cannot be replayed.
var ErrRecording = errors.New("recording")

// An Error has the request that failed, its switch, and the cause. Kind, one of the sentinels above, is nil when
// none of them fits; Err is what the switch, gRPC or the context said. Both are found by errors.Is and errors.As, and
// status.Code and status.FromError find the gRPC status in it.
type Error struct {
	Addr     string // as configured
	DeviceID uint64
	Op       string // what was asked for, such as "read"
	Kind     error
	Err      error
}

// Error renders `127.0.0.1:9559 device 1: read: no forwarding pipeline: FailedPrecondition: ...`.
func (e *Error) Error() string {
	return fmt.Sprintf("%s device %d: %s: %v", e.Addr, e.DeviceID, e.Op, because{e.Kind, e.Err})
}

// Unwrap returns Kind and Err, as far as they are set.
func (e *Error) Unwrap() []error { return because{e.Kind, e.Err}.Unwrap() }

// because is a cause with its kind, for where the switch is named already. One of the two may be nil.
type because struct{ kind, err error }

func (b because) Error() string {
	var parts []string
	if b.kind != nil {
		parts = append(parts, b.kind.Error())
	}
	if b.err != nil {
		parts = append(parts, causeText(b.err, b.kind == ErrUnreachable))
	}
	return strings.Join(parts, ": ")
}

func (b because) Unwrap() []error {
	var errs []error
	for _, err := range []error{b.kind, b.err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// causeText leaves out gRPC's wrapping, which does not help an operator: "rpc error: code = ... desc = ...", and the code too where the
// kind of the error already says it.
func causeText(err error, said bool) string {
	s, ok := err.(interface{ GRPCStatus() *status.Status }) // err itself, not one it wraps: that text would be lost
	if !ok {
		return err.Error()
	}
	st := s.GRPCStatus()
	switch {
	case st.Message() == "":
		return st.Code().String()
	case said:
		return dialText(st.Message())
	}
	return st.Code().String() + ": " + st.Message()
}

// connectionError matches gRPC's error of a connection, dialing its prefixes.
var (
	connectionError = regexp.MustCompile(`connection error: desc = ("(?:[^"\\]|\\.)*")`)
	dialing         = regexp.MustCompile(`^(transport: )?(Error while dialing: )?(dial tcp[^ ]*( [^ ]+)?: )?(connect: )?`)
)

// dialText shortens gRPC's error of a connection to the cause at its end: connection error: desc = "transport: Error while dialing:
// dial tcp 192.0.2.1:9559: connect: connection refused".
func dialText(text string) string {
	return connectionError.ReplaceAllStringFunc(text, func(found string) string {
		desc, err := strconv.Unquote(connectionError.FindStringSubmatch(found)[1])
		if err != nil {
			return found
		}
		return strings.TrimPrefix(desc, dialing.FindString(desc))
	})
}

// transportKind returns the sentinel of a gRPC code that means the same in every RPC, or nil.
func transportKind(code codes.Code) error {
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded:
		return ErrUnreachable
	default:
		return nil
	}
}
