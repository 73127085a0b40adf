package engine

import (
	"encoding/hex"
	"fmt"
	"slices"
)

// A Kind is the kind of an Event.
type Kind string

// The kinds of events, in the order of processing.
const (
	EventReceived  Kind = "received"  // a frame of Bytes bytes enters ingress at Port; the frame is received, resubmitted or recirculated
	EventState     Kind = "state"     // the parser enters Name
	EventSelect    Kind = "select"    // state Name selects the next state by the values in Fields; the next event names that state
	EventParsed    Kind = "parsed"    // the parser has finished after Bytes bytes; Name is the parser error, or NoError
	EventPipeline  Kind = "pipeline"  // pipeline Name (ingress or egress) begins; for egress, Port is the egress port
	EventCondition Kind = "condition" // condition Name was evaluated
	EventTable     Kind = "table"     // table Name was applied to the key in Fields; Hit, Entry, Action and Args describe the result
	EventAction    Kind = "action"    // action Action was called without a table
	EventCounter   Kind = "counter"   // counter Name counts Bytes bytes; without Index, Name is the direct counter or, if it has no name, its table
	EventMeter     Kind = "meter"     // meter Name returned Color; without Index, Name is the direct meter of the preceding table
	EventRead      Kind = "read"      // register Name was read at Index; Fields[0] is the value
	EventWrite     Kind = "write"     // register Name was written at Index; Fields[0] is the value
	EventDigest    Kind = "digest"    // digest Name with the values in Fields is sent to the control plane, if the queue has room
	EventClone     Kind = "clone"     // the packet is cloned to session Index
	EventMulticast Kind = "multicast" // the packet is replicated to group Index
	EventAgain     Kind = "again"     // the packet is resubmitted or recirculated; Name states which of the two
	EventDeparse   Kind = "deparse"   // the deparser writes the headers in Headers
	EventDrop      Kind = "drop"      // the packet is dropped in pipeline Name (ingress or egress)
	EventSend      Kind = "send"      // a frame of Bytes bytes is sent to Port
)

// An Event is a step in a packet's processing. Its Kind determines which members are set. The other members are zero.
type Event struct {
	Kind Kind `json:"kind"`
	// Name is the name of a table, parser state, counter or other object in the program. For a condition, it is the name that p4c gave it.
	Name string `json:"name,omitempty"`
	// Source is the position in the program's source as file:line, and Text is the source text at that position. Both are empty if the JSON
	// has no position.
	Source string `json:"source,omitempty"`
	Text   string `json:"text,omitempty"`
	// Hidden marks a table that p4c created for statements between the program's tables.
	Hidden   bool      `json:"hidden,omitempty"`
	Fields   []Value   `json:"fields,omitempty"`
	Hit      bool      `json:"hit,omitempty"`
	Entry    []Matched `json:"entry,omitempty"`
	Priority int32     `json:"priority,omitempty"`
	Action   string    `json:"action,omitempty"`
	Args     []Value   `json:"args,omitempty"`
	Holds    bool      `json:"holds,omitempty"`
	Index    *uint64   `json:"index,omitempty"`
	Color    string    `json:"color,omitempty"`
	Headers  []string  `json:"headers,omitempty"`
	Port     *uint32   `json:"port,omitempty"`
	Bytes    int       `json:"bytes,omitempty"`
}

// A Value is the value of a field, of an action's parameter or of a digest's member, in (Width+7)/8 big-endian bytes.
type Value struct {
	Name  string `json:"name"`
	Width int    `json:"width"` // in bits
	Value Bits   `json:"value"`
}

// A Matched is the match on one key field in the entry that was hit.
type Matched struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"` // match kind, in P4's spelling
	Width int    `json:"width"`
	// Value, Mask and PrefixLen have the same meaning as in Match. If the field matches every value, only Any is set.
	Value     Bits `json:"value,omitempty"`
	Mask      Bits `json:"mask,omitempty"`
	PrefixLen int  `json:"prefixLength,omitempty"`
	Any       bool `json:"any,omitempty"`
}

// Bits is a big-endian number of any width.
type Bits []byte

// String returns the number in hexadecimal.
func (b Bits) String() string { return "0x" + hex.EncodeToString(b) }

// MarshalText returns the same text as String.
func (b Bits) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// Uint64 returns the low 64 bits of the number.
func (b Bits) Uint64() uint64 {
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}

// Trace processes a frame like Process. It returns the events of the packet and of all packets made from it, in order.
//
// Traced packets run separate code, which also records events. So the code that Process runs has no support for tracing. Unlike Process,
// Trace allocates.
func (w *Worker) Trace(port uint32, frame []byte, emit func(port uint32, frame []byte)) []Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace, w.prog = &trace{make([]Event, 0, 128)}, w.e.traced
	defer func() { w.trace, w.prog = nil, w.e.prog }()
	w.process(port, frame, emit)
	return w.trace.events
}

// A trace collects events. If tracing is off, the pointer to the trace is nil, and callers check this before they create an event.
type trace struct{ events []Event }

func (t *trace) add(e Event) { t.events = append(t.events, e) }

func ptr[T any](v T) *T { return &v }

// valueOf returns a Value that contains the words of a field.
func valueOf(name string, width int, words []uint64) Value {
	return Value{name, width, bytesOf(words, width)}
}

// tell returns an instr that records an event. f computes the event from the packet.
func tell(f func(p *packet) Event) instr {
	return instr{op: opCall, x: &extra{fn: func(p *packet) {
		if p.w.trace != nil { // it is nil during Watch
			p.w.trace.add(f(p))
		}
	}}}
}

