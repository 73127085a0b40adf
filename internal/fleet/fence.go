package fleet

import (
	"context"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fence blocks every request that changes a switch once held returns false. A process that was paused may learn late that it lost an
// ownership; the fence checks before each batch. The session treats the refusal as the switch's own and is no longer primary.
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
