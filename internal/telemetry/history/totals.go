package history

import (
	"math"
	"slices"
	"time"
)

// A Total is the value of a counter as the switch reports it.
type Total struct {
	// Key is the name under which packets are counted now.
	Key Key
	// Counter identifies the counter on the switch, for example by the number of a rule, if Key does not identify it. When the Key of a counter
	// changes, the counter continues, and its earlier packets stay under the old Key. Several counters may have the same Key. If Counter is
	// empty, Key identifies the counter. A caller must not switch between an empty and a non-empty Counter. Counter is ignored for an interface.
	Counter         string
	Packets, Octets uint64
	// Boot is the time at which the switch began to count, or zero if it is not known. The counters of rules must count from Boot on. A sum that
	// continues over a restart must not be combined with the new Boot, because it would be counted twice. The counters of interfaces may continue
	// over a restart, because the kernel's and the hardware's do.
	Boot time.Time
}

// These constants limit the data that a store records.
const (
	// maxName is the length of the longest name that is recorded, in bytes. Names in the intent are shorter.
	maxName = 256
	// maxSwitchNames is the largest number of keys of a switch, and also the largest number of its counters. It is 16 times the number of rules
	// and legs in two phases.
	maxSwitchNames = 4096
	// maxStored is the largest number of keys and counters in a store. It is ten times the number for 1,000 switches with 20 each. They take
	// about 80 MB of memory.
	maxStored = 400_000
	// maxSwitchLinks and maxLinks are the numbers of names from which on no interface is added to a switch or to a store. The rest is for rules.
	maxSwitchLinks = maxSwitchNames / 2
	maxLinks       = maxStored * 3 / 4
)

const (
	// gap is the longest time between two records that counts as recorded, in seconds.
	gap = 120
	// jitter is the largest difference between two values of the same boot-time, in nanoseconds. Some switches compute the boot-time from an
	// uptime.
	jitter = uint64(time.Second)
	// keepName is the time for which a key or counter is kept after its last total, in seconds. All data are younger.
	keepName = 5 * 366 * day * 60
	// keepFull replaces keepName if the switch has maxSwitchNames keys or counters.
	keepFull = day * 60
)

// A keyName is a Key without its switch. link is the name of the interface.
type keyName struct{ rule, leg, phase, link, direction string }

func (n keyName) kind() Kind {
	if n.link != "" {
		return Interfaces
	}
	return Rules
}

// A keyState is the state of a key.
type keyState struct {
	id          uint32
	name        keyName
	first, seen int64 // the times of the first and the last total, in seconds
}

// A counterName identifies a counter of a switch, either by Counter or by its key.
type counterName struct {
	counter string
	key     keyName
}

// A counterState is the state of a counter.
type counterState struct {
	id              uint32
	name            counterName
	seen            int64  // the time of the last total, in seconds
	packets, octets uint64 // the last total
}

// A switchState is the state of a switch. It is immutable once it is in a store; advance returns the next state.
type switchState struct {
	id       uint32
	name     string
	boot     uint64 // nanoseconds since 1970; 0 means not known
	last     int64  // the time of the last record, in seconds
	keys     table[keyName, keyState]
	counters table[counterName, counterState]
}

// names returns the number of names in the state.
func (s *switchState) names() int { return len(s.keys.all) + len(s.counters.all) }

// A sample is a total of one switch.
type sample struct {
	counter         string
	name            keyName
	packets, octets uint64
}

func (x *sample) counterName() counterName {
	if x.counter != "" {
		return counterName{counter: x.counter}
	}
	return counterName{key: x.name}
}

// A change is the effect of a record on a switch.
type change struct {
	next                         *switchState
	counts                       [numKinds]period
	named                        []int    // positions of keys that are new, or whose first record is now earlier
	counters                     []int    // positions of new counters
	droppedKeys, droppedCounters []uint32 // ids
	grown                        int      // the increase in the number of names
	refused                      int      // samples with new names for which there was no room
}

