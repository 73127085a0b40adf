// Package nativetest compares the generated code of a program with the interpreter. It is for tests.
package nativetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/match"
)

// ports is the number of ports from which frames come.
const ports = 4

// A Comparison is what was compared.
type Comparison struct {
	Frames, Sent, Entries, Digests int
}

// framesOfRound is the number of frames that are processed before the entries are replaced by others.
const framesOfRound = 1000

// Compare processes frames by the interpreter and by generated code, with the same random entries, until n frames are processed. The frames are the
// given ones and mutations of them, from random ports. Frames sent, counts, registers and digests must be the same.
func Compare(program []byte, native *engine.Native, frames [][]byte, n int, seed uint64) (c Comparison, err error) {
	rnd := rand.New(rand.NewPCG(seed, 25))
	for err == nil && c.Frames < n {
		err = c.round(program, native, rnd, frames, min(framesOfRound, n-c.Frames))
	}
	return c, err
}

func (c *Comparison) round(program []byte, native *engine.Native, rnd *rand.Rand, frames [][]byte, n int) error {
	var sides [3]*side // the interpreter, generated code, and one that only traces
	for i, o := range []engine.Options{{}, {Native: []*engine.Native{native}}, {}} {
		var ticks int64
		o.Clock = func() time.Time { ticks++; return time.Unix(0, 0).Add(time.Duration(ticks) * 50 * time.Millisecond) }
		e, err := engine.Load(program, o)
		if err != nil {
			return err
		}
		if e.IsNative() != (i == 1) {
			return fmt.Errorf("the generated code is used: %v, want %v", e.IsNative(), i == 1)
		}
		sides[i] = &side{e: e, w: e.NewWorker()}
	}
	interpreter, generated := sides[0], sides[1]
	c.Entries += fill(rnd, frames, sides[2].w, sides[2].e, interpreter.e, generated.e)
	for range n {
		frame, port := mutated(rnd, frames), rnd.Uint32N(ports)
		interpreter.process(port, frame)
		generated.process(port, frame)
		if err := interpreter.same(generated); err != nil {
			return fmt.Errorf("frame %d, port %d, %x: %w", c.Frames, port, frame, err)
		}
		c.Frames++
		c.Sent += len(interpreter.sent)
		c.Digests += len(interpreter.digests)
	}
	return sameState(interpreter.e, generated.e)
}

// A side is one of the two engines, with what the last frame caused.
type side struct {
	e       *engine.Engine
	w       *engine.Worker
	sent    []sent
	digests []string
}

type sent struct {
	port  uint32
	frame []byte
}

func (s *side) process(port uint32, frame []byte) {
	s.sent, s.digests = nil, nil
	s.w.Process(port, frame, func(port uint32, frame []byte) { s.sent = append(s.sent, sent{port, bytes.Clone(frame)}) })
	for {
		select {
		case d := <-s.e.Digests():
			s.digests = append(s.digests, fmt.Sprintf("%s %x", d.Name, d.Values))
			d.Release()
			continue
		default:
		}
		return
	}
}

func (s *side) same(o *side) error {
	if !slices.EqualFunc(s.sent, o.sent, func(a, b sent) bool { return a.port == b.port && bytes.Equal(a.frame, b.frame) }) {
		return fmt.Errorf("the interpreter sends %x, the generated code %x", s.sent, o.sent)
	}
	if !slices.Equal(s.digests, o.digests) {
		return fmt.Errorf("the interpreter sends digests %q, the generated code %q", s.digests, o.digests)
	}
	if a, b := s.e.Stats(), o.e.Stats(); a != b {
		return fmt.Errorf("the interpreter counts %+v, the generated code %+v", a, b)
	}
	return nil
}

// sameState compares the counters and registers of two engines.
func sameState(a, b *engine.Engine) error {
	for i, c := range a.Counters() {
		for cell := range c.Size() {
			x, _ := c.Read(cell)
			if y, _ := b.Counters()[i].Read(cell); x != y {
				return fmt.Errorf("counter %s, cell %d: %v and %v", c.Name(), cell, x, y)
			}
		}
	}
	for i, r := range a.Registers() {
		for cell := range r.Size() {
			x, _ := r.Read(cell)
			if y, _ := b.Registers()[i].Read(cell); !bytes.Equal(x, y) {
				return fmt.Errorf("register %s, cell %d: %x and %x", r.Name(), cell, x, y)
			}
		}
	}
	for i, t := range a.Tables() {
		if !t.HasDirectCounter() {
			continue
		}
		var counts [2][]engine.CounterValue
		for side, t := range []*engine.Table{t, b.Tables()[i]} {
			t.RangeState(func(_ engine.Entry, s engine.EntryState) bool {
				counts[side] = append(counts[side], s.Counter)
				return true
			})
		}
		if !slices.Equal(counts[0], counts[1]) {
			return fmt.Errorf("direct counters of table %s: %v and %v", t.Name(), counts[0], counts[1])
		}
	}
	return nil
}

