// Package softswitch is the embedded switch. It consists of the ports, the engine that runs programs compiled by p4c, and the P4Runtime,
// gNMI and packet services.
//
// A Switch starts without a program. Any P4Runtime client may push any v1model program. The package depends neither on op25b's pipeline nor
// on its policy, and does not import the controller's packages.
package softswitch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	"go.uber.org/zap"

	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/p4rtserver"
	"op25b/internal/wire"
	"op25b/internal/wire/dataplane"
)

// MaxPort is the highest port to which a link can be attached. v1model's port numbers have 9 bits. 511 means drop, and 510 is the CPU port.
const MaxPort = p4rtserver.DefaultCPUPort - 1

// Options holds the options of a Switch.
type Options struct {
	DeviceID uint64           // the P4Runtime device id, at least 1
	Hostname string           // name of the host in gNMI; empty if unknown
	Version  string           // version of the switch in gNMI; empty if unknown
	Clock    func() time.Time // nil means time.Now
	Logger   *zap.Logger      // may be nil
	Limits   Limits
	// Native has generated code of programs that may be pushed. Other programs are interpreted.
	Native []*engine.Native
}

// A Switch is one device. Close must be called when it is no longer needed.
type Switch struct {
	log       *zap.Logger
	hostname  string
	version   string
	now       func() time.Time
	limits    Limits
	p4runtime *p4rtserver.Server
	packets   *dataplane.Server
	ports     [MaxPort + 1]atomic.Pointer[port]
	watchers  watchers

	ctx    context.Context // canceled by Close
	cancel context.CancelFunc
	links  sync.WaitGroup // one goroutine for each link

	attachMu sync.Mutex // held during Attach and Close
	closed   bool

	// gate is held for reading while a packet is in the engine, and for writing while the engine is replaced. So no packet is processed
	// partly by one program and partly by another. gate guards everything below.
	gate   sync.RWMutex
	loaded *engine.Engine
	marked counters
	boot   time.Time // when the counters began: the start, or the last push of a program

	inject lane // processes packet-outs from controllers
	stream lane // processes frames from the packet service
}

// A lane is an entry point at which packets are processed one after another. It keeps the engine's worker from one packet to the next.
type lane struct {
	mu     sync.Mutex // guards everything below
	of     *engine.Engine
	worker *engine.Worker
	id     uint64                          // the id of the current frame in the packet service
	emit   func(port uint32, frame []byte) // created once, to avoid an allocation for each frame
}

// New returns a switch without ports and without a program.
func New(opts Options) (*Switch, error) {
	s := &Switch{log: opts.Logger, hostname: opts.Hostname, version: opts.Version, now: opts.Clock, limits: opts.Limits}
	s.limits.complete()
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.boot = s.now()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	var err error
	s.p4runtime, err = p4rtserver.New(p4rtserver.Options{
		DeviceID: opts.DeviceID,
		Load: func(deviceConfig []byte) (*engine.Engine, error) {
			return engine.Load(deviceConfig, engine.Options{MaxState: s.limits.Program, Clock: s.now, Native: opts.Native, Log: func(msg string) { s.log.Info("program", zap.String("message", msg)) }})
		},
		OnCommit: s.commit,
		Inject:   func(port uint32, frame []byte) { s.enter(&s.inject, port, 0, frame) },
		Now:      s.now,
		Logger:   s.log,

		MaxState: s.limits.State, StreamsBytes: s.limits.Unread,
	})
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.packets, err = dataplane.NewServer(opts.DeviceID, dataplane.Hooks{Receive: s.receiveStream, PortStatus: s.setUp}, s.log)
	if err != nil {
		s.cancel()
		return nil, err
	}
	return s, nil
}

// P4Runtime returns the switch's P4Runtime service, for registration on a gRPC server.
func (s *Switch) P4Runtime() *p4rtserver.Server { return s.p4runtime }

// Dataplane returns the packet service, which carries the frames of ports that have no link.
func (s *Switch) Dataplane() *dataplane.Server { return s.packets }

// Attach connects a link to a port and starts forwarding the link's frames. Close closes the link. Attach returns ErrPort if the number is
// in use or above MaxPort.
func (s *Switch) Attach(number uint32, link wire.Link) error {
	if number > MaxPort {
		return fmt.Errorf("port %d for %q: %w: valid are 0 to %d", number, link.Name(), ErrPort, MaxPort)
	}
	s.attachMu.Lock()
	defer s.attachMu.Unlock()
	if s.closed {
		return fmt.Errorf("port %d for %q: %w", number, link.Name(), ErrClosed)
	}
	p := newPort(number, link.Name(), link, s.now())
	if !s.ports[number].CompareAndSwap(nil, p) {
		return fmt.Errorf("port %d for %q: %w: %q is attached", number, link.Name(), ErrPort, s.ports[number].Load().name)
	}
	if f, ok := link.(wire.Followed); ok {
		f.Follow(func() { s.changed(p) })
		s.changed(p) // the port of the packet service with this number
	}
	s.links.Go(func() {
		err := link.Serve(s.ctx, func(frame []byte) { s.enter(&p.lane, number, 0, frame) })
		p.up.Store(false)
		s.changed(p)
		if err != nil && s.ctx.Err() == nil {
			s.log.Error("port failed", zap.Uint32("port", number), zap.String("link", p.name), zap.Error(err))
		}
	})
	s.log.Info("port attached", zap.Uint32("port", number), zap.String("link", p.name))
	s.watchers.tell()
	return nil
}

