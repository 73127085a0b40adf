package history

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// fill is the fraction of a page that is used before the page is split. Most periods are written in the order of their keys.
const fill = 0.95

// Record stores the totals of switches at a time. A controller should record the totals of all counters of its switches once a minute,
// preferably in the middle of a minute. A call that is a few seconds early or late then still belongs to the same minute.
//
// The differences from the last totals are counted in the minute that contains at. The switches may be recorded in several calls.
//
// Record counts and logs its own failures, so a caller may ignore the error. A failure loses nothing, because the next record counts the
// difference from the last successful record.
func (s *Store) Record(at time.Time, totals []Total) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	err := s.recordLocked(at, totals)
	if reasonOf(err) != "" {
		// The new file is empty. The totals therefore start again, and the packets of the last minute are not counted.
		if err = s.setAsideLocked("damaged", err); err == nil {
			err = s.recordLocked(at, totals)
		}
	}
	if err != nil {
		s.failedLocked(err)
	}
	return err
}

func (s *Store) recordLocked(at time.Time, totals []Total) error {
	if m := at.Unix() / 60; at.Unix() < 0 || m >= maxMinute {
		return fmt.Errorf("%w: %s: it must be between 1970 and 5049", ErrTime, stamp(at))
	}
	if s.db == nil {
		if err := s.openLocked(); err != nil {
			return err
		}
	}
	all, refused := batches(totals)
	changes := make([]change, 0, len(all))
	next, names := s.next, s.names
	for _, b := range all {
		sw, there := s.switches[b.name]
		if !there {
			if names >= maxStored {
				refused += len(b.samples)
				continue
			}
			sw = &switchState{id: next, name: b.name}
			next++
		}
		c := sw.advance(at.Unix(), b.boot, b.samples, !there, maxStored-names)
		names += c.grown
		refused += c.refused
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.next.id, b.next.id) })

	minute := uint32(at.Unix() / 60)
	var rolled [numLevels]uint32
	var gone []*switchState
	var size int64
	err := s.update(func(tx *bolt.Tx) (err error) {
		for l := range levels {
			for k := range numKinds {
				tx.Bucket(bucket(l, k)).FillPercent = fill
			}
		}
		if rolled, err = rollUp(tx, s.rolled, minute); err != nil {
			return err
		}
		if err := expire(tx, rolled, minute); err != nil {
			return err
		}
		if rolled[days] != s.rolled[days] {
			if gone, err = s.expireSwitchesLocked(tx, at.Unix(), changes); err != nil {
				return err
			}
		}
		if err := writeMeta(tx, next, s.next, rolled, s.rolled); err != nil {
			return err
		}
		size = tx.Size()
		return write(tx, minute, rolled, changes)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", s.cfg.Path, err)
	}
	for _, sw := range gone {
		delete(s.switches, sw.name)
		names -= sw.names()
	}
	for i := range changes {
		s.switches[changes[i].next.name] = changes[i].next
	}
	s.next, s.names, s.rolled = next, names, rolled
	s.cfg.Metrics.size(size, names)
	s.cfg.Metrics.totalsRefused(refused)
	return nil
}

func writeMeta(tx *bolt.Tx, next, wasNext uint32, rolled, wasRolled [numLevels]uint32) error {
	meta := tx.Bucket(bucketMeta)
	var errs [2]error
	if next != wasNext {
		errs[0] = meta.Put(metaNextSwitch, binary.AppendUvarint(nil, uint64(next)))
	}
	if rolled != wasRolled {
		var b []byte
		for l := tens; l < numLevels; l++ {
			b = binary.AppendUvarint(b, uint64(rolled[l]))
		}
		errs[1] = meta.Put(metaRolled, b)
	}
	return errors.Join(errs[:]...)
}

// write writes the changes. The counts of a minute that is already rolled up are also added to the coarser levels.
func write(tx *bolt.Tx, minute uint32, rolled [numLevels]uint32, changes []change) error {
	keys, counters, states := tx.Bucket(bucketKeys), tx.Bucket(bucketCounters), tx.Bucket(bucketSwitches)
	states.FillPercent = fill
	var arena []byte // bbolt keeps references to the values until the transaction ends
	for i := range changes {
		c := &changes[i]
		if err := remove(c.next.id, keys, c.droppedKeys, counters, c.droppedCounters); err != nil {
			return err
		}
		for _, at := range c.named {
			k := &c.next.keys.all[at]
			if err := keys.Put(periodKey(c.next.id, k.id), appendKey(nil, k)); err != nil {
				return err
			}
		}
		for _, at := range c.counters {
			n := &c.next.counters.all[at]
			if err := counters.Put(periodKey(c.next.id, n.id), appendCounter(nil, n)); err != nil {
				return err
			}
		}
		from := len(arena)
		arena = appendSwitch(arena, c.next)
		if err := states.Put(switchKey(c.next.id), arena[from:len(arena):len(arena)]); err != nil {
			return err
		}
		for k := range c.counts {
			if err := writeCounts(tx, minute, rolled, c.next.id, Kind(k), &c.counts[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeCounts adds the counts of a switch to the minute, and to the coarser periods that contain the minute and are already rolled up.
func writeCounts(tx *bolt.Tx, minute uint32, rolled [numLevels]uint32, sw uint32, k Kind, p *period) error {
	if p.covered == 0 && len(p.counts) == 0 && len(p.gaps) == 0 {
		return nil
	}
	for l := range levels {
		if l > 0 && minute >= rolled[l] {
			break
		}
		if err := addPeriod(tx.Bucket(bucket(l, k)), floor(minute, levels[l].length), sw, p); err != nil {
			return err
		}
	}
	return nil
}

// remove removes keys and counters of a switch.
func remove(sw uint32, keys *bolt.Bucket, keyIDs []uint32, counters *bolt.Bucket, counterIDs []uint32) error {
	for _, id := range keyIDs {
		if err := keys.Delete(periodKey(sw, id)); err != nil {
			return err
		}
	}
	for _, id := range counterIDs {
		if err := counters.Delete(periodKey(sw, id)); err != nil {
			return err
		}
	}
	return nil
}

// addPeriod adds counts to a period.
func addPeriod(b *bolt.Bucket, start, sw uint32, p *period) error {
	key := periodKey(start, sw)
	if v := b.Get(key); v != nil {
		var was period
		if err := was.decode(v); err != nil {
			return err
		}
		was.add(p, nil)
		p = &was
	}
	return b.Put(key, p.append(nil))
}
