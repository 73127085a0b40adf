package telemetry

import (
	"iter"
	"time"
)

// A View reads the values of a target in place, because a copy of the values of a thousand switches would take 100 MB.
type View struct{ s *series }

// View calls read with the values of a target. The values do not change during the call, and the View must not be used after it. read must not
// block, because it delays the processing of the target's messages. View returns false for a switch that is not a target.
func (c *Collector) View(name string, read func(View)) bool {
	t := c.target(name)
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	read(View{t.series})
	return true
}

// Reading returns a copy of all values.
func (v View) Reading() *Reading { return v.s.reading() }

// Boot returns the time at which the counters began, or the zero time if the target does not report it.
func (v View) Boot() time.Time { return instant(v.s.boot) }

// Size returns the number of interfaces.
func (v View) Size() int { return len(v.s.ports) }

// Interfaces returns copies of the interfaces without their ACL entries, in the order in which the target first reported them.
func (v View) Interfaces() iter.Seq[Interface] {
	return func(yield func(Interface) bool) {
		for i := range v.s.ports {
			if !yield(v.s.ports[i].bare()) {
				return
			}
		}
	}
}

// Legs returns the counts of the rules by epoch and leg, in no order.
func (v View) Legs() iter.Seq2[LegKey, Count] {
	return func(yield func(LegKey, Count) bool) {
		for k, l := range v.s.legs {
			if !yield(k, l.count()) {
				return
			}
		}
	}
}

// Entries returns the counts of the ACL entries, summed over the interfaces, in no order. The sums include the counts of interfaces that have
// been removed.
func (v View) Entries() iter.Seq2[ACLKey, Count] {
	return func(yield func(ACLKey, Count) bool) {
		var room [256]sum // allocated on the stack; a switch has at most 256 rules
		sums := room[:0]
		add := func(p *port) {
			for at := range p.acl {
				n, e := int(p.acl[at].entry), p.entry(at)
				for len(sums) <= n {
					sums = append(sums, sum{})
				}
				sums[n].count, sums[n].any = sums[n].count.Plus(e.count()), true
			}
		}
		for i := range v.s.ports {
			add(&v.s.ports[i])
		}
		for name := range v.s.gone {
			p := v.s.gone[name]
			add(&p)
		}
		for n, s := range sums {
			if s.any && !yield(v.s.entries.key(uint32(n)), s.count) {
				return
			}
		}
	}
}

// legsOver is the largest age difference between the counts of the ACL entries and older counts of the legs. Above it, the target is assumed
// to report no legs any more.
const legsOver = time.Minute

// Whole reports whether the counts of legs are as new as the counts of the ACL entries. Within a sample, the counts of the entries can arrive
// before those of the legs.
func (v View) Whole() bool {
	if len(v.s.legs) == 0 {
		return v.s.whole
	}
	newest := int64(0)
	for i := range v.s.ports {
		newest = max(newest, v.s.ports[i].aclAt.at)
	}
	behind := newest - v.s.legsAt.at
	return behind <= 0 || behind > int64(legsOver)
}

// A sum is the count of an entry over all interfaces. any is false if no interface has the entry.
type sum struct {
	count Count
	any   bool
}

// Counter returns the values of an interface counter, by interface name, for the interfaces that report it. counter is a position in
// Interface.Counters. The interfaces are in the order in which the target first reported them.
func (v View) Counter(counter int) iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for i := range v.s.ports {
			p := &v.s.ports[i]
			if c := p.counter(counter); (c.known || c.total() > 0) && !yield(p.name, c.total()) {
				return
			}
		}
	}
}
