package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"op25b/internal/softswitch/extern"
	"op25b/internal/softswitch/match"
)

// table compiles a table.
func (c *compiler) table(j *jsonTable, node func(*string) int32) *Table {
	defer c.at("table %q", j.Name)()
	t := &Table{
		e: c.e, name: j.Name, size: j.MaxSize, timeout: j.SupportTimeout, counters: j.WithCounters, base: end,
		source: j.Source, hidden: len(j.Key) == 0 && strings.HasPrefix(j.Name, "tbl_"),
	}
	for _, id := range j.ActionIDs {
		a, ok := c.actions[id]
		if !ok {
			c.fail(ErrProgram, "no action with id %d", id)
		}
		t.actions = append(t.actions, a)
	}
	if len(j.ActionIDs) == 0 {
		for _, name := range j.Actions {
			a := actionNamed(c.e.prog.actions, name)
			if a == nil {
				c.fail(ErrProgram, "no action %q", name)
			}
			t.actions = append(t.actions, a)
		}
	}
	c.tableNext(t, j, node)
	c.tableKey(t, j)
	c.tableKind(t, j)
	c.tableDefault(t, j)
	c.tableEntries(t, j)
	if _, dup := c.e.byTable[t.name]; dup {
		c.fail(ErrProgram, "declared twice")
	}
	c.e.tables = append(c.e.tables, t)
	c.e.byTable[t.name] = t
	return t
}

// tableNext computes the node that follows each action. If the program branches on hit or miss, it computes the nodes that follow a
// hit and a miss.
func (c *compiler) tableNext(t *Table, j *jsonTable, node func(*string) int32) {
	hit, isHit := j.NextTables["__HIT__"]
	miss, isMiss := j.NextTables["__MISS__"]
	if isHit || isMiss {
		h, m := node(hit), node(miss)
		t.onHit, t.onMiss = &h, &m
	}
	t.base = node(j.BaseDefaultNext)
	c.reserve(len(c.e.prog.actions), 4, "the actions of")
	t.nextOf = make([]int32, len(c.e.prog.actions))
	for i := range t.nextOf {
		t.nextOf[i] = end
	}
	for _, a := range t.actions {
		next, ok := j.NextTables[a.name]
		if !ok && t.onHit == nil {
			c.fail(ErrProgram, "next_tables lacks action %q", a.name)
		}
		t.nextOf[a.index] = node(next)
	}
	t.miss.next = t.nextMiss(nil)
}

func (c *compiler) tableKey(t *Table, j *jsonTable) {
	kinds := map[string]match.Kind{
		"exact": match.Exact, "valid": match.Exact, "lpm": match.LPM, "ternary": match.Ternary, "range": match.Range,
		"optional": match.Optional,
	}
	fields := make([]match.Field, 0, len(j.Key))
	masked := false
	var masks []uint64
	for i := range j.Key {
		k := &j.Key[i]
		kind, ok := kinds[k.MatchType]
		if !ok {
			c.fail(ErrUnsupported, "key %d of match type %q", i, k.MatchType)
		}
		part, f, name := c.keyPart(k)
		if f.variable {
			c.fail(ErrUnsupported, "key %q is a variable field", name)
		}
		t.build = append(t.build, part)
		t.words += f.words
		t.key = append(t.key, KeyField{name, f.width, kind})
		fields = append(fields, match.Field{Name: name, Width: f.width, Kind: kind})
		_, all := (&field{width: f.width}).span()
		if k.Mask != nil {
			m, err := hexBig(*k.Mask)
			c.check(err)
			all = new(big.Int).And(all, m)
			masked = true
		}
		masks = append(masks, bigWords(all, f.words)...)
	}
	if masked {
		t.masks = masks
	}
	c.keyMax = max(c.keyMax, t.words)
	size := max(1, t.size, len(j.Entries))
	t.size = size
	rows, err := match.New[entry](fields, size)
	c.check(err)
	t.rows = rows
}