// advance returns the changes that one record makes to a switch. fresh means that the switch was not known before. room is the number of names
// that may be added.
//
//   - The first totals of a fresh switch are only a base, because the time at which the packets were counted is not known. If the switch began
//     to count at most gap seconds ago, its totals are counted in full.
//   - A counter that a known switch reports for the first time is counted in full.
//   - For any other counter, the difference from the last total is counted. A total that fell adds nothing, and is the base of the next
//     difference.
//   - After a restart of the switch, which a new boot-time indicates, a total is counted in full.
//
// The counters of interfaces may continue over a restart, or begin with any value. The first total of an interface is therefore only a base, and
// after a restart its total is counted in full only if it fell.
//
// What is counted while the time since the last record is not covered is counted in a gap.
//
// The samples of equal counters are added up.
func (s *switchState) advance(at int64, boot uint64, samples []sample, fresh bool, room int) change {
	next := *s
	c := change{next: &next}
	was := s.names()
	old := func(seen, keep int64) bool { return seen < at-keep && seen < s.last }
	c.droppedKeys = next.keys.copyWithout(func(k *keyState, keep int64) (uint32, bool) { return k.id, old(k.seen, keep) })
	c.droppedCounters = next.counters.copyWithout(func(k *counterState, keep int64) (uint32, bool) { return k.id, old(k.seen, keep) })
	restarted := s.boot != 0 && boot != 0 && max(s.boot, boot)-min(s.boot, boot) > jitter
	if boot != 0 {
		next.boot = boot
	}
	last := s.last
	if began := int64(boot / 1e9); fresh && boot != 0 && at-began >= 0 && at-began <= gap {
		fresh, last = false, began
	}
	if since := at - last; !fresh && since > 0 && since <= gap {
		c.counts[Rules].covered = uint64(since)
		if slices.ContainsFunc(samples, func(x sample) bool { return x.name.kind() == Interfaces }) {
			c.counts[Interfaces].covered = uint64(since)
		}
	}
	next.last = at

	type total struct {
		there bool
		base  bool // the total is only the base of the next difference
		key   int
		count
	}
	totals := make([]total, len(next.counters.all), max(len(next.counters.all), len(samples)))
	for i := range samples {
		x := &samples[i]
		name := x.counterName()
		key, hasKey := next.keys.byName[x.name]
		counter, hasCounter := next.counters.byName[name]
		if !(hasKey && hasCounter) && !roomFor(x.name.kind(), room-len(c.named)-len(c.counters), &next) {
			c.refused++
			continue
		}
		if !hasKey {
			key = next.keys.add(x.name, keyState{id: next.keys.next, name: x.name, first: at, seen: at})
			c.named = append(c.named, key)
		}
		if !hasCounter {
			counter = next.counters.add(name, counterState{id: next.counters.next, name: name})
			c.counters = append(c.counters, counter)
			totals = append(totals, total{base: x.name.kind() == Interfaces})
		}
		t := &totals[counter]
		if !t.there {
			t.there, t.key = true, key
		}
		t.packets, t.octets = sum(t.packets, x.packets), sum(t.octets, x.octets)
	}
	c.grown = next.names() - was

	counted := make([]count, len(next.keys.all))
	for i, t := range totals {
		last := &next.counters.all[i]
		if restarted && (last.name.key.kind() == Rules || t.there && (t.packets < last.packets || t.octets < last.octets)) {
			last.packets, last.octets = 0, 0
		}
		if !t.there {
			continue
		}
		if t.base {
			last.packets, last.octets = t.packets, t.octets
		}
		k, n := &next.keys.all[t.key], &counted[t.key]
		n.packets, n.octets = sum(n.packets, difference(last.packets, t.packets)), sum(n.octets, difference(last.octets, t.octets))
		last.packets, last.octets, last.seen = t.packets, t.octets, max(last.seen, at)
		k.seen = max(k.seen, at)
		if at < k.first { // the clock was set back
			k.first = at
			c.named = append(c.named, t.key)
		}
	}
	for i, n := range counted {
		if n.id = next.keys.all[i].id; !fresh && (n.packets != 0 || n.octets != 0) {
			p := &c.counts[next.keys.all[i].name.kind()]
			if c.counts[Rules].covered > 0 {
				p.counts = append(p.counts, n)
			} else {
				p.gaps = append(p.gaps, n)
			}
		}
	}
	return c
}

// roomFor reports whether a name of a kind may be added to the tables of a switch. room is the number of names that the store still has room for.
func roomFor(k Kind, room int, s *switchState) bool {
	if k == Interfaces && (room <= maxStored-maxLinks || max(len(s.keys.all), len(s.counters.all)) >= maxSwitchLinks) {
		return false
	}
	return room >= 2 && !s.keys.full() && !s.counters.full()
}

// difference returns the increase of a total, or 0 if the total fell.
func difference(last, now uint64) uint64 {
	if now < last {
		return 0
	}
	return now - last
}

// A batch contains the samples of one switch in a record.
type batch struct {
	name    string
	boot    uint64
	samples []sample
}

// batches groups totals by switch. If the totals of a switch have several boot-times, only those with the newest boot-time are used. refused is
// the number of totals whose names are too long.
func batches(totals []Total) (all []batch, refused int) {
	index := make(map[string]int)
	at := -1 // the batch of the previous total
	for i := range totals {
		t := &totals[i]
		k := &t.Key
		if max(len(k.Switch), len(k.Rule), len(k.Leg), len(k.Phase), len(k.Interface), len(k.Direction), len(t.Counter)) > maxName {
			refused++
			continue
		}
		if at < 0 || all[at].name != t.Key.Switch {
			var there bool
			if at, there = index[t.Key.Switch]; !there {
				at = len(all)
				index[t.Key.Switch] = at
				all = append(all, batch{name: t.Key.Switch})
			}
		}
		b := &all[at]
		boot := nanoseconds(t.Boot)
		if boot != 0 && b.boot != 0 && boot+jitter < b.boot {
			continue
		}
		if b.boot != 0 && boot > b.boot+jitter {
			b.samples = b.samples[:0]
		}
		b.boot = max(b.boot, boot)
		x := sample{t.Counter, keyName{k.Rule, k.Leg, k.Phase, k.Interface, k.Direction}, t.Packets, t.Octets}
		if x.name.kind() == Interfaces {
			x.counter = ""
		}
		b.samples = append(b.samples, x)
	}
	slices.SortFunc(all, func(a, b batch) int { return compareKeys(Key{Switch: a.name}, Key{Switch: b.name}) })
	return all, refused
}

// nanoseconds returns a boot-time in nanoseconds since 1970, or 0 if it cannot be represented.
func nanoseconds(t time.Time) uint64 {
	if t.Unix() < 0 || t.Unix() > math.MaxInt64/int64(time.Second)-1 {
		return 0
	}
	return uint64(t.UnixNano())
}
