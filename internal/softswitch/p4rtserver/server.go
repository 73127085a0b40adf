// Package p4rtserver is the P4Runtime 1.5 server of the software switch.
//
// The server implements arbitration among controllers, pipeline pushes bound to the P4Info, writes with an error for each update, reads of
// any size, packet I/O, digests and idle timeouts. Any client may push any v1model program that package engine runs.
//
// Package p4rtserver is not the data plane; package engine is. The surrounding switch runs the engine that it receives in OnCommit. It
// passes frames that were sent to the CPU port to PacketIn, and accepts frames from controllers in Options.Inject. The package does not
// listen on a port; the caller registers the Server on a gRPC server.
//
// One Server represents one device. Every role has full access to the pipeline. P4Runtime leaves the format of a role's configuration open,
// and this server supports no such configuration.
package p4rtserver

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"

	"op25b/internal/softswitch/engine"
)

// APIVersion is the version of the P4Runtime specification that the server implements.
const APIVersion = "1.5.0"

// The defaults for Options.
const (
	// DefaultStreamQueue is the number of packets, digest lists and other notifications that may wait for a slow controller. At 1,500 bytes
	// per packet, a full queue takes 1.5 MiB.
	DefaultStreamQueue = 1024
	// DefaultControlQueue is the number of arbitration messages that may wait for a controller. If this queue is full, the controller's
	// stream is ended. The number suffices for all controllers of a role to connect and disconnect once.
	DefaultControlQueue = 256
	// DefaultMaxStreams is the largest number of controllers per role. It is four times bmv2's limit of 16.
	DefaultMaxStreams = 64
	// DefaultMaxRoles is the largest number of named roles.
	DefaultMaxRoles = 64
	// DefaultCPUPort is the port at which packet-outs enter the pipeline and packet-ins leave it. 510 is the highest usable bit<9> port,
	// because 511 means drop.
	DefaultCPUPort = 510
)

// Options holds the options of a Server. DeviceID and Load are required.
type Options struct {
	// DeviceID is the id of the device that the server represents. It must not be 0.
	DeviceID uint64
	// Load compiles a p4_device_config, which is the JSON of p4c-bm2-ss, into an engine. The engine receives no packets yet.
	Load func(deviceConfig []byte) (*engine.Engine, error)
	// OnCommit starts passing packets to eng. info is the P4Info bound to eng and must not be modified. When OnCommit returns, no packet is
	// in the previous engine. Calls of OnCommit are serialized. It must not call any method of the Server except PacketIn. OnCommit may be
	// nil.
	OnCommit func(eng *engine.Engine, info *p4cfg.P4Info)
	// CPUPort is the port at which packet-outs enter the pipeline. 0 means DefaultCPUPort.
	CPUPort uint32
	// Inject accepts a packet-out, which is a frame that enters the pipeline at a port. If the program has a packet_out header, the frame
	// starts with this header. The receiver owns the frame. If Inject is nil, packet-outs are refused.
	Inject func(port uint32, frame []byte)
	// Now returns the time for timestamps and timeouts. The default is time.Now.
	Now func() time.Time
	// Logger may be nil.
	Logger *zap.Logger
	// StreamQueue, ControlQueue, MaxStreams and MaxRoles are limits. 0 means the default.
	StreamQueue, ControlQueue, MaxStreams, MaxRoles int
	// MaxState, MaxRead, StreamBytes and StreamsBytes are limits. 0 means the default.
	MaxState, MaxRead, StreamBytes, StreamsBytes int64
}