// tells returns an instr that records a fixed event.
func tells(e Event) instr { return tell(func(*packet) Event { return e }) }

// trace returns the program for traced packets. The result shares actions, tables and headers with pr, but has its own code.
func (c *compiler) trace(pr *program) *program {
	traced := *pr
	traced.code, traced.entry = nil, nil
	if c.states != nil {
		c.states.lay(&traced, true)
	}
	c.traceFlow(&traced)
	return &traced
}

// errName returns the name of a parser error in the program.
func (pr *program) errName(code uint64) string {
	if name, ok := pr.errNames[code]; ok {
		return name
	}
	return fmt.Sprintf("error %d", code)
}

// traceFlow lays out the code of all pipelines for traced packets. Unlike flow, it omits, inlines and reorders nothing, and every step
// records an event.
func (c *compiler) traceFlow(pr *program) {
	var s asm
	base := int32(len(pr.code))
	labels := make([]int, len(pr.nodes))
	for i := range labels {
		labels[i] = s.label()
	}
	stop := s.label()
	to := func(node int32) int {
		if node == end {
			return stop
		}
		return labels[node]
	}
	for i := range pr.nodes {
		n := &pr.nodes[i]
		s.place(labels[i])
		switch {
		case n.table != nil:
			s.add(tell(n.table.event), instr{op: opTable, x: &extra{table: n.table}})
		case n.cond != nil:
			func() {
				defer c.at("pipeline %q: condition %q", n.pipeline, n.name)()
				e := Event{Kind: EventCondition, Name: n.name, Source: n.source.place(), Text: n.source.text()}
				no := s.label()
				c.branch(&s, n.cond, false, no)
				holds := e
				holds.Holds = true
				s.add(tells(holds))
				s.jump(instr{op: opGoto}, to(n.yes))
				s.place(no)
				s.add(tells(e))
				s.jump(instr{op: opGoto}, to(n.no))
			}()
		default:
			s.add(tells(Event{Kind: EventAction, Action: n.act.name}))
			s.inline(n.act)
			s.jump(instr{op: opGoto}, to(n.yes))
		}
	}
	s.place(stop)
	s.add(instr{op: opEnd})
	pr.entry = make([]int32, len(pr.nodes))
	for i, label := range labels {
		pr.entry[i] = base + int32(s.labels[label])
	}
	pr.code = append(pr.code, s.link()...)
}

// event returns the event for the application of the table to the packet. The worker's lock is held, so no entry changes between this call
// and the lookup.
func (t *Table) event(p *packet) Event {
	e := Event{Kind: EventTable, Name: t.name, Source: t.source.place(), Hidden: t.hidden}
	key := p.w.key[:t.words]
	t.read(p, key)
	at := 0
	for i, f := range t.key {
		n := t.build[i].words
		e.Fields = append(e.Fields, valueOf(f.Name, f.Width, key[at:at+n]))
		at += n
	}
	v := &t.miss
	if row := t.rows.Lookup(key); row != nil {
		v, e.Hit = &row.Value, true
		e.Entry, e.Priority = t.matched(v.ctl.Matches), v.ctl.Priority
	}
	act, args := v.act, v.args
	if t.profile != nil && act == nil {
		m := v.member
		if v.group != nil && len(v.group.slots) > 0 {
			m = v.group.slots[t.profile.sel.sum(p)%uint64(len(v.group.slots))]
		}
		if m != nil {
			act, args = m.act, m.args
		}
	}
	if act != nil {
		e.Action = act.name
		for i, param := range act.params {
			n := len(args)
			if i+1 < len(act.at) {
				n = act.at[i+1]
			}
			e.Args = append(e.Args, valueOf(param.Name, param.Width, args[act.at[i]:n]))
		}
	}
	return e
}

func (t *Table) matched(ms []Match) []Matched {
	out := make([]Matched, len(ms))
	for i, f := range t.key {
		m := &ms[i]
		out[i] = Matched{Name: f.Name, Kind: f.Kind.String(), Width: f.Width, Any: m.Wildcard}
		if !m.Wildcard {
			out[i].Value, out[i].Mask, out[i].PrefixLen = slices.Clone(m.Value), slices.Clone(m.Mask), m.PrefixLen
		}
	}
	return out
}

// event returns the event for a selection. If the packet is too short for the key, the event has no Fields.
func (sel *selection) event(p *packet, state string) Event {
	e := Event{Kind: EventSelect, Name: state}
	failed := p.failed
	defer func() { p.failed = failed }()
	key := p.w.key[:sel.words]
	if !sel.read(p, key) {
		return e
	}
	at := 0
	for i := range sel.key {
		k := &sel.key[i]
		e.Fields = append(e.Fields, valueOf(k.name, k.width, key[at:at+k.words]))
		at += k.words
	}
	return e
}

// told records that a cell of the register was read or written.
func (r *Register) told(p *packet, kind Kind, index uint64) {
	cell := r.cells[int(index)*r.words:][:r.words]
	p.w.trace.add(Event{Kind: kind, Name: r.name, Index: ptr(index), Fields: []Value{valueOf(r.name, r.width, cell)}})
}

// told records which headers the deparser is about to write.
func (pr *program) told(p *packet) {
	e := Event{Kind: EventDeparse}
	for _, h := range pr.emits {
		if p.s[h.base] != 0 {
			e.Headers = append(e.Headers, h.name)
		}
	}
	p.w.trace.add(e)
}
