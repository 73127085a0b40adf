package softswitch

import (
	"encoding/binary"
	"slices"
	"time"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/p4rtserver"
)

// A Twin runs a program in process, without ports, services or a real clock, like a Rehearsal. Unlike a Rehearsal, a Twin lets the caller
// change the entries between frames, and reports which entries a frame has met. A Twin is not safe for concurrent use.
type Twin struct {
	made   *p4rtserver.Realized
	worker *engine.Worker
	now    time.Duration

	looked []engine.Lookup // of the last frame
	sent   []byte          // the bytes of the frames that the last frame sent
}

// TwinPause is the time that passes on the Twin's clock before each frame. It exceeds every period for which the pipeline remembers a frame
// (64 clock seconds for a SYN, 67 s for a report), so that a frame's outcome does not depend on earlier frames.
const TwinPause = 140 * time.Second

// NewTwin loads a program compiled by p4c-bm2-ss. Its tables are empty.
func NewTwin(deviceConfig []byte, info *p4cfg.P4Info) (*Twin, error) {
	t := &Twin{}
	clock := func() time.Time { return time.Unix(0, 0).Add(t.now) }
	load := func(config []byte) (*engine.Engine, error) {
		return engine.Load(config, engine.Options{Clock: clock, DigestQueue: 1}) // nobody receives digests
	}
	var err error
	if t.made, err = p4rtserver.NewRealized(load, deviceConfig, info); err != nil {
		return nil, err
	}
	t.worker = t.made.Engine().NewWorker()
	return t, nil
}

// Write applies an update, as a switch does. id identifies a table entry in the results of Looks. It replaces the entity's metadata.
func (t *Twin) Write(u *p4v1.Update, id uint32) error {
	if e := u.GetEntity().GetTableEntry(); e != nil && !e.GetIsDefaultAction() {
		e.Metadata = binary.BigEndian.AppendUint32(nil, id)
	}
	return t.made.Apply(u)
}

// Now returns the time of the Twin's clock at which the last frame was played.
func (t *Twin) Now() time.Duration { return t.now }

// Play advances the clock by TwinPause and processes a frame. It appends the frames that leave to out, and returns the result. The bytes of the
// frames are valid until the next call.
func (t *Twin) Play(port uint32, frame []byte, out []Frame) []Frame {
	t.now += TwinPause
	t.looked, t.sent = t.looked[:0], t.sent[:0]
	t.worker.Watch(port, frame, &t.looked, func(port uint32, frame []byte) {
		// Frames that were appended before keep their bytes if sent grows into another array.
		start := len(t.sent)
		t.sent = append(t.sent, frame...)
		out = append(out, Frame{port, t.sent[start:len(t.sent):len(t.sent)]})
	})
	return out
}

// A Look is a look-up of the last frame in a table of the program.
type Look struct {
	Table string // the full name in the program
	// ID is the id of the entry that was hit. If Hit is false, no entry was hit, and the table's default action ran.
	ID  uint32
	Hit bool
}

// Looks appends the last frame's look-ups to looks, in order, and returns the result.
func (t *Twin) Looks(looks []Look) []Look {
	for _, l := range t.looked {
		switch {
		case l.Table.Hidden():
		case l.Entry == nil:
			looks = append(looks, Look{Table: l.Table.Name()})
		default:
			looks = append(looks, Look{l.Table.Name(), binary.BigEndian.Uint32(p4rtserver.Metadata(l.Entry)), true})
		}
	}
	return looks
}

// Counted returns the number of packets in a cell of a counter. It returns 0 if there is no such cell.
func (t *Twin) Counted(counter string, cell int) uint64 {
	c, ok := t.made.Engine().Counter(counter)
	if !ok {
		return 0
	}
	v, err := c.Read(cell)
	if err != nil {
		return 0
	}
	return v.Packets
}

// Counters returns the full names of the program's indexed counters.
func (t *Twin) Counters() []string {
	var names []string
	for _, c := range t.made.Engine().Counters() {
		names = append(names, c.Name())
	}
	return slices.Clip(names)
}

// Trace is like Play, but returns every step of the frame.
func (t *Twin) Trace(port uint32, frame []byte) []engine.Event {
	t.now += TwinPause
	return t.worker.Trace(port, frame, func(uint32, []byte) {})
}
