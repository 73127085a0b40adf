package telemetry

import (
	"cmp"
	"slices"
)

// A port holds the values of one interface. A fleet has millions of interface counters, so a port stores the rests of cells separately.
// They are zero, and not allocated, until a counter falls.
type port struct {
	name          string
	session       uint32 // the last session that reported the interface
	number, index uint32
	oper, admin   string
	lastChange    uint64
	counters      [numCounters]uint64 // cell.raw
	known         uint16              // cell.known, one bit per counter
	doubted       uint16              // one bit per counter; if it is set and the next value is smaller, the counter restarted from 0
	lastClear     uint64
	rests         *[numCounters]rest
	acl           []aclCell  // ordered by entry
	aclRests      []pairRest // the rests of the elements of acl; nil if all are zero
	// These are the times of the newest interface counters, ACL counters, operational state and administrative state.
	countersAt, aclAt, operAt, adminAt mark
}

// A pairRest holds the rests of a pair.
type pairRest struct{ packets, octets rest }

// An aclCell holds the counters of one ACL entry on one interface.
type aclCell struct {
	entry           uint32 // the number of the ACLKey in the entryTable
	known           uint8  // cell.known; bit 1 is for packets, bit 2 for octets
	packets, octets uint64 // cell.raw
}

// counter returns the cell of an interface counter.
func (p *port) counter(i int) cell {
	c := cell{raw: p.counters[i], known: p.known>>i&1 != 0}
	if p.rests != nil {
		c.rest = p.rests[i]
	}
	return c
}

// putCounter stores the cell of an interface counter.
func (p *port) putCounter(i int, c cell) {
	p.counters[i] = c.raw
	p.known &^= 1 << i
	if c.known {
		p.known |= 1 << i
	}
	if p.rests == nil {
		if c.rest == (rest{}) {
			return
		}
		p.rests = new([numCounters]rest)
	}
	p.rests[i] = c.rest
}

// entry returns the cells of the ACL entry at a position.
func (p *port) entry(at int) pair {
	a := &p.acl[at]
	e := pair{cell{raw: a.packets, known: a.known&1 != 0}, cell{raw: a.octets, known: a.known&2 != 0}}
	if p.aclRests != nil {
		e.packets.rest, e.octets.rest = p.aclRests[at].packets, p.aclRests[at].octets
	}
	return e
}

// putEntry stores the cells of the ACL entry at a position.
func (p *port) putEntry(at int, e pair) {
	a := &p.acl[at]
	a.packets, a.octets, a.known = e.packets.raw, e.octets.raw, 0
	if e.packets.known {
		a.known |= 1
	}
	if e.octets.known {
		a.known |= 2
	}
	rests := pairRest{e.packets.rest, e.octets.rest}
	if p.aclRests == nil {
		if rests == (pairRest{}) {
			return
		}
		p.aclRests = make([]pairRest, len(p.acl))
	}
	p.aclRests[at] = rests
}

// find returns the position of an ACL entry, and inserts the entry if necessary. hint is the likely position.
func (p *port) find(entry uint32, hint int) (at int, isNew bool) {
	if hint < len(p.acl) && p.acl[hint].entry == entry {
		return hint, false
	}
	at, found := slices.BinarySearchFunc(p.acl, entry, func(c aclCell, e uint32) int { return cmp.Compare(c.entry, e) })
	if found {
		return at, false
	}
	p.acl = slices.Insert(p.acl, at, aclCell{entry: entry})
	if p.aclRests != nil {
		p.aclRests = slices.Insert(p.aclRests, at, pairRest{})
	}
	return at, true
}

// eachCounter calls do for the cell of each interface counter.
func (p *port) eachCounter(do func(*cell)) {
	for i := range p.counters {
		c := p.counter(i)
		do(&c)
		p.putCounter(i, c)
	}
}

// doubt marks the interface counters as possibly restarted, so that the next value of each counter shows whether it restarted from 0.
// late means that values after the restart have already arrived. A counter that has fallen has then restarted.
func (p *port) doubt(late bool) {
	if !late {
		p.doubted = 1<<numCounters - 1
		return
	}
	p.eachCounter((*cell).restarted)
}

// eachACL calls do for the cells of each ACL entry.
func (p *port) eachACL(do func(*cell)) {
	for at := range p.acl {
		e := p.entry(at)
		e.each(do)
		p.putEntry(at, e)
	}
}

// raw returns the values that the target reports now.
func (p *port) raw(entries *entryTable) Interface {
	in := p.reading(entries)
	in.ACL = in.ACL[:0]
	for i := range p.counters {
		in.Counters[i], in.Reported[i] = p.counters[i], p.known>>i&1 != 0
	}
	for _, a := range p.acl {
		if a.known != 0 {
			in.ACL = append(in.ACL, ACLCount{entries.key(a.entry), Count{a.packets, a.octets}})
		}
	}
	sortACL(in.ACL)
	return in
}

// bare returns a copy of the values without the ACL entries.
func (p *port) bare() Interface {
	in := Interface{
		Name: p.name, Port: p.number, IfIndex: p.index, Oper: p.oper, Admin: p.admin, LastChange: instant(p.lastChange),
		At: instant(uint64(max(p.countersAt.at, p.aclAt.at))), Seen: instant(uint64(max(p.countersAt.seen, p.aclAt.seen))),
	}
	for i := range p.counters {
		c := p.counter(i)
		in.Counters[i], in.Reported[i] = c.total(), c.known || c.total() > 0
	}
	return in
}

func (p *port) reading(entries *entryTable) Interface {
	in := p.bare()
	for at, a := range p.acl {
		e := p.entry(at)
		in.ACL = append(in.ACL, ACLCount{entries.key(a.entry), e.count()})
	}
	sortACL(in.ACL)
	return in
}

func sortACL(list []ACLCount) {
	slices.SortFunc(list, func(a, b ACLCount) int {
		return cmp.Or(cmp.Compare(a.Set, b.Set), cmp.Compare(a.Type, b.Type), cmp.Compare(a.SequenceID, b.SequenceID))
	})
}
