package history

import (
	"math"
	"slices"
	"time"
)

// A Total is a counter of a switch as the switch reports it.
type Total struct {
	// Key is the name under which the counter counts now.
	Key Key
	// Counter identifies the counter on the switch if Key does not, for example by the number of a rule. A counter whose Key changes goes on:
	// what it counted before stays under the old Key. Several counters may have the same Key. If Counter is empty, Key identifies the
	// counter. A caller must not change between the two.
	Counter         string
	Packets, Octets uint64
	// Boot is when the switch began to count, or zero if that is not known. Packets and Octets must count from Boot on: a sum that continues
	// over a restart, together with the new Boot, would be counted twice.
	Boot time.Time
}

// The bounds of what a store records.
const (
	// maxName is the largest number of bytes of a name. Names of the intent are shorter.
	maxName = 256
	// maxSwitchNames is the largest number of keys of a switch, and of its counters: 16 times the rules and legs of two phases.
	maxSwitchNames = 4096
	// maxStored is the largest number of keys and counters of a store, ten times those of 1,000 switches with 20 each. They take about 80 MB of
	// memory.
	maxStored = 400_000
)

const (
	// gap is the longest time between two records in seconds that counts as covered.
	gap = 120
	// jitter is the largest difference of two values of the same boot-time, in nanoseconds. Some switches compute it from an uptime.
	jitter = uint64(time.Second)
	// keepName is how long a key or counter is known after its last total, in seconds. No data are older.
	keepName = 5 * 366 * day * 60
	// keepFull is how long it is known if the switch has maxSwitchNames of them.
	keepFull = day * 60
)

// A keyName is a Key without its switch.
type keyName struct{ rule, leg, phase string }

// A keyState is what is known of a key.
type keyState struct {
	id          uint32
	name        keyName
	first, seen int64 // the times of the first and the last total, in seconds
}

// A counterName identifies a counter of a switch: by Counter, or by its key.
type counterName struct {
	counter string
	key     keyName
}

// A counterState is what is known of a counter.
type counterState struct {
	id              uint32
	name            counterName
	seen            int64  // the time of the last total, in seconds
	packets, octets uint64 // the last total
}

// A switchState is what is known of a switch. It is not changed once it is in a store; advance returns the next one.
type switchState struct {
	id       uint32
	name     string
	boot     uint64 // nanoseconds since 1970; 0 means not known
	last     int64  // the time of the last record, in seconds
	keys     table[keyName, keyState]
	counters table[counterName, counterState]
}

// names returns how many names the state has.
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

// A change is what a record does to a switch.
type change struct {
	next                         *switchState
	counts                       period
	named                        []int    // positions of keys that are new, or known from an earlier time now
	counters                     []int    // positions of new counters
	droppedKeys, droppedCounters []uint32 // ids
	grown                        int      // by how much the number of names grew
	refused                      int      // samples with new names for which there was no room
}

// advance works out what one record of a switch changes. fresh means that the switch was not known before; room is how many names may be added.
//
//   - A fresh switch begins at its totals: nothing is counted, because it is not known when it was counted. If the switch began to count at
//     most gap seconds ago, its totals count in full.
//   - A counter that a known switch reports for the first time counts in full.
//   - A total counts by its difference to the last one. A total that fell counts nothing, and is the base of the next difference.
//   - After a restart of the switch, which the boot-time tells, a total counts in full.
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
		c.counts.covered = uint64(since)
	}
	next.last = at

	type total struct {
		there bool
		key   int
		count
	}
	totals := make([]total, len(next.counters.all), max(len(next.counters.all), len(samples)))
	for i := range samples {
		x := &samples[i]
		name := x.counterName()
		key, hasKey := next.keys.byName[x.name]
		counter, hasCounter := next.counters.byName[name]
		if room < len(c.named)+len(c.counters)+2 && !(hasKey && hasCounter) || !hasKey && next.keys.full() || !hasCounter && next.counters.full() {
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
			totals = append(totals, total{})
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
		if restarted {
			last.packets, last.octets = 0, 0
		}
		if !t.there {
			continue
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
			c.counts.counts = append(c.counts.counts, n)
		}
	}
	return c
}

// difference returns by how much a total grew.
func difference(last, now uint64) uint64 {
	if now < last {
		return 0
	}
	return now - last
}

// A batch is the samples of one switch in a record.
type batch struct {
	name    string
	boot    uint64
	samples []sample
}

// batches groups totals by switch. If the totals of a switch have several boot-times, those of older boots are ignored. refused counts totals
// whose names are too long.
func batches(totals []Total) (all []batch, refused int) {
	index := make(map[string]int)
	at := -1 // the batch of the previous total
	for i := range totals {
		t := &totals[i]
		if max(len(t.Key.Switch), len(t.Key.Rule), len(t.Key.Leg), len(t.Key.Phase), len(t.Counter)) > maxName {
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
		b.samples = append(b.samples, sample{t.Counter, keyName{t.Key.Rule, t.Key.Leg, t.Key.Phase}, t.Packets, t.Octets})
	}
	slices.SortFunc(all, func(a, b batch) int { return compareKeys(Key{Switch: a.name}, Key{Switch: b.name}) })
	return all, refused
}

// nanoseconds returns a boot-time in nanoseconds since 1970, or 0 for one that cannot be represented.
func nanoseconds(t time.Time) uint64 {
	if t.Unix() < 0 || t.Unix() > math.MaxInt64/int64(time.Second)-1 {
		return 0
	}
	return uint64(t.UnixNano())
}
