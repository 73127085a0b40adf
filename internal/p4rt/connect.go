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

// window is the HTTP/2 flow control window of the connection and of each call. The window is fixed, because gRPC's
// automatic window size would send pings while it receives data, and C-core servers limit the number of pings. With
// 8 MiB, a read of 28 MiB needs four round trips. The window is only a limit; no buffer of this size is allocated.
const window = 8 << 20

// connect prepares the connection. The connection is opened by the first call or by the method Connect.
func connect(cfg Config, secure *security) (*grpc.ClientConn, error) {
	dialer := &net.Dialer{
		Control: setUserTimeout(cfg.TCPUserTimeout),
		// The kernel's keepalive detects that a host is dead while nothing is sent. gRPC servers do not count its
		// probes as pings.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "tcp", addr)
			if err != nil {
				secure.note(nil) // forget an earlier TLS error, because this attempt failed before the TLS handshake
			}
			return conn, err
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxReceiveBytes), grpc.MaxCallSendMsgSize(maxSend)),
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(window),
		// bmv2 reports the errors of a batch of 10,000 updates in a trailer of about 1.6 MB.
		grpc.WithMaxHeaderListSize(maxTrailer),
		grpc.WithChainUnaryInterceptor(saysTrailer), grpc.WithChainStreamInterceptor(saysStreamTrailer),
		grpc.WithIdleTimeout(0), // keep an idle Reader connected
		grpc.WithDisableRetry(), // gRPC must never repeat a write
		grpc.WithNoProxy(),      // do not connect to a switch through the web proxy of the process's environment
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 250 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: 10 * time.Second},
			MinConnectTimeout: cfg.DialTimeout,
		}),
	}
	// With passthrough, gRPC does not resolve the name. The dialer resolves it at every dial.
	return grpc.NewClient("passthrough:///"+cfg.Addr, append(opts, cfg.DialOptions...)...)
}

const (
	// maxSend is the maximum size of a request. A compiled pipeline may be large, so maxSend leaves the limit to the
	// switch.
	maxSend = 1 << 30
	// maxTrailer limits the encoded errors of a failed write. It is equal to gRPC's default.
	maxTrailer = 16 << 20
)

// metadataHeader is the name of a request header that states how many trailer bytes the client accepts. Without the
// header, the embedded switch truncates the errors of a batch to 8 KiB, which most clients accept. Other switches
// ignore the header.
const metadataHeader = "max-metadata-size"

func saysTrailer(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(metadata.AppendToOutgoingContext(ctx, metadataHeader, strconv.Itoa(maxTrailer)), method, req, reply, conn, opts...)
}

func saysStreamTrailer(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return stream(metadata.AppendToOutgoingContext(ctx, metadataHeader, strconv.Itoa(maxTrailer)), desc, conn, method, opts...)
}