// keyPart compiles a field of a key. The field is given as [header, field], as a header whose validity is meant, or as an expression
// that finds the field at run time.
func (c *compiler) keyPart(k *jsonKey) (keyPart, *field, string) {
	if len(k.Target) > 0 && k.Target[0] == '{' {
		n := c.expr(&jsonValue{Type: "expression", Value: k.Target})
		if n.op == leafDynamic {
			return keyPart{slot: n.f.off, words: n.f.words, valid: -1, find: c.hv(n.l)}, n.f, cmp.Or(k.Name, n.f.name)
		}
		if n.op != leafField {
			c.fail(ErrUnsupported, "a key of %s", n.op)
		}
		return n.ref.keyPart(), n.ref.f, cmp.Or(k.Name, n.ref.h.name+"."+n.ref.f.name)
	}
	var at [2]string
	if json.Unmarshal(k.Target, &at) != nil {
		at = [2]string{c.text(k.Target), validName}
	}
	r, err := c.l.find(at[0], at[1])
	c.check(err)
	r.h.hot[r.f] = true
	return r.keyPart(), r.f, cmp.Or(k.Name, at[0]+"."+at[1])
}

func (r ref) keyPart() keyPart {
	part := keyPart{slot: r.slot(), words: r.f.words, valid: -1}
	if !r.h.metadata && r.f != valid {
		part.valid = r.h.base
	}
	return part
}

// tableKind sets the table's action profile, direct counter and direct meter.
func (c *compiler) tableKind(t *Table, j *jsonTable) {
	switch j.Type {
	case "simple":
	case "indirect", "indirect_ws":
		p, ok := c.e.ActionProfile(j.ActionProfile)
		if !ok {
			c.fail(ErrProgram, "no action profile %q", j.ActionProfile)
		}
		if (j.Type == "indirect_ws") != (p.sel != nil) {
			c.fail(ErrProgram, "it is %s, but its action profile %q has selector: %v", j.Type, p.name, p.sel != nil)
		}
		t.profile = p
		for _, a := range t.actions {
			if actionNamed(p.actions, a.name) == nil {
				p.actions = append(p.actions, a)
			}
		}
	default:
		c.fail(ErrUnsupported, "table type %q", j.Type)
	}
	for _, ctr := range c.j.CounterArrays {
		if ctr.IsDirect && ctr.Binding == t.name {
			t.counter, t.counters = ctr.Name, true
		}
	}
	if j.DirectMeters == nil {
		return
	}
	for i := range c.j.MeterArrays {
		if m := &c.j.MeterArrays[i]; m.Name == *j.DirectMeters {
			t.meter, t.unit = m.Name, c.meterUnit(m)
			r, err := c.l.find(m.ResultTarget[0], m.ResultTarget[1])
			c.check(err)
			if r.f.variable || r.f.words != 1 {
				c.fail(ErrUnsupported, "the color of direct meter %q in field %q", m.Name, r.f.name)
			}
			r.h.hot[r.f] = true
			t.color = r
			return
		}
	}
	c.fail(ErrProgram, "no direct meter %q", *j.DirectMeters)
}

func (c *compiler) meterUnit(m *jsonMeter) extern.Unit {
	switch m.Type {
	case "packets":
		return extern.Packets
	case "bytes":
		return extern.Bytes
	}
	c.fail(ErrUnsupported, "meter %q of type %q", m.Name, m.Type)
	return 0
}

func (c *compiler) tableDefault(t *Table, j *jsonTable) {
	d := j.DefaultEntry
	if d == nil {
		return
	}
	a, ok := c.actions[d.ActionID]
	if !ok {
		c.fail(ErrProgram, "no default action with id %d", d.ActionID)
	}
	call := c.call(a, d.ActionData)
	if !slices.Contains(t.actions, a) {
		c.fail(ErrProgram, "default action %q is not one of its actions", a.name)
	}
	_, args, err := bind([]*action{a}, call)
	c.check(err)
	t.constDefault = d.ActionConst && d.ActionEntryConst
	if d.ActionConst {
		t.constAction = a
	}
	t.constDefault = t.constDefault || d.ActionEntryConst
	t.initial, t.defaultCall = call, call.clone()
	t.miss.act, t.miss.args, t.miss.next = a, args, t.nextMiss(a)
}

