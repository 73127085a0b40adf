package softswitch

import (
	"net"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// The limits of the packet service. It has one client at a time and small frames, so gRPC's own transport needs at most 2 MiB: 8
// connections of 4 streams of 64 KiB. If every byte comes in a DATA frame of its own, it needs 128 MiB.
const (
	cableMessage     = 64 << 10 // bytes: a jumbo frame, its header and room
	cableConnections = 8
	cableStreams     = 4
	cablePings       = 5 * time.Second
)

// cables is the gRPC server of the packet service. It carries every packet of the switch in a message. gRPC's own transport does that five
// times as fast as package grpcserve (BenchmarkCall/packets there).
type cables struct{ *grpc.Server }

func newCables(string) (server, error) {
	return cables{grpc.NewServer(
		grpc.MaxRecvMsgSize(cableMessage), grpc.MaxConcurrentStreams(cableStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: cablePings, PermitWithoutStream: true}),
	)}, nil
}

// Serve serves until Close.
func (c cables) Serve(l net.Listener) {
	_ = c.Server.Serve(netutil.LimitListener(l, cableConnections)) // returns an error after Close, which means nothing
}

// Close ends every call.
func (c cables) Close() { c.Stop() }
