package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"op25b/internal/softswitch/extern"
	"op25b/internal/softswitch/match"
)

// Load parses and compiles the JSON of a program that p4c-bm2-ss has compiled for v1model. Errors name the object in the JSON and wrap
// ErrProgram or ErrUnsupported.
func Load(program []byte, o Options) (e *Engine, err error) {
	if err := measure(program); err != nil {
		return nil, err
	}
	var j jsonProgram
	if err := json.Unmarshal(program, &j); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProgram, err)
	}
	if v := j.Meta.Version; len(v) != 2 || v[0] != 2 {
		return nil, fmt.Errorf("__meta__.version: %w: %v, want [2, n]: JSON of p4c-bm2-ss", ErrProgram, v)
	}
	if o.PriorityQueues <= 0 {
		o.PriorityQueues = 1
	}
	if o.DigestQueue <= 0 {
		o.DigestQueue = 1024
	}
	if o.MaxState <= 0 {
		o.MaxState = DefaultMaxState
	}
	e = newEngine(o)
	if e.lay, err = newLayout(&j); err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			le, ok := r.(loadError)
			if !ok {
				panic(r)
			}
			e, err = nil, le.error
		}
	}()
	c := &compiler{
		e: e, j: &j, l: e.lay, errs: map[string]uint64{}, calcs: map[string]*calculation{}, prims: primitives(),
		lists: map[int]*fieldList{}, actions: map[int]*action{},
	}
	c.program()
	e.setNative(program)
	return e, nil
}

func newEngine(o Options) *Engine {
	start := time.Now
	if o.Clock != nil {
		start = o.Clock
	}
	return &Engine{
		o: o, start: start(), byTable: map[string]*Table{}, vsets: map[string]*ValueSet{}, prog: newProgram(),
		groups: map[uint32][]Replica{}, sessions: map[uint32]CloneSession{},
		digests: make(chan *Digest, o.DigestQueue), spare: make(chan *Digest, o.DigestQueue),
	}
}

func newProgram() *program { return &program{firstState: end, ingress: end, egress: end} }

// program compiles the whole program. Each part is compiled after the parts on which it depends.
func (c *compiler) program() {
	pr := c.e.prog
	for _, x := range c.j.ExternInstances {
		c.fail(ErrUnsupported, "extern instance %q of type %q", x.Name, x.Type)
	}
	c.intrinsics(&pr.in)
	c.errors(pr)
	c.state()
	for i := range c.j.FieldLists {
		c.fieldList(&c.j.FieldLists[i])
	}
	for i := range c.j.Calculations {
		k := &c.j.Calculations[i]
		func() {
			defer c.at("calculation %q", k.Name)()
			c.calcs[k.Name] = c.calculation(k.Algo, k.Input)
		}()
	}
	for i := range c.j.Actions {
		for _, p := range c.j.Actions[i].RuntimeData {
			c.bits(p.Bitwidth, "parameter %q of action %q", p.Name, c.j.Actions[i].Name)
		}
		a := newAction(&c.j.Actions[i], i)
		pr.actions = append(pr.actions, a)
		c.actions[a.id] = a
	}
	for i := range c.j.Actions {
		c.action(pr.actions[i], &c.j.Actions[i])
	}
	if len(c.j.Parsers) > 1 || len(c.j.Deparsers) > 1 {
		c.fail(ErrUnsupported, "%d parsers and %d deparsers, v1model has one of each", len(c.j.Parsers), len(c.j.Deparsers))
	}
	for i := range c.j.Parsers {
		c.parser(pr, &c.j.Parsers[i])
	}
	for i := range c.j.Pipelines {
		switch p := &c.j.Pipelines[i]; p.Name {
		case "ingress":
			pr.ingress = c.pipeline(pr, p)
		case "egress":
			pr.egress = c.pipeline(pr, p)
		default:
			c.fail(ErrUnsupported, "pipeline %q, v1model has ingress and egress", p.Name)
		}
	}
	c.flow(pr)
	c.spareDigests()
	for i := range c.j.Checksums {
		k := c.checksum(&c.j.Checksums[i])
		if k.verify {
			pr.verify = append(pr.verify, k)
		}
		if k.update {
			pr.update = append(pr.update, k)
		}
	}
	for i := range c.j.Deparsers {
		c.deparser(pr, &c.j.Deparsers[i])
	}
	c.finishHeaders(pr)
	for _, t := range c.e.tables {
		if t.in != nil {
			t.in.first = pr.code[t.in.at]
		}
	}
	c.e.traced = c.trace(pr)
	pr.scratch, pr.keyMax, pr.bufMax = c.scratch, c.keyMax, c.bufMax
	c.fitsWorker(pr)
}

