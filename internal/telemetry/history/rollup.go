package history

import (
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// expireBatch is the largest number of periods of each level that one record removes. One period per minute is enough; the others let a store
// catch up after an outage. The limit also prevents a clock that is wrong for some minutes from removing years of data.
const expireBatch = 4

// maxGone is the largest number of switches that are removed at the end of a day.
const maxGone = 100

// rollUp adds up the periods of each level that are complete at a minute, and stores the sums in the next level. rolled is the minute up to
// which each level was rolled up before, and the result is the new value. Queries read periods that are not rolled up yet from the finer
// level.
func rollUp(tx *bolt.Tx, rolled [numLevels]uint32, minute uint32) ([numLevels]uint32, error) {
	for l := tens; l < numLevels; l++ {
		until := floor(minute, levels[l].length)
		if until <= rolled[l] {
			continue
		}
		for k := range numKinds {
			if err := rollUpLevel(tx, l, k, rolled[l], until); err != nil {
				return rolled, err
			}
		}
		rolled[l] = until
	}
	return rolled, nil
}

func rollUpLevel(tx *bolt.Tx, l int, kind Kind, from, until uint32) error {
	target := tx.Bucket(bucket(l, kind))
	sums := make(map[uint32]*period) // by switch
	var start uint32                 // the start of the period that is being summed
	var spare []count
	flush := func() error {
		for _, sw := range slices.Sorted(maps.Keys(sums)) {
			if err := target.Put(periodKey(start, sw), sums[sw].append(nil)); err != nil {
				return err
			}
		}
		clear(sums)
		return nil
	}
	var p period
	in := periods{c: tx.Bucket(bucket(l-1, kind)).Cursor()}
	k, v, err := in.seek(from, 0)
	for ; err == nil && v != nil && k.start < until; k, v, err = in.next() {
		if at := floor(k.start, levels[l].length); at != start {
			if err := flush(); err != nil {
				return err
			}
			start = at
		}
		if err := p.decode(v); err != nil {
			return err
		}
		acc := sums[k.sw]
		if acc == nil {
			acc = &period{}
			sums[k.sw] = acc
		}
		spare = acc.add(&p, spare)
	}
	if err != nil {
		return err
	}
	return flush()
}

// expire removes the periods whose retention time has passed, at most expireBatch of each level. It keeps periods that are not rolled up yet.
func expire(tx *bolt.Tx, rolled [numLevels]uint32, minute uint32) error {
	for l, level := range levels {
		for k, of := range level.of {
			limit := minute - min(minute, of.keep)
			if l+1 < numLevels {
				limit = min(limit, rolled[l+1])
			}
			if err := expirePeriods(tx.Bucket(bucket(l, Kind(k))), level.length, limit); err != nil {
				return err
			}
		}
	}
	return nil
}

// expirePeriods removes at most expireBatch periods that end at limit or before it.
func expirePeriods(b *bolt.Bucket, length, limit uint32) error {
	var old [][]byte
	var last uint32
	starts := 0
	in := periods{c: b.Cursor()}
	k, v, err := in.seek(0, 0)
	for ; err == nil && v != nil && k.start+length <= limit; k, v, err = in.next() {
		if starts == 0 || k.start != last {
			if starts == expireBatch {
				break
			}
			starts++
			last = k.start
		}
		old = append(old, periodKey(k.start, k.sw))
	}
	if err != nil {
		return err
	}
	for _, k := range old {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// expireSwitchesLocked removes the switches of which no data are left, and returns them.
func (s *Store) expireSwitchesLocked(tx *bolt.Tx, at int64, changes []change) ([]*switchState, error) {
	present := make(map[string]bool, len(changes))
	for i := range changes {
		present[changes[i].next.name] = true
	}
	var gone []*switchState
	for _, sw := range s.switches {
		if sw.last >= at-keepName || present[sw.name] || len(gone) == maxGone {
			continue
		}
		keys, counters := make([]uint32, 0, len(sw.keys.all)), make([]uint32, 0, len(sw.counters.all))
		for i := range sw.keys.all {
			keys = append(keys, sw.keys.all[i].id)
		}
		for i := range sw.counters.all {
			counters = append(counters, sw.counters.all[i].id)
		}
		if err := remove(sw.id, tx.Bucket(bucketKeys), keys, tx.Bucket(bucketCounters), counters); err != nil {
			return nil, err
		}
		if err := tx.Bucket(bucketSwitches).Delete(switchKey(sw.id)); err != nil {
			return nil, err
		}
		gone = append(gone, sw)
	}
	return gone, nil
}
