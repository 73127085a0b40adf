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

// Errors that occur before a request is sent.
var (
	// ErrConfig is returned by Dial, DialReader and Keep for an invalid Config, before anything is dialed.
	ErrConfig = errors.New("invalid configuration")
	// ErrUpdate is returned by Write for a list with a nil update, before anything is sent.
	ErrUpdate = errors.New("invalid update")
)

// Errors of a connection and its stream.
var (
	// ErrUnreachable is returned when the switch cannot be connected to, or does not answer in time.
	ErrUnreachable = errors.New("unreachable")
	// ErrTLS is returned when the switch answers but the TLS handshake fails: one side does not accept the other's
	// certificate, or does not use TLS.
	ErrTLS = errors.New("TLS refused")
	// ErrArbitrationRefused is returned when the switch ends the stream instead of answering the arbitration. The
	// code INVALID_ARGUMENT means that another live stream, possibly a lost stream of our own, still uses this
	// election id.
	ErrArbitrationRefused = errors.New("arbitration refused")
	// ErrUnknownDevice is returned when the switch does not know the device id or the role.
	ErrUnknownDevice = errors.New("unknown device id or role")
	// ErrStreamLost is the cause of a session's end if the switch or the network has cut the stream.
	ErrStreamLost = errors.New("stream lost")
	// ErrClosed is the cause of a session's end if the session was closed by Close.
	ErrClosed = errors.New("session closed")
)

// Errors of a request.
var (
	// ErrNotPrimary is returned by every method that changes the switch if the session is not primary. For a session
	// that was primary before, the error is permanent, whatever the switch reports later.
	ErrNotPrimary = errors.New("not primary")
	// ErrNoPipeline is returned while the switch has no forwarding pipeline.
	ErrNoPipeline = errors.New("no forwarding pipeline")
	// ErrPipelineRefused is returned by Push when the switch does not accept the pipeline. The switch keeps its
	// previous pipeline.
	ErrPipelineRefused = errors.New("pipeline refused")
	// ErrUnclear is the reason in a WriteError whose Unclear part is not empty: the switch did not report, for each
	// update, whether it was applied.
	ErrUnclear = errors.New("outcome unclear")
)

// ErrRecording is returned by Replay for a file that cannot be replayed.
var ErrRecording = errors.New("recording")

// An Error describes the request that failed, its switch, and the cause. Kind is one of the errors above, or nil if
// none of them fits. Err is the error of the switch, gRPC or the context. errors.Is and errors.As find both, and
// status.Code and status.FromError find the gRPC status.
type Error struct {
	Addr     string // as configured
	DeviceID uint64
	Op       string // name of the request, such as "read"
	Kind     error
	Err      error
}

// Error returns text such as `127.0.0.1:9559 device 1: read: no forwarding pipeline: FailedPrecondition: ...`.
func (e *Error) Error() string {
	return fmt.Sprintf("%s device %d: %s: %v", e.Addr, e.DeviceID, e.Op, because{e.Kind, e.Err})
}

// Unwrap returns Kind and Err if they are not nil.
func (e *Error) Unwrap() []error { return because{e.Kind, e.Err}.Unwrap() }

// because is an error with its kind, for texts that already name the switch. Either may be nil.
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

// causeText returns the text of err without gRPC's prefix "rpc error: code = ... desc = ...", which does not help an
// operator. If said is true, causeText also omits the code, because the kind of the error already states it.
func causeText(err error, said bool) string {
	s, ok := err.(interface{ GRPCStatus() *status.Status }) // err itself, not an error that it wraps: the text around that error would be lost
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

// connectionError matches gRPC's text of a connection error. dialing matches the prefixes of such a text.
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

// transportKind returns the sentinel of a gRPC code that has the same meaning in every RPC, or nil for other codes.
func transportKind(code codes.Code) error {
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded:
		return ErrUnreachable
	default:
		return nil
	}
}
