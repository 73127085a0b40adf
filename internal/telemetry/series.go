package telemetry

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// maxValues limits the number of interfaces, ACL entries, lines and legs of one target, and so its memory. A switch with 510 ports, 64
// counting rules on each, 16,383 lines and 1,024 verdict entries has 50,557 of them.
const maxValues = 1 << 18

// maxReorder is the longest time, by the collector's clock, for which a value with an older timestamp is treated as late. After that time,
// the collector assumes that the target's clock was set back.
const maxReorder = 2 * time.Minute

// A mark has the target's timestamp of the newest values and their arrival time by the collector's clock, in nanoseconds since 1970.
type mark struct{ at, seen int64 }

// A series holds the newest values of one target. It is not safe for concurrent use.
type series struct {
	entries *entryTable

	hostname, software string
	boot               uint64 // nanoseconds since 1970; 0 if the target reports no boot-time
	index              map[string]int
	ports              []port
	legs               map[LegKey]*pair
	lines              map[uint32]*[numOutcomes]pair
	gone               map[string]port // removed interfaces, whose counters may continue
	goneValues         int             // the number of interfaces and ACL entries in gone
	bootAt             mark
	legsAt, linesAt    mark

	session  uint32 // the number of the current session
	counted  bool   // the current session has reported counters
	whole    bool   // at least one session was synced
	booted   bool   // the current session has reported a boot-time
	hasBoot  bool   // the target reported a boot-time in the current session or in the last synced session
	changes  int    // the number of changes of anything but a counter
	values   int    // the number of interfaces, ACL entries, legs and lines
	rejected int
	first    string // a description of the first rejected value
	late     int    // the number of notifications that were older than the stored values
}

// A pair holds the cells of a counter of packets and octets.
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
	return &series{
		entries: entries, index: make(map[string]int), legs: make(map[LegKey]*pair), lines: make(map[uint32]*[numOutcomes]pair),
		gone: make(map[string]port),
	}
}

// begin starts a session. The values of the previous session are kept until the new session is synced.
func (s *series) begin() {
	s.session++
	s.counted, s.booted = false, false
}

// synced removes the interfaces that the current session has not reported.
func (s *series) synced() {
	s.whole = true
	if s.hasBoot && !s.booted {
		s.hasBoot = false // from now on, a value that falls means that the counter restarted from 0
		s.each(func(c *cell) { c.debt = 0 })
	}
	for i := len(s.ports) - 1; i >= 0; i-- {
		if s.ports[i].session != s.session {
			s.removePort(i)
		}
	}
}

// removePort removes an interface with its values. It keeps the bases of the counters, so that nothing is counted twice if the interface
// comes back.
func (s *series) removePort(i int) {
	size := 1 + len(s.ports[i].acl)
	if s.goneValues += size; s.goneValues > maxValues {
		clear(s.gone)
		s.goneValues = size
	}
	forget := func(c *cell) { c.forget(s.hasBoot) }
	s.ports[i].eachCounter(forget)
	s.ports[i].eachACL(forget)
	s.gone[s.ports[i].name] = s.ports[i]
	s.values -= size
	s.changes++
	s.ports = slices.Delete(s.ports, i, i+1)
	clear(s.index)
	for j := range s.ports {
		s.index[s.ports[j].name] = j
	}
}

// port returns the position of an interface, and creates the interface if necessary. Positions change when an interface is removed.
func (s *series) port(name string) int {
	i, known := s.index[name]
	if !known {
		i = len(s.ports)
		p, was := s.gone[name]
		if was {
			delete(s.gone, name)
			s.goneValues -= 1 + len(p.acl)
			p.oper, p.admin, p.number, p.index, p.lastChange = "", "", 0, 0, 0 // the interface with this name may be a different one
		}
		p.name = name
		s.ports = append(s.ports, p)
		s.index[name] = i
		s.values += 1 + len(p.acl)
		s.changes++
	}
	s.ports[i].session = s.session
	return i
}