// call converts the arguments that the program declares for an action's call.
func (c *compiler) call(a *action, data []string) ActionCall {
	if len(data) != len(a.params) {
		c.fail(ErrProgram, "action %q: %d arguments, it has %d parameters", a.name, len(data), len(a.params))
	}
	out := ActionCall{Name: a.name}
	for i, s := range data {
		b, err := hexBig(s)
		c.check(err)
		w := a.params[i].Width
		_, all := (&field{width: w}).span()
		out.Args = append(out.Args, bytesOf(bigWords(new(big.Int).And(b, all), max(1, match.Words(w))), w))
	}
	return out
}

// tableEntries inserts the entries that the program declares. In the JSON the smallest priority wins, whereas in the engine the
// largest priority wins.
func (c *compiler) tableEntries(t *Table, j *jsonTable) {
	if j.Entries == nil {
		return
	}
	if t.profile != nil {
		c.fail(ErrUnsupported, "entries in an indirect table")
	}
	top := int32(0)
	for i := range j.Entries {
		top = max(top, j.Entries[i].Priority)
	}
	for i := range j.Entries {
		je := &j.Entries[i]
		func() {
			defer c.at("entry %d", i)()
			en := Entry{Const: true, Matches: c.entryKey(t, je)}
			if t.HasPriority() {
				en.Priority = top + 1 - je.Priority
			}
			a, ok := c.actions[je.ActionEntry.ActionID]
			if !ok {
				c.fail(ErrProgram, "no action with id %d", je.ActionEntry.ActionID)
			}
			en.Action = c.call(a, je.ActionEntry.ActionData)
			c.check(t.insertLocked(en))
		}()
	}
	t.isConst = true
}

func (c *compiler) entryKey(t *Table, je *jsonEntry) []Match {
	if len(je.MatchKey) != len(t.key) {
		c.fail(ErrProgram, "%d matches for %d fields", len(je.MatchKey), len(t.key))
	}
	number := func(s string, w int) *big.Int {
		b, err := hexBig(s)
		c.check(err)
		_, all := (&field{width: w}).span()
		return new(big.Int).And(b, all)
	}
	var out []Match
	for i := range je.MatchKey {
		k, f := &je.MatchKey[i], &t.key[i]
		_, all := (&field{width: f.Width}).span()
		var m Match
		switch f.Kind {
		case match.Exact:
			var b bool
			if json.Unmarshal(k.Key, &b) == nil {
				m.Value = []byte{0}
				if b {
					m.Value[0] = 1
				}
				break
			}
			m.Value = number(c.text(k.Key), f.Width).Bytes()
		case match.LPM:
			if k.PrefixLength < 0 || k.PrefixLength > f.Width {
				c.fail(ErrProgram, "field %q: prefix length %d, must be 0 to %d", f.Name, k.PrefixLength, f.Width)
			}
			v, rest := number(c.text(k.Key), f.Width), uint(f.Width-k.PrefixLength)
			m.Value, m.PrefixLen = v.Lsh(v.Rsh(v, rest), rest).Bytes(), k.PrefixLength
			m.Wildcard = k.PrefixLength == 0
		case match.Range:
			m.Value, m.Mask = number(k.Start, f.Width).Bytes(), number(k.End, f.Width).Bytes()
		default:
			mask := number(k.Mask, f.Width)
			v := number(c.text(k.Key), f.Width)
			m.Value, m.Mask = v.And(v, mask).Bytes(), mask.Bytes()
			m.Wildcard = mask.Sign() == 0
			if f.Kind == match.Optional && !m.Wildcard && mask.Cmp(all) != 0 {
				c.fail(ErrProgram, "field %q: mask %s of an optional field", f.Name, fmt.Sprintf("%#x", mask))
			}
		}
		out = append(out, m)
	}
	return out
}
