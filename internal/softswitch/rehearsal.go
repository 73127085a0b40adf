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

// A Rehearsal runs a program with entries without ports, services or a real clock. A frame gets the treatment that a switch with the same
// entries would give it. Frames of earlier plays have no effect: registers are reset, and a RehearsalPause between two plays lets meters
// recover. Its methods are safe for concurrent use; frames are processed one after another.
type Rehearsal struct {
	mu     sync.Mutex // guards everything below
	engine *engine.Engine
	worker *engine.Worker
	now    time.Duration
}

// RehearsalPause is the time between two plays on the Rehearsal's clock: a meter of one packet a second regains ten. The clock lasts for
// 900 million plays.
const RehearsalPause = 10 * time.Second

// A Frame is an Ethernet frame at a port, without FCS.
type Frame struct {
	Port  uint32
	Bytes []byte
}

// A FrameResult is the outcome of one frame.
type FrameResult struct {
	Out   []Frame // the frames that left, in their order
	Trace []engine.Event
}

// NewRehearsal loads a program, as p4c-bm2-ss compiled it, and writes entities into it, in their order. Its error names the first entity
// that a switch would refuse.
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

// Play sends frames one after another at one moment, and returns the outcome of each. A later frame meets the registers as the earlier ones
// left them.
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

// forgetLocked resets the registers that frames wrote, and releases their digests, which nothing else reads.
func (r *Rehearsal) forgetLocked(trace []engine.Event) {
	for _, e := range trace {
		switch e.Kind {
		case engine.EventWrite:
			if reg, ok := r.engine.Register(e.Name); ok {
				_ = reg.Write(int(*e.Index), nil) // 0, as after loading; the cell exists, because it was written
			}
		case engine.EventDigest:
			select {
			case d := <-r.engine.Digests():
				d.Release()
			default: // dropped: the queue was full
			}
		}
	}
}
