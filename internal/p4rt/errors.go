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

// Errors that are returned before a request is sent.
var (
	// ErrConfig is returned by Dial, DialReader and Keep if the Config is invalid. Nothing was dialed.
	ErrConfig = errors.New("invalid configuration")
	// ErrUpdate is returned by Write if an update is nil or cannot be encoded. That update was not sent.
	ErrUpdate = errors.New("invalid update")
)

// Errors of a connection and its stream.
var (
	// ErrUnreachable is returned if no connection to the switch can be made, or if the switch does not answer in time.
	ErrUnreachable = errors.New("unreachable")
	// ErrTLS is returned if the switch can be reached but the TLS handshake fails. This happens if one side does not accept the
	// other side's certificate or does not use TLS.
	ErrTLS = errors.New("TLS refused")
	// ErrArbitrationRefused is returned if the switch ends the stream instead of answering the arbitration. The code
	// INVALID_ARGUMENT means that another live stream still uses this election id. It may be an earlier stream of this controller
	// whose loss the switch has not noticed.
	ErrArbitrationRefused = errors.New("arbitration refused")
	// ErrUnknownDevice is returned if the device id or the role does not exist on the switch.
	ErrUnknownDevice = errors.New("unknown device id or role")
	// ErrStreamLost is the cause of a session's end if the switch or the network ended the stream.
	ErrStreamLost = errors.New("stream lost")
	// ErrClosed is the cause of a session's end if the session was closed by Close.
	ErrClosed = errors.New("session closed")
)

// Errors of a request.
var (
	// ErrNotPrimary is returned by every method that changes the switch if the session is not primary. If the session was primary
	// before, the error is permanent, whatever the switch reports later.
	ErrNotPrimary = errors.New("not primary")
	// ErrNoPipeline is returned while the switch has no forwarding pipeline.
	ErrNoPipeline = errors.New("no forwarding pipeline")
	// ErrPipelineRefused is returned by Push if the switch does not accept the pipeline. The switch keeps its previous pipeline.
	ErrPipelineRefused = errors.New("pipeline refused")
	// ErrNoClock is returned by Clock if the switch does not report its clock, because it has no CPU port or an older program.
	ErrNoClock = errors.New("no clock")
	// ErrUnclear is the reason in a WriteError whose Unclear part is not empty. The switch did not report which of these updates it
	// applied.
	ErrUnclear = errors.New("outcome unclear")
)

// ErrRecording is returned by Replay if the recording cannot be replayed.
var ErrRecording = errors.New("recording")

// An Error describes a failed request, its switch, and the cause. Kind is one of the errors above, or nil if none of them fits. Err
// is the error of the switch, gRPC or the context. errors.Is and errors.As match both Kind and Err. status.Code and
// status.FromError return the gRPC status.
type Error struct {
	Addr     string // address of the switch, as configured
	DeviceID uint64
	Op       string // name of the request, such as "read"
	Kind     error
	Err      error
}

// Error returns text such as `127.0.0.1:9559 device 1: read: no forwarding pipeline: FailedPrecondition: ...`.
func (e *Error) Error() string {
	return fmt.Sprintf("%s device %d: %s: %v", e.Addr, e.DeviceID, e.Op, because{e.Kind, e.Err})
}

// WithoutKind returns the text without the kind, for a message that has already named the kind.
func (e *Error) WithoutKind() string {
	text := fmt.Sprintf("%s device %d: %s", e.Addr, e.DeviceID, e.Op)
	if e.Err != nil {
		text += ": " + causeText(e.Err, e.Kind == ErrUnreachable)
	}
	return text
}

// Unwrap returns Kind and Err if they are not nil.
func (e *Error) Unwrap() []error { return because{e.Kind, e.Err}.Unwrap() }

// because combines an error with its kind, for messages that already name the switch. Either may be nil.
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

// causeText returns the text of err without gRPC's prefix "rpc error: code = ... desc = ...", which does not help an operator. If
// said is true, causeText also omits the gRPC code, because the kind of the error already gives the same information.
func causeText(err error, said bool) string {
	s, ok := err.(interface{ GRPCStatus() *status.Status }) // do not look for a wrapped error, because the text of the wrapping error would be lost
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

// connectionError matches gRPC's text of a connection error. dialing matches the prefix of the text that dialText removes.
var (
	connectionError = regexp.MustCompile(`connection error: desc = ("(?:[^"\\]|\\.)*")`)
	dialing         = regexp.MustCompile(`^(transport: )?(Error while dialing: )?(dial tcp[^ ]*( [^ ]+)?: )?(connect: )?`)
)

// dialText replaces gRPC's text of a connection error by the cause at its end. Such a text is: connection error: desc = "transport:
// Error while dialing: dial tcp 192.0.2.1:9559: connect: connection refused".
func dialText(text string) string {
	return connectionError.ReplaceAllStringFunc(text, func(found string) string {
		desc, err := strconv.Unquote(connectionError.FindStringSubmatch(found)[1])
		if err != nil {
			return found
		}
		return strings.TrimPrefix(desc, dialing.FindString(desc))
	})
}

// transportKind returns ErrUnreachable for the gRPC codes that mean it in every RPC, and nil for other codes.
func transportKind(code codes.Code) error {
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded:
		return ErrUnreachable
	default:
		return nil
	}
}
