// Package p4rtserver is the P4Runtime 1.5 server of the software switch.
//
// It speaks the protocol: arbitration among controllers, pipeline pushes bound to the P4Info, writes with an
// error for each update, reads in any size, packet I/O, digests and idle timeouts. Any client may push any
// v1model program into it that package engine runs.
//
// It is not the data plane, which is package engine's, and moves no packets by itself: the switch around it
// runs the engine that OnCommit hands over, gives it the frames that come out of the CPU port (PacketIn),
// and takes those that a controller sends (Options.Inject). Nor does it listen: it registers on a gRPC
// server that its owner runs.
//
// One Server is one device. Every role has full access to the pipeline, since P4Runtime leaves the format
// of a role's configuration open and this server knows none.
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
	// DefaultStreamQueue is how many packets, digest lists and other notices wait for a controller that
	// reads slowly: at 1,500 bytes a packet 1.5 MiB a stream.
	DefaultStreamQueue = 1024
	// DefaultControlQueue is how many arbitration messages may wait before the stream is ended. A role's
	// whole fleet of controllers may come and go once in that.
	DefaultControlQueue = 256
	// DefaultMaxStreams is how many controllers a role may have, four times bmv2's 16.
	DefaultMaxStreams = 64
	// DefaultMaxRoles is how many named roles may come to be.
	DefaultMaxRoles = 64
	// DefaultCPUPort is where packet-outs enter and packet-ins leave the pipeline: the highest port that
	// bit<9> can name, 511, means drop, so this is the next.
	DefaultCPUPort = 510
)

// Options are what a Server takes from its surroundings. DeviceID and Load are required.
type Options struct {
	// DeviceID is the one device that is served; it must not be 0.
	DeviceID uint64
	// Load compiles a p4_device_config, the JSON of p4c-bm2-ss, into an engine that no packets reach yet.
	Load func(deviceConfig []byte) (*engine.Engine, error)
	// OnCommit makes an engine the one that packets go through; info is the P4Info bound to it, not to be
	// changed. It returns when no packet is in the engine of before any more. It is called for one commit at
	// a time and must not call the Server, PacketIn excepted. Nil does nothing.
	OnCommit func(eng *engine.Engine, info *p4cfg.P4Info)
	// CPUPort is the port that packet-outs enter the pipeline at; DefaultCPUPort if 0.
	CPUPort uint32
	// Inject takes a packet-out: a frame that enters the pipeline at a port, with the packet_out header in
	// front if the program has one. The frame belongs to the receiver. Nil refuses packet-outs.
	Inject func(port uint32, frame []byte)
	// Now gives the time for timestamps and timeouts; time.Now if nil.
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
	// digesting is the committed pipeline's digester, for the arbiter, which must not take mu.
	digesting atomic.Pointer[digester]

	reads  *semaphore.Weighted // objects that reads in work hold
	loads  *semaphore.Weighted // programs being loaded: one
	queued atomic.Int64        // bytes that wait for controllers, of all streams

	// mu guards what follows and every write to an engine. Write and SetForwardingPipelineConfig hold it
	// for writing, so that batches are serial; Read holds it for reading while it takes its snapshot.
	mu    sync.RWMutex
	live  *pipeline // committed; nil before the first push
	saved *pipeline // saved by VERIFY_AND_SAVE and not committed yet, or nil

	// sessMu guards what follows.
	sessMu   sync.Mutex
	sessions map[*session]struct{}
	closed   bool
}

var _ p4v1.P4RuntimeServer = (*Server)(nil)

// New returns a server without pipeline. It starts nothing; what the first commit starts, Close stops.
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

// Close ends every stream and stops the committed pipeline's timers. The forwarding state stays as it is in
// the engine, so that packets still flow if their owner wants that. Requests after it answer UNAVAILABLE.
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

// controlled is the pipeline that Read and Write refer to: the one saved and not yet committed, if there is
// one (spec 14, VERIFY_AND_SAVE), else the committed one. The caller holds mu.
func (s *Server) controlled() *pipeline {
	if s.saved != nil {
		return s.saved
	}
	return s.live
}

// Capabilities tells the API version (spec 17).
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

// Stats count since New.
type Stats struct {
	// Streams are the controllers connected now.
	Streams int
	// QueuedBytes wait unread for controllers now.
	QueuedBytes int64
	// StreamDropped are messages that a controller's stream had no room for, of all kinds.
	StreamDropped uint64
	// PacketIn are packets that at least one primary got; PacketInLost those that no primary was there for
	// or had room for, and those too short for the packet_in header.
	PacketIn, PacketInLost uint64
	// PacketOut are packets injected; PacketOutRefused those answered with an error.
	PacketOut, PacketOutRefused uint64
	// DigestsUnsent are digests of the committed pipeline for which no primary was there or had room.
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
