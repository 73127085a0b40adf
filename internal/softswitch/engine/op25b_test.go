package engine

import (
	"encoding/binary"
	"os"
	"testing"
)

func op25b(t testing.TB) *Engine {
	t.Helper()
	b, err := os.ReadFile("../../../p4src/build/op25b.json")
	if err != nil {
		t.Fatal(err)
	}
	e, err := Load(b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// mailFrames returns a frame of each kind that the filter distinguishes.
func mailFrames() [][]byte {
	tcp := []byte{0x80, 0, 0, 25, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0}
	v4 := []byte{0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1}
	var s uint32
	for k := 0; k < 20; k += 2 {
		s += uint32(binary.BigEndian.Uint16(v4[k:]))
	}
	binary.BigEndian.PutUint16(v4[10:], ^uint16(s+s>>16))
	v6 := append([]byte{0x60, 0, 0, 0, 0, 20, 6, 64}, make([]byte, 32)...)
	macs := "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"
	join := func(parts ...any) []byte {
		var out []byte
		for _, p := range parts {
			switch x := p.(type) {
			case string:
				out = append(out, x...)
			case []byte:
				out = append(out, x...)
			}
		}
		return out
	}
	return [][]byte{
		join(macs, "\x08\x00", v4, tcp), join(macs, "\x86\xdd", v6, tcp), join(macs, "\x81\x00\x00\x64\x08\x00", v4, tcp),
		join(macs, "\x88\xa8\x00\x01\x81\x00\x00\x64\x86\xdd", v6, tcp), join(macs, "\x88\x64\x11\x00\x00\x01\x00\x2a\x00\x21", v4, tcp),
		join(macs, "\x08\x06", make([]byte, 28)), join(macs, "\x08\x00", v4[:9]),
	}
}

// TestOwnProgram verifies that this repository's program loads, and that it processes frames of every kind
// without allocating.
func TestOwnProgram(t *testing.T) {
	e := op25b(t)
	w := e.NewWorker()
	frames := mailFrames()
	i := 0
	run := func() {
		w.Process(uint32(i%3), frames[i%len(frames)], func(uint32, []byte) {})
		i++
	}
	if n := testing.AllocsPerRun(700, run); n != 0 {
		t.Errorf("%v allocations a packet, want 0", n)
	}
	if s := e.Stats(); s.In != uint64(i) || s.AssertsFailed != 0 || s.Looped != 0 {
		t.Errorf("%+v after %d frames", s, i)
	}
}

// BenchmarkOwnProgram measures one worker with this repository's program and empty tables.
func BenchmarkOwnProgram(b *testing.B) {
	w := op25b(b).NewWorker()
	f := mailFrames()[0]
	emit := func(uint32, []byte) {}
	b.ReportAllocs()
	for b.Loop() {
		w.Process(1, f, emit)
	}
}