// Name sets the name by which gNMI reports a port of the packet service. The default is "port-N".
func (s *Switch) Name(number uint32, name string) error {
	if number > MaxPort {
		return fmt.Errorf("port %d for %q: %w: valid are 0 to %d", number, name, ErrPort, MaxPort)
	}
	if !s.ports[number].CompareAndSwap(nil, newPort(number, name, nil, s.now())) {
		return fmt.Errorf("port %d for %q: %w: %q is attached", number, name, ErrPort, s.ports[number].Load().name)
	}
	s.watchers.tell()
	return nil
}

// Close stops forwarding, ends the streams of all services and closes the links.
func (s *Switch) Close() error {
	s.attachMu.Lock()
	s.closed = true
	s.attachMu.Unlock()
	s.cancel()
	s.p4runtime.Close()
	errs := []error{s.packets.Close()}
	for i := range s.ports {
		if p := s.ports[i].Load(); p != nil && p.link != nil {
			errs = append(errs, p.link.Close())
		}
	}
	s.links.Wait()
	return errors.Join(errs...)
}

// commit replaces the engine. When commit returns, no packet is in the previous engine.
func (s *Switch) commit(e *engine.Engine, info *configv1.P4Info) {
	marked, err := findCounters(e, info)
	if err != nil {
		s.log.Warn("gNMI serves no counters of the program", zap.Error(err))
	}
	s.gate.Lock()
	s.loaded, s.marked, s.boot = e, marked, s.now()
	s.gate.Unlock()
	s.log.Info("a program was pushed", zap.Bool("native", e.IsNative()))
	s.watchers.tell()
}

func (s *Switch) receiveStream(number uint32, id uint64, frame []byte) {
	if number > MaxPort {
		return // no v1model program can use this number
	}
	if s.ports[number].Load() == nil {
		s.ports[number].CompareAndSwap(nil, newPort(number, fmt.Sprintf("port-%d", number), nil, s.now()))
		s.watchers.tell()
	}
	s.enter(&s.stream, number, id, frame)
}

func (s *Switch) setUp(number uint32, up bool) {
	if number > MaxPort {
		return
	}
	if p := s.ports[number].Load(); p != nil {
		p.up.Store(up)
		s.changed(p)
	}
}

// changed must be called when the state of a port may have changed. It logs a change of the operational state and notifies the watchers.
func (s *Switch) changed(p *port) {
	before := p.status()
	after := p.note(s.now())
	if after.Oper != before {
		s.log.Info("port changed", zap.Uint32("port", p.number), zap.String("name", p.name), zap.String("oper-status", string(after.Oper)), zap.Uint32("ifindex", after.IfIndex))
	}
	s.watchers.tell()
}

// enter processes one frame. id is the frame's id in the packet service.
func (s *Switch) enter(l *lane, number uint32, id uint64, frame []byte) {
	if number <= MaxPort {
		p := s.ports[number].Load()
		if !p.up.Load() {
			return
		}
		p.inPkts.Add(1)
		p.inOctets.Add(uint64(len(frame)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.loaded == nil {
		return // without a program, the packet is dropped
	}
	if l.of != s.loaded {
		l.of, l.worker = s.loaded, s.loaded.NewWorker()
	}
	if l.emit == nil {
		l.emit = func(out uint32, frame []byte) { s.leave(out, l.id, frame) }
	}
	l.id = id
	l.worker.Process(number, frame, l.emit)
}

// leave sends a frame to the link of its port, to the packet service, or to the controllers' streams. leave never blocks.
func (s *Switch) leave(number uint32, id uint64, frame []byte) {
	if number == p4rtserver.DefaultCPUPort {
		s.p4runtime.PacketIn(number, frame)
		return
	}
	if number > MaxPort {
		return
	}
	p := s.ports[number].Load()
	switch {
	case p == nil: // a port of the packet service that has not received any frame yet
		_ = s.packets.Send(number, id, frame)
		return
	case !p.up.Load():
		p.outDiscards.Add(1)
		return
	}
	var err error
	if p.link != nil {
		err = p.link.Send(frame)
	} else {
		err = s.packets.Send(number, id, frame)
	}
	if err != nil {
		p.outDiscards.Add(1)
		return
	}
	p.outPkts.Add(1)
	p.outOctets.Add(uint64(len(frame)))
}
