package p4rtserver

import (
	"errors"
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

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

// batchError builds the answer to a batch of which something failed: code UNKNOWN and one p4.v1.Error for
// each element, OK ones included, in the batch's order (spec 12.3). It returns nil if nothing failed.
func batchError(rpc string, errs []error) error {
	failed, first := 0, -1
	details := make([]protoadapt.MessageV1, len(errs))
	for i, err := range errs {
		e := &p4v1.Error{}
		if err != nil {
			st := status.Convert(err)
			e.CanonicalCode, e.Message, e.Space = int32(st.Code()), st.Message(), errorSpace
			failed++
			if first < 0 {
				first = i
			}
		}
		details[i] = protoadapt.MessageV1Of(e)
	}
	if failed == 0 {
		return nil
	}
	msg := fmt.Sprintf("%s: %d of %d failed; the first, number %d: %s", rpc, failed, len(errs), first, status.Convert(errs[first]).Message())
	st, err := status.New(codes.Unknown, msg).WithDetails(details...)
	if err != nil {
		return status.Errorf(codes.Internal, "%s; the details cannot be encoded: %v", msg, err)
	}
	return st.Err()
}
