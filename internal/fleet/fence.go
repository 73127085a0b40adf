package fleet

import (
	"context"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fence blocks every request that changes a switch as soon as held returns false. It calls held before each request, because a
// process that was paused may learn late that it has lost an ownership. The session handles the error as if the switch had refused
// the request, and is no longer primary.
func fence(held func() bool) grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		changes := method == p4v1.P4Runtime_Write_FullMethodName || method == p4v1.P4Runtime_SetForwardingPipelineConfig_FullMethodName
		if changes && !held() {
			return status.Error(codes.PermissionDenied, "not sent: the ownership of the switch is lost")
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	})
}
