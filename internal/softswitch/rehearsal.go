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

// A Rehearsal is a program with entries, and nothing around it: no ports, no services, no clock but its own. Frames that go through it
// meet what they would meet in a switch that holds the same, and nothing of those before: registers are as they were loaded, and between
// one Play and the next is a RehearsalPause for meters to recover. Its methods are safe for concurrent use; frames go one after another.
type Rehearsal struct {
	mu     sync.Mutex // guards everything that follows
	engine *engine.Engine
	worker *engine.Worker
	now    time.Duration
}

// RehearsalPause is how much later each Play is than the one before: a meter of one packet a second has regained ten. With it the clock of
// a Rehearsal is good for 900 million.
const RehearsalPause = 10 * time.Second

// A Frame is one at a port, without FCS.
type Frame struct {
	Port  uint32
	Bytes []byte
}

// A Passage is what became of one frame.
type Passage struct {
	Out   []Frame // what left, in the order in which it did
	Trace []engine.Event
}

// NewRehearsal loads a program, as p4c-bm2-ss compiled it, and writes entities into it, in their order. Its error names the first that a
// switch would refuse.
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

// Play sends frames one after another at one moment, and returns what became of each: what one leaves in the switch, the next meets.
func (r *Rehearsal) Play(frames ...Frame) []Passage {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Passage, len(frames))
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

// forgetLocked takes back what frames left in registers, and the digests that nobody waits for.
func (r *Rehearsal) forgetLocked(trace []engine.Event) {
	for _, e := range trace {
		switch e.Kind {
		case engine.EventWrite:
			if reg, ok := r.engine.Register(e.Name); ok {
				_ = reg.Write(int(*e.Index), nil) // 0, as all are when a program is loaded; the cell is there: it was written
			}
		case engine.EventDigest:
			select {
			case d := <-r.engine.Digests():
				d.Release()
			default: // there was no room for it
			}
		}
	}
}