// mutated returns one of the frames, often with changes.
func mutated(rnd *rand.Rand, frames [][]byte) []byte {
	f := bytes.Clone(frames[rnd.IntN(len(frames))])
	for range rnd.IntN(4) {
		switch at := rnd.IntN(len(f)); rnd.IntN(6) {
		case 0:
			f[at] ^= 1 << rnd.IntN(8)
		case 1:
			f[at] = byte(rnd.Uint32())
		case 2:
			f[at] = byte(rnd.IntN(4))
		case 3:
			f = f[:max(1, at)]
		case 4:
			f = append(f, make([]byte, rnd.IntN(100))...)
		case 5: // as if another header began there
			o := frames[rnd.IntN(len(frames))]
			f = append(f[:max(1, at)], o[rnd.IntN(len(o)):]...)
		}
	}
	return f
}

// scouted is how many frames are traced before entries are inserted.
const scouted = 60

// fill inserts the same entries into the tables of all engines, and changes default actions. The first engine traces frames, and most entries match
// what it looks up for them, so that the frames get deep into the program. fill returns the number of entries.
func fill(rnd *rand.Rand, frames [][]byte, scout *engine.Worker, all ...*engine.Engine) (entries int) {
	insert := func(name string, values func(i int) []byte) {
		t, _ := all[0].Table(name)
		if _, indirect := t.Profile(); indirect || t.IsConst() || t.Hidden() || len(t.ActionNames()) == 0 {
			return
		}
		names := t.ActionNames()
		en := engine.Entry{Action: action(rnd, t, names[rnd.IntN(len(names))])}
		if t.HasPriority() {
			en.Priority = 1 + rnd.Int32N(9)
		}
		for i, k := range t.Key() {
			en.Matches = append(en.Matches, matching(rnd, k, values(i)))
		}
		setDefault := !t.HasConstDefault() && rnd.IntN(8) == 0
		var first error
		for i, e := range all {
			t, _ := e.Table(name)
			if setDefault {
				_ = t.SetDefault(en.Action)
			}
			err := t.Insert(en)
			if i == 0 {
				first = err
			} else if (err == nil) != (first == nil) {
				panic(errors.Join(err, first))
			}
		}
		if first == nil {
			entries++
		}
	}
	for range scouted {
		events := scout.Trace(rnd.Uint32N(ports), mutated(rnd, frames), func(uint32, []byte) {})
		for i := range events {
			if e := &events[i]; e.Kind == engine.EventTable && rnd.IntN(3) == 0 {
				insert(e.Name, func(i int) []byte { return e.Fields[i].Value })
			}
		}
	}
	for _, t := range all[0].Tables() {
		if rnd.IntN(2) == 0 {
			insert(t.Name(), func(i int) []byte { return number(rnd, t.Key()[i].Width) })
		}
	}
	return entries
}

func action(rnd *rand.Rand, t *engine.Table, name string) engine.ActionCall {
	call := engine.ActionCall{Name: name}
	params, _ := t.ActionParams(name)
	for _, p := range params {
		call.Args = append(call.Args, number(rnd, p.Width))
	}
	return call
}

// matching returns a match of a value, and often of others.
func matching(rnd *rand.Rand, k engine.KeyField, value []byte) engine.Match {
	if k.Kind != match.Exact && rnd.IntN(4) == 0 {
		return engine.Match{Wildcard: true}
	}
	m := engine.Match{Value: bytes.Clone(value)}
	full := bytes.Repeat([]byte{0xff}, len(value))
	full[0] >>= (8 - k.Width%8) % 8
	switch k.Kind {
	case match.LPM:
		m.PrefixLen = rnd.IntN(k.Width + 1)
		cut(m.Value, k.Width, m.PrefixLen)
	case match.Ternary:
		if m.Mask = full; rnd.IntN(2) == 0 {
			m.Mask = number(rnd, k.Width)
		}
		for i := range m.Value {
			m.Value[i] &= m.Mask[i]
		}
	case match.Optional:
		m.Mask = full
	case match.Range:
		if m.Mask = bytes.Clone(value); rnd.IntN(2) == 0 {
			m.Mask = full
		}
	}
	return m
}

// number returns a random number of a width, which is often small, because fields of packets often are.
func number(rnd *rand.Rand, width int) []byte {
	b := make([]byte, (width+7)/8)
	if rnd.IntN(2) == 0 {
		b[len(b)-1] = byte(rnd.IntN(4))
	} else {
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
	}
	b[0] &= 0xff >> ((8 - width%8) % 8)
	return b
}

// cut clears the bits of a number behind a prefix.
func cut(b []byte, width, prefix int) {
	pad := 8*len(b) - width
	for i := pad + prefix; i < 8*len(b); i++ {
		b[i/8] &^= 0x80 >> (i % 8)
	}
}
