package engine

import (
	"cmp"
	"sync/atomic"

	"op25b/internal/softswitch/extern"
	"op25b/internal/softswitch/match"
)

// A ctlNode is a step in a pipeline's control flow.
type ctlNode struct {
	table *Table
	cond  *node

	pipeline, name string // names of the condition's pipeline and of the condition, for error messages
	source         *jsonSource
	act            *action // action that is called without a table
	yes            int32   // next node after act, or if the condition holds
	no             int32
}

// A keyPart reads a field of a table's key from the packet.
type keyPart struct {
	slot  int
	words int
	valid int // slot of the header's validity; -1 if the validity does not matter
	find  hv  // finds the header at run time; if find is not nil, slot is relative to that header
}

// apply runs a pipeline from its first node.
func (pr *program) apply(p *packet, first int32) {
	if first != end && !p.exit {
		pr.exec(p, pr.entry[first])
	}
}

// apply looks up the packet's key in the table, runs the resulting action, and returns the next node.
func (t *Table) apply(p *packet) int32 {
	if t.rows.Len() == 0 {
		t.watched(p, nil)
		if t.miss.act != nil {
			p.run(t.miss.act, t.miss.args)
		}
		return t.miss.next
	}
	key := p.w.key[:t.words]
	t.read(p, key)
	return t.decide(p, t.rows.Lookup(key))
}

// decide runs the action of the entry that the packet has hit, or the default action if row is nil, and returns the next node.
func (t *Table) decide(p *packet, row *match.Entry[entry]) int32 {
	if row == nil {
		t.watched(p, nil)
		if t.miss.act != nil {
			p.run(t.miss.act, t.miss.args)
		}
		return t.miss.next
	}
	v := &row.Value
	if p.w.looked != nil { // v.ctl is in another cache line
		t.watched(p, v.ctl)
	}
	if t.counters {
		atomic.AddUint64(&v.packets, 1)
		atomic.AddUint64(&v.bytes, uint64(p.inLen))
		if p.w.trace != nil {
			p.w.trace.add(Event{Kind: EventCounter, Name: cmp.Or(t.counter, t.name), Bytes: p.inLen})
		}
	}
	if t.timeout {
		atomic.StoreInt64(&v.seen, p.w.now)
	}
	// Rare properties are checked on the table first, because the entry's memory may not be in the CPU cache.
	if t.meter != "" {
		f := t.color.f
		p.fill(t.color.h)
		color := v.meter.Execute(p.inLen, extern.Green)
		p.s[t.color.slot()+f.words-1] = uint64(color) & ones(f.width)
		if p.w.trace != nil {
			p.w.trace.add(Event{Kind: EventMeter, Name: t.meter, Color: color.String()})
		}
	}
	if t.profile != nil && v.act == nil {
		m := v.member
		if v.group != nil {
			if len(v.group.slots) == 0 {
				return t.emptyGroup()
			}
			m = v.group.slots[t.profile.sel.sum(p)%uint64(len(v.group.slots))]
		}
		p.run(m.act, m.args)
		return t.nextHit(m.act)
	}
	p.run(v.act, v.args)
	return v.next
}

// read reads the table's key from the packet.
func (t *Table) read(p *packet, key []uint64) {
	at := 0
	for i := range t.build {
		k := &t.build[i]
		switch {
		case k.find != nil:
			if h := k.find(p); p.s[h.base] != 0 {
				copy(key[at:at+k.words], p.s[h.base+k.slot:])
			} else {
				clear(key[at : at+k.words])
			}
		case k.valid >= 0 && p.s[k.valid] == 0:
			// A field of an invalid header counts as zero.
			clear(key[at : at+k.words])
		case k.words == 1:
			key[at] = p.s[k.slot]
		default:
			copy(key[at:at+k.words], p.s[k.slot:])
		}
		at += k.words
	}
	for i, m := range t.masks {
		key[i] &= m
	}
}

// emptyGroup returns the next node after a hit on an entry whose group has no members. No action runs.
func (t *Table) emptyGroup() int32 {
	if t.onHit != nil {
		return *t.onHit
	}
	return t.base
}

// pipeline compiles the control flow of one pipeline and returns its first node.
func (c *compiler) pipeline(pr *program, j *jsonPipeline) int32 {
	defer c.at("pipeline %q", j.Name)()
	index := map[string]int32{}
	add := func(name string) int32 {
		if _, dup := index[name]; dup {
			c.fail(ErrProgram, "two nodes are called %q", name)
		}
		pr.nodes = append(pr.nodes, ctlNode{yes: end, no: end})
		index[name] = int32(len(pr.nodes) - 1)
		return index[name]
	}
	for i := range j.Tables {
		add(j.Tables[i].Name)
	}
	for i := range j.Conditionals {
		add(j.Conditionals[i].Name)
	}
	for i := range j.ActionCalls {
		add(j.ActionCalls[i].Name)
	}
	node := func(name *string) int32 {
		if name == nil {
			return end
		}
		at, ok := index[*name]
		if !ok {
			c.fail(ErrProgram, "no table, condition or call %q", *name)
		}
		return at
	}
	for i := range j.ActionProfiles {
		c.profile(&j.ActionProfiles[i])
	}
	for i := range j.Tables {
		pr.nodes[index[j.Tables[i].Name]].table = c.table(&j.Tables[i], node)
	}
	for i := range j.Conditionals {
		q := &j.Conditionals[i]
		func() {
			defer c.at("condition %q", q.Name)()
			n := &pr.nodes[index[q.Name]]
			n.yes, n.no = node(q.TrueNext), node(q.FalseNext)
			n.cond = c.asBool(c.expr(&q.Expression))
			n.pipeline, n.name, n.source = j.Name, q.Name, q.Source
		}()
	}
	for i := range j.ActionCalls {
		q := &j.ActionCalls[i]
		a, ok := c.actions[q.ActionID]
		if !ok || len(a.params) > 0 {
			c.fail(ErrProgram, "call %q: no action with id %d and without parameters", q.Name, q.ActionID)
		}
		n := &pr.nodes[index[q.Name]]
		n.act, n.yes = a, node(q.NextNode)
	}
	return node(j.InitTable)
}

func (c *compiler) profile(j *jsonProfile) {
	defer c.at("action profile %q", j.Name)()
	p := &ActionProfile{e: c.e, name: j.Name, size: j.MaxSize, members: map[uint32]*member{}, groups: map[uint32]*group{}}
	if j.Selector != nil {
		p.sel = c.calculation(j.Selector.Algo, j.Selector.Input)
	}
	if _, dup := c.e.ActionProfile(j.Name); !dup {
		c.e.profiles = append(c.e.profiles, p)
	}
}
