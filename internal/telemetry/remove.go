package telemetry

import (
	"slices"
	"strconv"
	"strings"
)

// remove forgets the values at or below a path that the target has deleted. The path may omit keys or contain wildcards. Totals are kept,
// unless an interface is deleted with all its values.
func (s *series) remove(path []elem) {
	for i := len(s.ports) - 1; i >= 0; i-- {
		if s.ports[i].remove(path, s.entries, s.hasBoot) {
			s.removePort(i)
		}
	}
	const set = "acl acl-sets acl-set"
	for k, l := range s.legs {
		at := append(named(set), elem{name: []byte("leg-entries")}, keyed("leg-entry",
			"epoch", strconv.Itoa(int(k.Epoch)), "leg", k.Leg, "sequence-id", strconv.FormatUint(uint64(k.Rule), 10)))
		if covers(path, at) {
			l.each((*cell).restart) // the counter of a new entry begins at 0 (P4Runtime specification 9.1)
		}
	}
	for line, l := range s.lines {
		at := append(named(set), elem{name: []byte("lines")}, keyed("line", "id", strconv.FormatUint(uint64(line), 10)))
		if covers(path, at) {
			for o := range l {
				l[o].each(func(c *cell) { c.forget(s.hasBoot) })
			}
		}
	}
}

// remove forgets a port's values at or below a deleted path. It reports whether the port has no known value left.
func (p *port) remove(path []elem, entries *entryTable, hasBoot bool) (empty bool) {
	state := append(named("interfaces"), keyed("interface", "name", p.name), elem{name: []byte("state")})
	for leaf, clearIt := range map[string]func(){
		"oper-status": func() { p.oper = "" }, "admin-status": func() { p.admin = "" }, "id": func() { p.number = 0 },
		"ifindex": func() { p.index = 0 }, "last-change": func() { p.lastChange = 0 },
	} {
		if covers(path, below(state, elem{name: []byte(leaf)})) {
			clearIt()
		}
	}
	counters := below(state, elem{name: []byte("counters")})
	for i, name := range counterNames {
		if covers(path, below(counters, elem{name: []byte(name)})) {
			c := p.counter(i)
			c.forget(hasBoot)
			p.putCounter(i, c)
		}
	}
	above := append(named("acl interfaces"), keyed("interface", "id", p.name), elem{name: []byte("ingress-acl-sets")})
	live := p.known != 0
	for at, a := range p.acl {
		k := entries.key(a.entry)
		entry := append(slices.Clip(above), keyed("ingress-acl-set", "set-name", k.Set, "type", k.Type), elem{name: []byte("acl-entries")},
			keyed("acl-entry", "sequence-id", strconv.FormatUint(uint64(k.SequenceID), 10)), elem{name: []byte("state")})
		e := p.entry(at)
		for _, c := range []struct {
			leaf string
			cell *cell
		}{{"matched-packets", &e.packets}, {"matched-octets", &e.octets}} {
			if covers(path, below(entry, elem{name: []byte(c.leaf)})) {
				c.cell.forget(hasBoot)
			}
		}
		p.putEntry(at, e)
		live = live || e.packets.known || e.octets.known
	}
	return !live && p.oper == "" && p.admin == "" && p.number == 0 && p.index == 0 && p.lastChange == 0
}

// covers reports whether a leaf or list entry is at or below a deleted path. The keys of an element of at without keys are unknown, and match
// any keys.
func covers(deleted, at []elem) bool {
	if len(deleted) > len(at) {
		return false
	}
	for i, d := range deleted {
		if string(d.name) != "*" && string(d.name) != string(at[i].name) {
			return false
		}
		if len(at[i].keys) == 0 {
			continue
		}
		for _, k := range d.keys {
			value := k.value
			if string(k.name) == "type" {
				value = local(value)
			}
			if string(value) != "*" && string(value) != string(at[i].key(string(k.name))) {
				return false
			}
		}
	}
	return true
}

// named returns path elements without keys. names are separated by blanks.
func named(names string) []elem {
	var out []elem
	for _, n := range strings.Fields(names) {
		out = append(out, elem{name: []byte(n)})
	}
	return slices.Clip(out)
}

// keyed returns a path element with keys. The keys are given as alternating names and values.
func keyed(name string, keys ...string) elem {
	e := elem{name: []byte(name)}
	for i := 0; i < len(keys); i += 2 {
		e.keys = append(e.keys, key{[]byte(keys[i]), []byte(keys[i+1])})
	}
	return e
}