// errors assigns a number to every parser error that the engine raises, including errors that the program does not declare.
func (c *compiler) errors(pr *program) {
	next := uint64(0)
	for _, p := range c.j.Errors {
		name, ok1 := p[0].(string)
		v, ok2 := p[1].(float64)
		if !ok1 || !ok2 || v < 0 {
			c.fail(ErrProgram, "errors: %v, want a name and a number", p)
		}
		c.errs[name] = uint64(v)
		next = max(next, uint64(v)+1)
	}
	for name, to := range map[string]*uint64{
		noError: &pr.noError, packetTooShort: &pr.tooShort, stackOutOfBounds: &pr.outOfBounds,
		headerTooShort: &pr.headerTooShort, parserTimeout: &pr.timeout, parserInvalidArgument: &pr.badArgument,
	} {
		v, ok := c.errs[name]
		if !ok {
			v, next = next, next+1
		}
		*to = v
		c.errs[name] = v
	}
	pr.errNames = map[uint64]string{}
	for name, v := range c.errs {
		pr.errNames[v] = name
	}
}

// state creates counters, meters, registers and value sets.
func (c *compiler) state() {
	for i := range c.j.CounterArrays {
		if k := &c.j.CounterArrays[i]; !k.IsDirect {
			n := c.size("counter", k.Name, k.Size)
			c.reserve(n, counterBytes, "counter %q", k.Name)
			c.e.counters = append(c.e.counters, &Counter{name: k.Name, cells: make([]CounterValue, n)})
		}
	}
	for i := range c.j.MeterArrays {
		k := &c.j.MeterArrays[i]
		if k.IsDirect {
			continue
		}
		if k.RateCount != 2 && k.RateCount != 0 {
			c.fail(ErrUnsupported, "meter %q with %d rates", k.Name, k.RateCount)
		}
		unit := c.meterUnit(k)
		n := c.size("meter", k.Name, k.Size)
		c.reserve(n, meterBytes, "meter %q", k.Name)
		cells, err := extern.NewMeters(k.Name, unit, n, c.e.meterClock)
		c.check(err)
		c.e.meters = append(c.e.meters, &Meter{name: k.Name, unit: unit, cells: cells})
	}
	for i := range c.j.RegisterArrays {
		k := &c.j.RegisterArrays[i]
		if k.Bitwidth < 1 || k.Bitwidth > maxFieldBits {
			c.fail(ErrProgram, "register %q of %d bits", k.Name, k.Bitwidth)
		}
		words := match.Words(k.Bitwidth)
		size := c.size("register", k.Name, k.Size)
		c.reserve(size, 8*words, "register %q", k.Name)
		c.e.registers = append(c.e.registers, &Register{name: k.Name, width: k.Bitwidth, words: words, size: size, cells: make([]uint64, size*words)})
	}
	for _, k := range c.j.ParseVSets {
		c.bits(k.CompressedBitwidth, "value set %q", k.Name)
		v := &ValueSet{e: c.e, name: k.Name, width: k.CompressedBitwidth}
		c.e.vsets[k.Name] = v
		c.e.vsetOrder = append(c.e.vsetOrder, v)
	}
}

// bits checks that a width in the program is within the limits.
func (c *compiler) bits(n int, format string, args ...any) {
	if n < 0 || n > maxFieldBits {
		c.fail(ErrProgram, "%s: width %d, must be 0 to %d bits", fmt.Sprintf(format, args...), n, maxFieldBits)
	}
}

func (c *compiler) fieldList(j *jsonFieldList) {
	defer c.at("field list %q", j.Name)()
	l := &fieldList{}
	for i := range j.Elements {
		switch el := &j.Elements[i]; el.Type {
		case "field":
			n := c.expr(el)
			if n.op != leafField {
				c.fail(ErrUnsupported, "element %d of %s", i, n.op)
			}
			l.fields = append(l.fields, n.ref)
		case "hexstr": // a constant, which has no field to preserve
		default:
			c.fail(ErrUnsupported, "element %d of type %q", i, el.Type)
		}
	}
	c.lists[j.ID] = l
}

func (c *compiler) action(a *action, j *jsonAction) {
	defer c.at("action %q", j.Name)()
	c.act = a
	defer func() { c.act = nil }()
	starts := make([]int, 0, len(j.Primitives)+1)
	for i := range j.Primitives {
		starts = append(starts, len(a.code))
		a.code = append(a.code, c.primitive(j.Primitives[i].Op, j.Primitives[i].Parameters)...)
	}
	starts = append(starts, len(a.code))
	for at := range a.code {
		in := &a.code[at]
		if in.op != opJump {
			continue
		}
		if int(in.a) >= len(starts) {
			c.fail(ErrProgram, "a jump to %d, beyond its %d primitives", in.a, len(j.Primitives))
		}
		in.c = int32(starts[in.a] - at - 1)
	}
}

func (c *compiler) deparser(pr *program, j *jsonDeparser) {
	defer c.at("deparser %q", j.Name)()
	for _, name := range j.Order {
		h, ok := c.l.headers[name]
		if !ok {
			c.fail(ErrProgram, "no header %q", name)
		}
		pr.emits = append(pr.emits, h)
		pr.head += h.typ.bytes + h.typ.varMax
	}
	for i := range j.Primitives {
		var p jsonPrimitive
		c.decode(j.Primitives[i], &p, "a primitive")
		code := c.primitive(p.Op, p.Parameters)
		if !standsAlone(code) {
			c.fail(ErrUnsupported, "primitive %q in a deparser", p.Op)
		}
		pr.before = append(pr.before, code...)
	}
	pr.emits = slices.Clip(pr.emits)
}