func (o *Options) complete() error {
	if o.DeviceID == 0 {
		return fmt.Errorf("%w: DeviceID 0; P4Runtime device ids begin at 1", ErrOptions)
	}
	if o.Load == nil {
		return fmt.Errorf("%w: Load is nil; a pipeline needs a loader", ErrOptions)
	}
	for _, d := range []struct {
		v *int
		d int
	}{
		{&o.StreamQueue, DefaultStreamQueue},
		{&o.ControlQueue, DefaultControlQueue},
		{&o.MaxStreams, DefaultMaxStreams},
		{&o.MaxRoles, DefaultMaxRoles},
	} {
		if *d.v < 0 {
			return fmt.Errorf("%w: a queue or limit of %d; it must be positive, or 0 for the default", ErrOptions, *d.v)
		}
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	for _, d := range []struct {
		v *int64
		d int64
	}{
		{&o.MaxState, DefaultMaxState},
		{&o.MaxRead, DefaultMaxRead},
		{&o.StreamBytes, DefaultStreamBytes},
		{&o.StreamsBytes, DefaultStreamsBytes},
	} {
		if *d.v < 0 {
			return fmt.Errorf("%w: a limit of %d; it must be positive, or 0 for the default", ErrOptions, *d.v)
		}
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	if o.CPUPort == 0 {
		o.CPUPort = DefaultCPUPort
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return nil
}

// A Server serves one device. Close must be called when it is no longer needed.
type Server struct {
	p4v1.UnimplementedP4RuntimeServer

	opts  Options
	log   *zap.Logger
	arb   *arbiter
	stats counters
	// headers holds the controller headers of the committed pipeline, for the packet path.
	headers atomic.Pointer[controllerHeaders]
	// digesting is the digester of the committed pipeline. The arbiter uses it, because the arbiter must not lock mu.
	digesting atomic.Pointer[digester]

	reads  *semaphore.Weighted // counts the objects that the reads in progress hold
	loads  *semaphore.Weighted // counts the programs that are being loaded; at most one
	queued atomic.Int64        // number of bytes that wait for controllers in all streams

	// mu guards everything below and serializes all writes to an engine. Write and SetForwardingPipelineConfig lock it for writing, so
	// batches are applied one after another. Read locks it for reading while it takes its snapshots.
	mu    sync.RWMutex
	live  *pipeline // the committed pipeline; nil before the first commit
	saved *pipeline // the pipeline that VERIFY_AND_SAVE has saved and that is not committed yet, or nil

	// sessMu guards everything below.
	sessMu   sync.Mutex
	sessions map[*session]struct{}
	closed   bool
}

var _ p4v1.P4RuntimeServer = (*Server)(nil)

// New returns a server without a pipeline. It starts no goroutine. The first commit starts goroutines, and Close stops them.
func New(opts Options) (*Server, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	s := &Server{
		opts: opts, log: opts.Logger, sessions: map[*session]struct{}{},
		reads: semaphore.NewWeighted(opts.MaxRead), loads: semaphore.NewWeighted(1),
	}
	s.arb = newArbiter(opts.DeviceID, opts.MaxStreams, opts.MaxRoles, &s.mu)
	s.arb.changed = s.primaryChanged
	return s, nil
}

// Register registers the service on a gRPC server. The gRPC server needs a message limit above gRPC's default of 4 MiB, because pushed
// programs easily exceed it.
func (s *Server) Register(r grpc.ServiceRegistrar) { p4v1.RegisterP4RuntimeServer(r, s) }

// Close ends every stream and stops the timers of the committed pipeline. The engine keeps its forwarding state, so the caller may continue
// to forward packets. Requests after Close fail with UNAVAILABLE.
func (s *Server) Close() {
	s.sessMu.Lock()
	s.closed = true
	for sess := range s.sessions {
		sess.end(errClosed())
	}
	s.sessMu.Unlock()

	s.mu.Lock()
	live := s.live
	s.mu.Unlock()
	if live != nil {
		live.stop()
	}
}

func (s *Server) isClosed() bool {
	s.sessMu.Lock()
	defer s.sessMu.Unlock()
	return s.closed
}

// controlled returns the pipeline to which Read and Write apply. This is the saved pipeline if there is one (spec 14, VERIFY_AND_SAVE), and
// the committed pipeline otherwise. The caller must hold mu.
func (s *Server) controlled() *pipeline {
	if s.saved != nil {
		return s.saved
	}
	return s.live
}

// Capabilities returns the API version (spec 17).
func (s *Server) Capabilities(_ context.Context, req *p4v1.CapabilitiesRequest) (*p4v1.CapabilitiesResponse, error) {
	if id := req.GetDeviceId(); id != 0 && id != s.opts.DeviceID {
		return nil, s.arb.wrongDevice(id)
	}
	return &p4v1.CapabilitiesResponse{P4RuntimeApiVersion: APIVersion}, nil
}

// counters holds the counts that Stats returns.
type counters struct {
	streamDropped    atomic.Uint64
	packetIn         atomic.Uint64
	packetInLost     atomic.Uint64
	packetOut        atomic.Uint64
	packetOutRefused atomic.Uint64
}

// Stats holds the current number of streams and queued bytes, and the counts since New.
type Stats struct {
	// Streams is the number of controllers that are connected.
	Streams int
	// QueuedBytes is the number of bytes that are waiting for controllers.
	QueuedBytes int64
	// StreamDropped counts messages of any kind that were dropped because a controller's stream had no room.
	StreamDropped uint64
	// PacketIn counts the packets that were queued for at least one primary. PacketInLost counts the packets that were dropped because
	// there was no primary or no room, or because the packet was shorter than the packet_in header.
	PacketIn, PacketInLost uint64
	// PacketOut counts the packet-outs that were injected, and PacketOutRefused the packet-outs that were answered with an error.
	PacketOut, PacketOutRefused uint64
	// DigestsUnsent counts the digests of the committed pipeline that were dropped because there was no primary or no room.
	DigestsUnsent uint64
}

// Stats returns the current statistics of the server.
func (s *Server) Stats() Stats {
	out := Stats{
		QueuedBytes:   s.queued.Load(),
		StreamDropped: s.stats.streamDropped.Load(),
		PacketIn:      s.stats.packetIn.Load(), PacketInLost: s.stats.packetInLost.Load(),
		PacketOut: s.stats.packetOut.Load(), PacketOutRefused: s.stats.packetOutRefused.Load(),
	}
	s.sessMu.Lock()
	out.Streams = len(s.sessions)
	s.sessMu.Unlock()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.live != nil {
		out.DigestsUnsent = s.live.digests.unsent.Load()
	}
	return out
}
