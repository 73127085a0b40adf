package engine

import (
	"encoding/json"
	"errors"
	"testing"
)

// FuzzProcess sends any bytes through programs that use all of the parser; nothing may panic, and a frame in gives frames
// that are not longer than what the deparser can add.
func FuzzProcess(f *testing.F) {
	var ws []*Worker
	filter := filterProgram().load(f, Options{})
	fillFilter(f, filter, 10)
	ws = append(ws, filter.NewWorker(), stackProgram(prim("push", stk("s"), fld("r", "n"))).load(f, Options{}).NewWorker(), op25b(f).NewWorker())
	p := newTestProgram()
	p.header("h", "n:4", "m:4", "v:*40", "t:8")
	p.state("start", l{m{"op": "extract_VL", "parameters": l{m{"type": "regular", "value": "h"}, wrapped(op("&", op("<<", m{"type": "field", "value": l{"standard_metadata", "packet_length"}}, hx("0x3")), hx("0x1ff")))}}},
		l{m{"type": "lookahead", "value": l{3, 70}}}, on("0x000000000000000000", "start"), otherwise("skip"))
	p.state("skip", l{m{"op": "advance", "parameters": l{fld("h", "t")}}}, l{}, otherwise("start"))
	ws = append(ws, echo(p).load(f, Options{}).NewWorker())
	for _, fr := range append(filterFrames(2), mailFrames()...) {
		f.Add(uint32(1), fr)
	}
	f.Add(uint32(511), []byte("\x02\x04\x06\x09"))
	f.Fuzz(func(t *testing.T, port uint32, frame []byte) {
		for i, w := range ws {
			w.Process(port, frame, func(_ uint32, out []byte) {
				if len(out) > len(frame)+200 {
					t.Errorf("program %d: %d bytes in, %d out", i, len(frame), len(out))
				}
			})
		}
	})
}

// FuzzLoad: JSON that is no program is an error with one of the two sentinels, never a panic.
func FuzzLoad(f *testing.F) {
	f.Add(filterProgram().json(f))
	f.Add(stackProgram().json(f))
	f.Add(tableProgram("ternary", l{key("ternary", "h", "a")}, nil).json(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 || !json.Valid(b) {
			return
		}
		if _, err := Load(b, Options{}); err != nil && !errors.Is(err, ErrProgram) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%v wraps neither sentinel", err)
		}
	})
}
