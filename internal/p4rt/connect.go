package p4rt

import (
	"context"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/metadata"
)

// window is the HTTP/2 flow control window of the connection and of each call, fixed: gRPC's own sizing sends a ping
// with the data it receives, and C-core servers count pings. At 8 MiB a 28 MiB read needs four turns; it is a limit,
// not a buffer.
const window = 8 << 20

// connect prepares the connection; the first call, or Connect, opens it.
func connect(cfg Config, secure *security) (*grpc.ClientConn, error) {
	dialer := &net.Dialer{
		Control: setUserTimeout(cfg.TCPUserTimeout),
		// The kernel's keepalive finds a dead host while nothing is sent. gRPC servers do not count it as pings.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "tcp", addr)
			if err != nil {
				secure.note(nil) // it did not get as far as TLS this time
			}
			return conn, err
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxReceiveBytes), grpc.MaxCallSendMsgSize(maxSend)),
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(window),
		// A refused batch of 10,000 is some 1.6 MB of trailer on bmv2.
		grpc.WithMaxHeaderListSize(maxTrailer),
		grpc.WithChainUnaryInterceptor(saysTrailer), grpc.WithChainStreamInterceptor(saysStreamTrailer),
		grpc.WithIdleTimeout(0), // an idle Reader stays connected
		grpc.WithDisableRetry(), // a write is never repeated behind the caller's back
		grpc.WithNoProxy(),      // a switch is not behind the process's web proxy
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 250 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: 10 * time.Second},
			MinConnectTimeout: cfg.DialTimeout,
		}),
	}
	// passthrough: the dialer resolves the name anew with every dial, and nothing resolves it in between.
	return grpc.NewClient("passthrough:///"+cfg.Addr, append(opts, cfg.DialOptions...)...)
}

const (
	// maxSend leaves the limit of a request to the switch: a compiled pipeline may be large.
	maxSend = 1 << 30
	// maxTrailer bounds the encoded details of a failed write; it is gRPC's default.
	maxTrailer = 16 << 20
)

// metadataHeader has the number of trailer bytes that the client accepts. Without it the embedded switch cuts the list of a batch's errors to
// 8 KiB, which most clients accept. Other switches ignore the header.
const metadataHeader = "max-metadata-size"

func saysTrailer(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(metadata.AppendToOutgoingContext(ctx, metadataHeader, strconv.Itoa(maxTrailer)), method, req, reply, conn, opts...)
}

func saysStreamTrailer(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return stream(metadata.AppendToOutgoingContext(ctx, metadataHeader, strconv.Itoa(maxTrailer)), desc, conn, method, opts...)
}
