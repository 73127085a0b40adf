package p4rtserver

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
)

// errorSpace is the error space of p4.v1.Error and StreamError messages. The space defines no codes of its own, because the canonical code
// and the message suffice.
const errorSpace = "op25b-v1model"

// ErrOptions is returned by New if an option is invalid.
var ErrOptions = errors.New("bad options")

func errClosed() error { return status.Error(codes.Unavailable, "the switch is shutting down") }

func errNoPipeline() error {
	return status.Error(codes.FailedPrecondition, "no forwarding pipeline: push one with SetForwardingPipelineConfig first")
}

// invalidf returns a status with the code INVALID_ARGUMENT.
func invalidf(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// withCode converts an error of this package to a gRPC status with the given code.
func withCode(code codes.Code, err error) error {
	return status.Error(code, err.Error())
}

// engineError converts an error of the engine to a gRPC status.
func engineError(err error) error {
	for _, m := range []struct {
		is   error
		code codes.Code
	}{
		{engine.ErrExists, codes.AlreadyExists},
		{engine.ErrNotFound, codes.NotFound},
		{engine.ErrFull, codes.ResourceExhausted},
		{engine.ErrConst, codes.PermissionDenied},
		{engine.ErrInvalid, codes.InvalidArgument},
		{engine.ErrInUse, codes.FailedPrecondition},
		{engine.ErrUnsupported, codes.Unimplemented},
	} {
		if errors.Is(err, m.is) {
			return status.Error(m.code, err.Error())
		}
	}
	return status.Error(codes.Internal, err.Error())
}
