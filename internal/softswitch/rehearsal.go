package softswitch

import (
	"bytes"
	"sync"
	"time"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/p4rtserver"
)

// A Rehearsal runs a program with entries, but without ports, services or a real clock. The program processes a frame as it would on a
// switch with the same entries. Frames of earlier calls of Play have no effect: registers are reset after each call, and RehearsalPause
// passes between two calls so that meters recover. The methods of a Rehearsal are safe for concurrent use. Frames are processed one after
// another.
type Rehearsal struct {
	mu     sync.Mutex // guards everything below
	engine *engine.Engine
	worker *engine.Worker
	now    time.Duration
}

// RehearsalPause is the time that passes on the Rehearsal's clock between two calls of Play. In this time, a meter of one packet per second
// gains ten tokens. The clock overflows after 900 million calls.
const RehearsalPause = 10 * time.Second

// A Frame is an Ethernet frame, without FCS, that enters or leaves the switch at a port.
type Frame struct {
	Port  uint32
	Bytes []byte
}

// A FrameResult is the result of processing one frame.
type FrameResult struct {
	Out   []Frame // the frames that the program sent, in order
	Trace []engine.Event
}

// NewRehearsal loads a program compiled by p4c-bm2-ss and writes entities into it, in order. If a switch would refuse an entity,
// NewRehearsal returns an error that names the first refused entity.
func NewRehearsal(deviceConfig []byte, info *p4cfg.P4Info, entities []*p4v1.Entity) (*Rehearsal, error) {
	r := &Rehearsal{}
	clock := func() time.Time { return time.Unix(0, 0).Add(r.now) }
	load := func(config []byte) (*engine.Engine, error) { return engine.Load(config, engine.Options{Clock: clock}) }
	var err error
	if r.engine, err = p4rtserver.Realize(load, deviceConfig, info, entities); err != nil {
		return nil, err
	}
	r.worker = r.engine.NewWorker()
	return r, nil
}

// Play processes frames one after another, without advancing the clock, and returns the result of each frame. Within one call, a frame sees
// the registers that the frames before it have written.
func (r *Rehearsal) Play(frames ...Frame) []FrameResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]FrameResult, len(frames))
	for i, f := range frames {
		p := &all[i]
		p.Trace = r.worker.Trace(f.Port, f.Bytes, func(port uint32, frame []byte) {
			p.Out = append(p.Out, Frame{port, bytes.Clone(frame)})
		})
	}
	for i := range all {
		r.forgetLocked(all[i].Trace)
	}
	r.now += RehearsalPause
	return all
}

// forgetLocked resets the registers that the frames have written. It also releases the frames' digests, because nobody else receives them.
func (r *Rehearsal) forgetLocked(trace []engine.Event) {
	for _, e := range trace {
		switch e.Kind {
		case engine.EventWrite:
			if reg, ok := r.engine.Register(e.Name); ok {
				_ = reg.Write(int(*e.Index), nil) // 0 is the value after loading; the index is valid because the program has written to the cell
			}
		case engine.EventDigest:
			select {
			case d := <-r.engine.Digests():
				d.Release()
			default: // the digest was dropped because the queue was full
			}
		}
	}
}
