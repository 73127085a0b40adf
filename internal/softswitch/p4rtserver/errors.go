package p4rtserver

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
)

// errorSpace is the error space of p4.v1.Error and StreamError messages. It has no codes of its own: the
// canonical code and the message say everything.
const errorSpace = "op25b-v1model"

// ErrOptions is wrapped by New's complaint about options that it cannot work with.
var ErrOptions = errors.New("bad options")

func errClosed() error { return status.Error(codes.Unavailable, "the switch is shutting down") }

func errNoPipeline() error {
	return status.Error(codes.FailedPrecondition, "no forwarding pipeline: push one with SetForwardingPipelineConfig first")
}

// invalidf is an INVALID_ARGUMENT status.
func invalidf(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// withCode gives an error of this package the gRPC code of its place.
func withCode(code codes.Code, err error) error {
	return status.Error(code, err.Error())
}

// engineError turns an error of the engine's control side into a gRPC status.
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
