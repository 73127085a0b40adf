package history

import (
	"maps"
	"math"
	"slices"
	"time"
)

// A Total is a counter of a switch as the switch reports it.
type Total struct {
	Key             Key
	Packets, Octets uint64
	// Boot is when the switch began to count, or zero if that is not known. Packets and Octets must count from Boot on: a sum that continues
	// over a restart, together with the new Boot, would be counted twice.
	Boot time.Time
}

// The bounds of what a store records.
const (
	// maxName is the largest number of bytes of a name. Names of the intent are shorter.
	maxName = 256
	// maxSwitchKeys is the largest number of keys of a switch, 16 times the rules and legs of two phases.
	maxSwitchKeys = 4096
	// maxKeys is the largest number of keys of a store, ten times those of 1,000 switches with 20 each. They take about 40 MB of memory.
	maxKeys = 200_000
)

const (
	// gap is the longest time between two records in seconds that counts as covered.
	gap = 120
	// jitter is the largest difference of two values of the same boot-time, in nanoseconds. Some switches compute it from an uptime.
	jitter = uint64(time.Second)
	// keepKey is how long a key is known after its last total, in seconds. No data are older.
	keepKey = 5 * 366 * day * 60
	// keepFull is how long a key keeps its place after its last total, in seconds, if the switch has maxSwitchKeys keys.
	keepFull = day * 60
)

// A keyName is a Key without its switch.
type keyName struct{ rule, leg, phase string }

// A keyState is what is known of a key.
type keyState struct {
	id              uint32
	name            keyName
	first, seen     int64  // the times of the first and the last total, in seconds
	packets, octets uint64 // the last total
}

// A switchState is what is known of a switch. It is not changed once it is in a store; advance returns the next one.
type switchState struct {
	id      uint32
	name    string
	nextKey uint32
	boot    uint64 // nanoseconds since 1970; 0 means not known
	last    int64  // the time of the last record, in seconds
	keys    []keyState
	byName  map[keyName]int // positions in keys
}

// A sample is a total of one switch.
type sample struct {
	name            keyName
	packets, octets uint64
}

// A change is what a record does to a switch.
type change struct {
	next    *switchState
	counts  period
	named   []int    // positions in next.keys of new keys, and of those that are known from an earlier time now
	added   int      // new keys
	dropped []uint32 // ids
	refused int      // samples of new keys for which there was no room
}

// advance works out what one record of a switch changes. fresh means that the switch was not known before; room is how many keys may be added.
//
//   - A fresh switch begins at its totals: nothing is counted.
//   - A key that a known switch reports for the first time counts in full.
//   - A total counts by its difference to the last one. A total that fell counts nothing, and is the base of the next difference.
//   - After a restart of the switch, which the boot-time tells, a total counts in full.
//
// The samples of equal keys are added up.
func (s *switchState) advance(at int64, boot uint64, samples []sample, fresh bool, room int) change {
	next := *s
	next.nextKey = max(1, next.nextKey) // the encoding needs ids from 1 on
	c := change{next: &next}
	next.dropOld(&c, at)
	restarted := s.boot != 0 && boot != 0 && max(s.boot, boot)-min(s.boot, boot) > jitter
	if boot != 0 {
		next.boot = boot
	}
	if since := at - s.last; !fresh && since > 0 && since <= gap {
		c.counts.covered = uint64(since)
	}
	next.last = at

	known := len(next.keys)
	type total struct {
		there           bool
		packets, octets uint64
	}
	totals := make([]total, known, max(known, len(samples)))
	for _, x := range samples {
		i, there := next.byName[x.name]
		if !there {
			if len(next.keys) >= maxSwitchKeys || c.added >= room || next.nextKey == math.MaxUint32 {
				c.refused++
				continue
			}
			if c.added == 0 {
				next.byName = maps.Clone(next.byName)
				if next.byName == nil {
					next.byName = make(map[keyName]int)
				}
			}
			i = len(next.keys)
			next.keys = append(next.keys, keyState{id: next.nextKey, name: x.name, first: at})
			next.nextKey++
			next.byName[x.name] = i
			c.named = append(c.named, i)
			c.added++
			totals = append(totals, total{})
		}
		t := &totals[i]
		*t = total{true, sum(t.packets, x.packets), sum(t.octets, x.octets)}
	}
	for i, t := range totals {
		k := &next.keys[i]
		if restarted {
			k.packets, k.octets = 0, 0
		}
		if !t.there {
			continue
		}
		if !fresh {
			n := count{k.id, difference(k.packets, t.packets), difference(k.octets, t.octets)}
			if n.packets != 0 || n.octets != 0 {
				c.counts.counts = append(c.counts.counts, n)
			}
		}
		k.packets, k.octets, k.seen = t.packets, t.octets, max(k.seen, at)
		if at < k.first { // the clock was set back
			k.first = at
			c.named = append(c.named, i)
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

// dropOld copies the keys, without those that are out of date at a time.
func (s *switchState) dropOld(c *change, at int64) {
	keep := int64(keepKey)
	if len(s.keys) >= maxSwitchKeys {
		keep = keepFull
	}
	old := func(k *keyState) bool { return k.seen < at-keep && k.seen < s.last }
	keys := make([]keyState, 0, len(s.keys))
	for i := range s.keys {
		if old(&s.keys[i]) {
			c.dropped = append(c.dropped, s.keys[i].id)
		} else {
			keys = append(keys, s.keys[i])
		}
	}
	s.keys = keys
	if len(c.dropped) > 0 {
		s.index()
	}
}

// index makes byName.
func (s *switchState) index() {
	s.byName = make(map[keyName]int, len(s.keys))
	for i := range s.keys {
		s.byName[s.keys[i].name] = i
	}
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
		if max(len(t.Key.Switch), len(t.Key.Rule), len(t.Key.Leg), len(t.Key.Phase)) > maxName {
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
		b.samples = append(b.samples, sample{keyName{t.Key.Rule, t.Key.Leg, t.Key.Phase}, t.Packets, t.Octets})
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
