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
	in := periods{c: c}
	k, v, err := in.seek(from, w.ids[0])
	for n := 0; err == nil && v != nil && k.start < until; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if k.start != from {
			from, at = k.start, 0
		}
		for at < len(w.ids) && w.ids[at] < k.sw {
			at++
		}
		switch {
		case at == len(w.ids) && w.all:
			k, v, err = in.next()
		case at == len(w.ids):
			k, v, err = in.seek(k.start+1, w.ids[0])
		case w.ids[at] == k.sw:
			if err := p.decode(v); err != nil {
				return err
			}
			w.visit(at, k.start, &p)
			k, v, err = in.next()
		case w.all:
			k, v, err = in.next()
		default:
			k, v, err = in.seek(k.start, w.ids[at])
		}
	}
	return err
}
