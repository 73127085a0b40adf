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

// window is the HTTP/2 flow control window of the connection and of each call. It is fixed because gRPC's own sizing
// sends a ping with the data it receives, and C-core servers count pings. With 8 MiB, a read of 28 MiB needs four
// round trips. The window is a limit, not an allocated buffer.
const window = 8 << 20

// connect prepares the connection. The first call, or the method Connect, opens it.
func connect(cfg Config, secure *security) (*grpc.ClientConn, error) {
	dialer := &net.Dialer{
		Control: setUserTimeout(cfg.TCPUserTimeout),
		// The kernel's keepalive detects a dead host while nothing is sent. gRPC servers do not count its probes as
		// pings.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "tcp", addr)
			if err != nil {
				secure.note(nil) // this attempt failed before the TLS handshake
			}
			return conn, err
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxReceiveBytes), grpc.MaxCallSendMsgSize(maxSend)),
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(window),
		// bmv2 reports a refused batch of 10,000 updates in a trailer of about 1.6 MB.
		grpc.WithMaxHeaderListSize(maxTrailer),
		grpc.WithChainUnaryInterceptor(saysTrailer), grpc.WithChainStreamInterceptor(saysStreamTrailer),
		grpc.WithIdleTimeout(0), // an idle Reader stays connected
		grpc.WithDisableRetry(), // gRPC must never repeat a write
		grpc.WithNoProxy(),      // a switch is not reached through the process's web proxy
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 250 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: 10 * time.Second},
			MinConnectTimeout: cfg.DialTimeout,
		}),
	}
	// With passthrough, the dialer resolves the name at every dial, and gRPC does not resolve it.
	return grpc.NewClient("passthrough:///"+cfg.Addr, append(opts, cfg.DialOptions...)...)
}

const (
	// maxSend is so large that the switch limits the size of a request: a compiled pipeline may be large.
	maxSend = 1 << 30
	// maxTrailer limits the encoded details of a failed write. It is gRPC's default.
	maxTrailer = 16 << 20
)

// metadataHeader is the request header with the number of trailer bytes that the client accepts. Without the header,
// the embedded switch truncates the errors of a batch to 8 KiB, which most clients accept. Other switches ignore the
// header.
const metadataHeader = "max-metadata-size"

func saysTrailer(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(metadata.AppendToOutgoingContext(ctx, metadataHeader, strconv.Itoa(maxTrailer)), method, req, reply, conn, opts...)
}

func saysStreamTrailer(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return stream(metadata.AppendToOutgoingContext(ctx, metadataHeader, strconv.Itoa(maxTrailer)), desc, conn, method, opts...)
}