// setBoot records a boot-time from a notification with the timestamp at. If the boot-time differs from the last one by more than a second,
// the counters have restarted from 0. Smaller differences are ignored, because some targets compute the boot-time from an uptime.
//
// A boot-time that arrives after counters without one also means a restart. An agent that was started beside a running switch has no
// boot-time until the switch restarts.
//
// Values with timestamps before the boot-time count as late from now on. If values of the new counters have already arrived, the restart
// was noticed late. The interface counters need not restart from 0, because kernel counters continue over a restart of the switch, and
// hardware counters over a restart of its program.
func (s *series) setBoot(ns uint64, at int64) {
	const jitter = uint64(time.Second)
	was := s.boot
	s.boot = ns
	if was == 0 && !s.counted || was != 0 && max(ns, was)-min(ns, was) <= jitter {
		return
	}
	boot := int64(min(ns, math.MaxInt64))
	restart := func(last *mark) func(*cell) {
		if s.counted && last.at >= boot {
			return (*cell).restarted
		}
		last.at = min(boot, at)
		return (*cell).restart
	}
	each := func(p *port) {
		late := s.counted && p.countersAt.at >= boot
		p.doubt(late)
		if !late {
			p.countersAt.at = max(p.countersAt.at, min(boot, at))
		}
		p.eachACL(restart(&p.aclAt))
	}
	s.eachPort(each)
	s.eachLeg(restart(&s.legsAt))
	s.eachLine(restart(&s.linesAt))
}

// eachPort calls do for each interface, including the removed ones.
func (s *series) eachPort(do func(*port)) {
	for i := range s.ports {
		do(&s.ports[i])
	}
	for name, p := range s.gone {
		do(&p)
		s.gone[name] = p
	}
}

func (s *series) eachLeg(do func(*cell)) {
	for _, l := range s.legs {
		l.each(do)
	}
}

func (s *series) eachLine(do func(*cell)) {
	for _, l := range s.lines {
		for o := range l {
			l[o].each(do)
		}
	}
}

// each calls do for each cell.
func (s *series) each(do func(*cell)) {
	s.eachPort(func(p *port) { p.eachCounter(do); p.eachACL(do) })
	s.eachLeg(do)
	s.eachLine(do)
}

// setLeg stores a value of a rule on a leg.
func (s *series) setLeg(k LegKey, octets bool, v uint64) {
	l := s.legs[k]
	if l == nil {
		l = &pair{}
		s.legs[k] = l
		s.values++
		s.changes++
	}
	l.of(octets).set(v, false) // the counter of a reinstalled entry restarts from 0
}

// setLine stores a value of a line.
func (s *series) setLine(line uint32, o Outcome, octets bool, v uint64) {
	l := s.lines[line]
	if l == nil {
		l = &[numOutcomes]pair{}
		s.lines[line] = l
		s.values++
		s.changes++
	}
	l[o].of(octets).set(v, s.hasBoot)
}

// full returns ErrTooMuch if there are more values than any switch can have.
func (s *series) full() error {
	if s.values > maxValues {
		return fmt.Errorf("%w: more than %d", ErrTooMuch, maxValues)
	}
	return nil
}

// reject counts a value that could not be read. It calls describe only for the first one.
func (s *series) reject(describe func() string) {
	if s.rejected == 0 {
		s.first = describe()
	}
	s.rejected++
}

// raw returns a copy of the values that the target reports now. It omits values that the target no longer reports.
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

// instant converts nanoseconds since 1970 to a time; 0 becomes the zero time.
func instant(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns))
}

// setCounter stores the value of an interface counter.
func (s *series) setCounter(i, counter int, v uint64) {
	p := &s.ports[i]
	c := p.counter(counter)
	if p.doubted>>counter&1 != 0 {
		p.doubted &^= 1 << counter
		if v < c.raw {
			c.restart()
		}
	}
	c.set(v, s.hasBoot)
	p.putCounter(counter, c)
}

// setACL stores a value of an ACL entry. hint is the likely position of the entry in the port. setACL returns the likely position of the
// entry of the next value.
func (s *series) setACL(i int, entry uint32, octets bool, v uint64, hint int) int {
	p := &s.ports[i]
	at, isNew := p.find(entry, hint)
	if isNew {
		s.values++
		s.changes++
	}
	e := p.entry(at)
	e.of(octets).set(v, s.hasBoot)
	p.putEntry(at, e)
	if octets {
		return at + 1
	}
	return at
}
