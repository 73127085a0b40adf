package history

import (
	"context"
	"math"

	bolt "go.etcd.io/bbolt"
)

// A walk reads the periods of some switches, in the order of time.
type walk struct {
	kind  Kind
	ids   []uint32                             // the ids of the switches, in ascending order
	all   bool                                 // most switches of the store are read, so skipping the others does not pay
	visit func(i int, start uint32, p *period) // i is a position in ids; p is only valid during the call
}

// read reads a span. Periods that are not rolled up to the level of the step yet are read from the finer levels.
func (w *walk) read(ctx context.Context, tx *bolt.Tx, rolled [numLevels]uint32, s span) error {
	from := s.from
	for l := levelOf(s.step); l >= minutes; l-- {
		until := uint32(math.MaxUint32)
		if l > minutes {
			until = rolled[l]
		}
		until = min(until, s.to)
		if until <= from {
			continue
		}
		if err := w.readLevel(ctx, tx.Bucket(bucket(l, w.kind)).Cursor(), from, until); err != nil {
			return err
		}
		from = until
	}
	return nil
}

// readLevel reads the periods of a level. If few switches are read, it seeks to each of them.
func (w *walk) readLevel(ctx context.Context, c *bolt.Cursor, from, until uint32) error {
	if len(w.ids) == 0 {
		return nil
	}
	var p period
	at := 0 // in ids
	k, v := c.Seek(periodKey(from, w.ids[0]))
	for n := 0; k != nil; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		start, sw, err := splitKey(k)
		if err != nil {
			return err
		}
		if start >= until {
			break
		}
		if start != from {
			from, at = start, 0
		}
		for at < len(w.ids) && w.ids[at] < sw {
			at++
		}
		switch {
		case at == len(w.ids) && w.all:
			k, v = c.Next()
		case at == len(w.ids):
			k, v = c.Seek(periodKey(start+1, w.ids[0]))
		case w.ids[at] == sw:
			if err := p.decode(v); err != nil {
				return err
			}
			w.visit(at, start, &p)
			k, v = c.Next()
		case w.all:
			k, v = c.Next()
		default:
			k, v = c.Seek(periodKey(start, w.ids[at]))
		}
	}
	return nil
}
