package history

import (
	"cmp"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// A when is the key of a period: its start in minutes, and the id of its switch.
type when struct{ start, sw uint32 }

func (a when) compare(b when) int {
	return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.sw, b.sw))
}

// periods moves forward over the periods of a bucket. bbolt does not check the order of the keys in a page. In a damaged page, a cursor may find a key
// before the one that it was moved to, and a reader would then never reach the end. So each key must be higher than the one before.
type periods struct {
	c    *bolt.Cursor
	last when
	any  bool // last is set
}

// seek moves to the first period at a key or behind it. The key must be higher than that of the present period. At the end, the value is nil.
func (p *periods) seek(start, sw uint32) (when, []byte, error) {
	return p.checked(p.c.Seek(periodKey(start, sw)))
}

// next moves to the next period. At the end, the value is nil.
func (p *periods) next() (when, []byte, error) { return p.checked(p.c.Next()) }

func (p *periods) checked(k, v []byte) (when, []byte, error) {
	if k == nil {
		return when{}, nil, nil
	}
	start, sw, err := splitKey(k)
	if err != nil {
		return when{}, nil, err
	}
	at := when{start, sw}
	if v == nil {
		return when{}, nil, fmt.Errorf("%w: the period of switch %d at minute %d is a bucket", errValue, sw, start)
	}
	if p.any && at.compare(p.last) <= 0 {
		return when{}, nil, fmt.Errorf("%w: the period of switch %d at minute %d follows that of switch %d at minute %d: want ascending keys",
			errValue, sw, start, p.last.sw, p.last.start)
	}
	p.last, p.any = at, true
	return at, v, nil
}
