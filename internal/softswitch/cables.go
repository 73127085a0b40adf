package softswitch

import (
	"net"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// The limits of the packet service. The service has one client at a time and small frames, so gRPC's own transport normally needs at most
// 2 MiB: 8 connections with 4 streams of 64 KiB each. It needs up to 128 MiB if a client sends every byte in a separate DATA frame.
const (
	cableMessage     = 64 << 10 // in bytes: a jumbo frame and its header, with a reserve
	cableConnections = 8
	cableStreams     = 4
	cablePings       = 5 * time.Second
)

// cables is the gRPC server of the packet service. The service carries every packet of the switch in its own message. For such messages,
// gRPC's own transport is five times as fast as package grpcserve (see BenchmarkCall/packets in that package).
type cables struct{ *grpc.Server }

func newCables(string) (server, error) {
	return cables{grpc.NewServer(
		grpc.MaxRecvMsgSize(cableMessage), grpc.MaxConcurrentStreams(cableStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: cablePings, PermitWithoutStream: true}),
	)}, nil
}

// Serve accepts connections until Close is called.
func (c cables) Serve(l net.Listener) {
	_ = c.Server.Serve(netutil.LimitListener(l, cableConnections)) // Serve always returns an error after Close
}

// Close stops the server and ends every call.
func (c cables) Close() { c.Stop() }
