package telemetry

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// maxValues limits the interfaces, ACL entries, lines and legs of one target, and so its memory. A switch with 510 ports, 64 counting rules
// on each, 16,383 lines and 1,024 verdict entries has 50,557.
const maxValues = 1 << 18

// A series holds the newest values of one target. It is not safe for concurrent use.
type series struct {
	entries *entryTable

	hostname, software string
	boot               uint64 // nanoseconds since 1970; 0 if the target reports no boot-time
	index              map[string]int
	ports              []port
	legs               map[LegKey]*pair
	lines              map[uint32]*[numOutcomes]pair
	legsAt, linesAt    int64

	session  uint32 // the number of the present session
	changes  int    // changes of anything but a counter
	values   int    // interfaces, ACL entries, legs and lines
	rejected int
	first    string // the first rejected value
	late     int    // notifications that were older than the values they had
}

// A pair holds the cells of a counter that counts packets and bytes.
type pair struct{ packets, octets cell }

func (p *pair) count() Count { return Count{p.packets.total(), p.octets.total()} }

func (p *pair) each(do func(*cell)) { do(&p.packets); do(&p.octets) }

func (p *pair) of(octets bool) *cell {
	if octets {
		return &p.octets
	}
	return &p.packets
}

func newSeries(entries *entryTable) *series {
	return &series{entries: entries, index: make(map[string]int), legs: make(map[LegKey]*pair), lines: make(map[uint32]*[numOutcomes]pair)}
}

// begin starts a session. Until its sync, the values of the previous session remain. The times of the target begin anew, because its clock
// may have been set back.
func (s *series) begin() {
	s.session++
	s.legsAt, s.linesAt = 0, 0
	for i := range s.ports {
		s.ports[i].countersAt, s.ports[i].aclAt = 0, 0
	}
}

// synced removes the interfaces that the present session has not reported.
func (s *series) synced() {
	for i := len(s.ports) - 1; i >= 0; i-- {
		if s.ports[i].session != s.session {
			s.removePort(i)
		}
	}
}

// removePort removes an interface with its values.
func (s *series) removePort(i int) {
	s.values -= 1 + len(s.ports[i].acl)
	s.changes++
	s.ports = slices.Delete(s.ports, i, i+1)
	clear(s.index)
	for j := range s.ports {
		s.index[s.ports[j].name] = j
	}
}

// port returns the position of an interface, which is created if necessary. The position changes when an interface is removed.
func (s *series) port(name string) int {
	i, known := s.index[name]
	if !known {
		i = len(s.ports)
		s.ports = append(s.ports, port{name: name})
		s.index[name] = i
		s.values++
		s.changes++
	}
	s.ports[i].session = s.session
	return i
}

// setBoot takes a boot-time. If it differs from the last one by more than a second, the counters began anew. Some targets compute their
// boot-time from an uptime, so that it varies by less.
func (s *series) setBoot(ns uint64) {
	const jitter = uint64(time.Second)
	was := s.boot
	s.boot = ns
	if was == 0 || max(ns, was)-min(ns, was) <= jitter {
		return
	}
	for i := range s.ports {
		s.ports[i].countersAt, s.ports[i].aclAt = 0, 0
		s.ports[i].each((*cell).restart)
	}
	for _, l := range s.legs {
		l.each((*cell).restart)
	}
	for _, l := range s.lines {
		for o := range l {
			l[o].each((*cell).restart)
		}
	}
	s.legsAt, s.linesAt = 0, 0
}

// setLeg takes a value of a rule on a leg.
func (s *series) setLeg(k LegKey, octets bool, v uint64) {
	l := s.legs[k]
	if l == nil {
		l = &pair{}
		s.legs[k] = l
		s.values++
		s.changes++
	}
	l.of(octets).set(v)
}

// setLine takes a value of a line.
func (s *series) setLine(line uint32, o Outcome, octets bool, v uint64) {
	l := s.lines[line]
	if l == nil {
		l = &[numOutcomes]pair{}
		s.lines[line] = l
		s.values++
		s.changes++
	}
	l[o].of(octets).set(v)
}

// full returns ErrTooMuch if there are more values than a switch has.
func (s *series) full() error {
	if s.values > maxValues {
		return fmt.Errorf("%w: more than %d", ErrTooMuch, maxValues)
	}
	return nil
}

// reject counts a value that could not be read. describe is called for the first one.
func (s *series) reject(describe func() string) {
	if s.rejected == 0 {
		s.first = describe()
	}
	s.rejected++
}

// raw returns a copy of the values as the target reports them now. Values that it no longer reports are left out.
func (s *series) raw() *Reading {
	r := &Reading{
		Hostname: s.hostname, Software: s.software, Boot: instant(s.boot), Rejected: s.rejected, FirstRejected: s.first,
		Interfaces: make([]Interface, 0, len(s.ports)),
	}
	for i := range s.ports {
		r.Interfaces = append(r.Interfaces, s.ports[i].raw(s.entries))
	}
	slices.SortFunc(r.Interfaces, func(a, b Interface) int { return cmp.Compare(a.Name, b.Name) })
	for _, k := range slices.SortedFunc(maps.Keys(s.legs), compareLegs) {
		if l := s.legs[k]; l.packets.known || l.octets.known {
			r.Legs = append(r.Legs, LegCount{k, Count{l.packets.raw, l.octets.raw}})
		}
	}
	return r
}

// reading returns a copy of the values.
func (s *series) reading() *Reading {
	r := &Reading{
		Hostname: s.hostname, Software: s.software, Boot: instant(s.boot), Rejected: s.rejected, FirstRejected: s.first,
		Interfaces: make([]Interface, 0, len(s.ports)),
	}
	for i := range s.ports {
		r.Interfaces = append(r.Interfaces, s.ports[i].reading(s.entries))
	}
	slices.SortFunc(r.Interfaces, func(a, b Interface) int { return cmp.Compare(a.Name, b.Name) })
	for _, k := range slices.SortedFunc(maps.Keys(s.legs), compareLegs) {
		r.Legs = append(r.Legs, LegCount{k, s.legs[k].count()})
	}
	for _, line := range slices.Sorted(maps.Keys(s.lines)) {
		c := LineCount{Line: line}
		for o := range c.Outcomes {
			c.Outcomes[o] = s.lines[line][o].count()
		}
		r.Lines = append(r.Lines, c)
	}
	return r
}

func compareLegs(a, b LegKey) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Leg, b.Leg))
}

// instant converts nanoseconds since 1970; 0 is the zero time.
func instant(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns))
}

// setCounter takes the value of an interface counter.
func (s *series) setCounter(i, counter int, v uint64) {
	p := &s.ports[i]
	c := p.counter(counter)
	c.set(v)
	p.putCounter(counter, c)
}

// setACL takes a value of an ACL entry. hint is the likely position of the entry in the port. The result is the likely position of the next
// value's entry.
func (s *series) setACL(i int, entry uint32, octets bool, v uint64, hint int) int {
	p := &s.ports[i]
	at, isNew := p.find(entry, hint)
	if isNew {
		s.values++
		s.changes++
	}
	e := p.entry(at)
	e.of(octets).set(v)
	p.putEntry(at, e)
	if octets {
		return at + 1
	}
	return at
}
