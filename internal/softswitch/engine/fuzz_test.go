package engine

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// FuzzProcess sends arbitrary bytes through programs that use all features of the parser. Processing must not panic, and the frames that
// it sends must not be longer than the deparser can make them.
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

// TestBrokenPrograms replaces random values in valid programs. Load must either refuse the changed program with ErrProgram or
// ErrUnsupported, or load it. A loaded program must process frames without a panic.
func TestBrokenPrograms(t *testing.T) {
	var good [][]byte
	good = append(good, filterProgram().json(t), stackProgram().json(t), tableProgram("ternary", l{key("ternary", "h", "a")}, nil).json(t))
	own, err := os.ReadFile("../../../p4src/build/op25b.json")
	if err != nil {
		t.Fatal(err)
	}
	good = append(good, own)
	rapid.Check(t, func(t *rapid.T) {
		var root any
		if err := json.Unmarshal(rapid.SampledFrom(good).Draw(t, "program"), &root); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			root = spoil(t, root, 0)
		}
		b, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Load(b, Options{})
		if err != nil {
			if !errors.Is(err, ErrProgram) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("%v wraps neither sentinel", err)
			}
			return
		}
		for _, f := range append(mailFrames(), filterFrames(1)...) {
			e.NewWorker().Process(1, f, func(uint32, []byte) {})
		}
	})
}

// spoil replaces or removes a random value of the program.
func spoil(t *rapid.T, v any, depth int) any {
	if rapid.IntRange(0, 12).Draw(t, "here") < depth-3 {
		return rapid.SampledFrom([]any{
			nil, "", "0x1", "-0x5", "0x", "h", -1.0, 0.0, 1.0, 7.0, 70.0, 1e6, 1e12, 0.5, true, false, l{}, m{}, l{1.0, 2.0}, l{"h", "a"}, m{"op": "+"},
		}).Draw(t, "value")
	}
	switch x := v.(type) {
	case m:
		if len(x) > 0 {
			k := rapid.SampledFrom(sortedKeys(x)).Draw(t, "key")
			if rapid.IntRange(0, 20).Draw(t, "remove") == 0 {
				delete(x, k)
			} else {
				x[k] = spoil(t, x[k], depth+1)
			}
		}
	case l:
		if len(x) > 0 {
			i := rapid.IntRange(0, len(x)-1).Draw(t, "index")
			x[i] = spoil(t, x[i], depth+1)
		}
	}
	return v
}
