package softswitch

import (
	"net"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// The limits of the packet service. The service has one client at a time and small frames, so gRPC's own transport needs at most 2 MiB: 8
// connections of 4 streams of 64 KiB. If every byte is sent in a separate DATA frame, the transport needs 128 MiB.
const (
	cableMessage     = 64 << 10 // bytes: a jumbo frame and its header, with a reserve
	cableConnections = 8
	cableStreams     = 4
	cablePings       = 5 * time.Second
)

// cables is the gRPC server of the packet service, which carries every packet of the switch in a message. For such messages, gRPC's own
// transport is five times as fast as package grpcserve (BenchmarkCall/packets there).
type cables struct{ *grpc.Server }

func newCables(string) (server, error) {
	return cables{grpc.NewServer(
		grpc.MaxRecvMsgSize(cableMessage), grpc.MaxConcurrentStreams(cableStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: cablePings, PermitWithoutStream: true}),
	)}, nil
}

// Serve accepts connections until Close.
func (c cables) Serve(l net.Listener) {
	_ = c.Server.Serve(netutil.LimitListener(l, cableConnections)) // the error after Close has no meaning
}

// Close stops the server and ends every call.
func (c cables) Close() { c.Stop() }
