// Package p4rtserver is the P4Runtime 1.5 server of the software switch.
//
// It implements the protocol: arbitration among controllers, pipeline pushes bound to the P4Info, writes with an error for each update,
// reads of any size, packet I/O, digests and idle timeouts. Any client may push any v1model program that package engine runs.
//
// It is not the data plane, which is package engine, and moves no packets by itself. The switch around it runs the engine that OnCommit
// hands over, passes it the frames that leave at the CPU port (PacketIn), and accepts those that a controller sends (Options.Inject). It
// does not listen: its owner registers it on a gRPC server.
//
// One Server is one device. Every role has full access to the pipeline: P4Runtime leaves the format of a role's configuration open, and
// this server supports none.
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

// APIVersion is the version of the P4Runtime specification that is served.
const APIVersion = "1.5.0"

// The defaults of Options.
const (
	// DefaultStreamQueue is the number of packets, digest lists and other notices that wait for a slow controller: at 1,500 bytes a packet
	// 1.5 MiB a stream.
	DefaultStreamQueue = 1024
	// DefaultControlQueue is the number of arbitration messages that may wait before the stream is ended. It is enough for all controllers
	// of a role to come and go once.
	DefaultControlQueue = 256
	// DefaultMaxStreams is the largest number of controllers of a role, four times bmv2's 16.
	DefaultMaxStreams = 64
	// DefaultMaxRoles is the largest number of named roles.
	DefaultMaxRoles = 64
	// DefaultCPUPort is the port at which packet-outs enter and packet-ins leave the pipeline: the highest of bit<9> below 511, which means
	// drop.
	DefaultCPUPort = 510
)

// Options configure a Server. DeviceID and Load are required.
type Options struct {
	// DeviceID is the one device that is served; it must not be 0.
	DeviceID uint64
	// Load compiles a p4_device_config, the JSON of p4c-bm2-ss, into an engine that no packets reach yet.
	Load func(deviceConfig []byte) (*engine.Engine, error)
	// OnCommit lets packets go through an engine; info is the P4Info bound to it, which must not be changed. It returns when no packet is
	// in the previous engine. It is called for one commit at a time and must not call the Server, except PacketIn. It may be nil.
	OnCommit func(eng *engine.Engine, info *p4cfg.P4Info)
	// CPUPort is the port at which packet-outs enter the pipeline; DefaultCPUPort if 0.
	CPUPort uint32
	// Inject accepts a packet-out: a frame that enters the pipeline at a port, after the packet_out header if the program has one. The
	// frame belongs to the receiver. Nil refuses packet-outs.
	Inject func(port uint32, frame []byte)
	// Now returns the time for timestamps and timeouts; time.Now if nil.
	Now func() time.Time
	// Logger may be nil.
	Logger *zap.Logger
	// StreamQueue, ControlQueue, MaxStreams and MaxRoles are set to their defaults if 0.
	StreamQueue, ControlQueue, MaxStreams, MaxRoles int
	// MaxState, MaxRead, StreamBytes and StreamsBytes are set to their defaults if 0.
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
	// headers are the controller headers of the committed pipeline, for the packet path.
	headers atomic.Pointer[controllerHeaders]
	// digesting is the committed pipeline's digester, for the arbiter, which must not lock mu.
	digesting atomic.Pointer[digester]

	reads  *semaphore.Weighted // objects that reads in progress hold
	loads  *semaphore.Weighted // programs being loaded, at most one
	queued atomic.Int64        // bytes that wait for controllers, over all streams

	// mu guards everything below and every write to an engine. Write and SetForwardingPipelineConfig lock it for writing, so that batches
	// are serial. Read locks it for reading while it takes its snapshot.
	mu    sync.RWMutex
	live  *pipeline // committed; nil before the first push
	saved *pipeline // saved by VERIFY_AND_SAVE and not committed yet, or nil

	// sessMu guards everything below.
	sessMu   sync.Mutex
	sessions map[*session]struct{}
	closed   bool
}

var _ p4v1.P4RuntimeServer = (*Server)(nil)

// New returns a server without pipeline. It starts no goroutine. Close stops what the first commit starts.
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

// Register puts the service on a gRPC server. Pushed programs easily exceed gRPC's default limit of 4 MiB a message, so the server needs
// a higher one.
func (s *Server) Register(r grpc.ServiceRegistrar) { p4v1.RegisterP4RuntimeServer(r, s) }

// Close ends every stream and stops the committed pipeline's timers. The engine keeps its forwarding state, so that its owner may go on
// forwarding. Later requests get UNAVAILABLE.
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

// controlled is the pipeline that Read and Write refer to: the saved one that is not committed yet, if there is one (spec 14,
// VERIFY_AND_SAVE), else the committed one. The caller holds mu.
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

// counters are what Stats reports.
type counters struct {
	streamDropped    atomic.Uint64
	packetIn         atomic.Uint64
	packetInLost     atomic.Uint64
	packetOut        atomic.Uint64
	packetOutRefused atomic.Uint64
}

// Stats are counts since New.
type Stats struct {
	// Streams are the controllers connected now.
	Streams int
	// QueuedBytes are the bytes that wait for controllers now.
	QueuedBytes int64
	// StreamDropped are messages of any kind for which a controller's stream had no room.
	StreamDropped uint64
	// PacketIn are packets that at least one primary received. PacketInLost are those without a primary or without room, and those shorter
	// than the packet_in header.
	PacketIn, PacketInLost uint64
	// PacketOut are packets injected; PacketOutRefused those answered with an error.
	PacketOut, PacketOutRefused uint64
	// DigestsUnsent are digests of the committed pipeline without a primary or without room.
	DigestsUnsent uint64
}

// Stats returns the counts so far.
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
