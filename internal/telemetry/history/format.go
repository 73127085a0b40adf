package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// formatVersion is the version of the file format that this package writes. It also reads version 1, which has no interfaces, and which does not tell
// the packets of gaps from the others.
const formatVersion = 2

// These are the buckets other than those of the levels, and the keys in the bucket meta.
var (
	bucketMeta     = []byte("meta")
	bucketSwitches = []byte("switches")
	bucketKeys     = []byte("keys")
	bucketCounters = []byte("counters")

	metaFormat     = []byte("format")     // uvarint
	metaNextSwitch = []byte("nextSwitch") // a uvarint; the ids of removed switches are not used again
	metaRolled     = []byte("rolled")     // uvarints: for each level from tens on, the minute up to which everything is rolled up
)

var errValue = errors.New("invalid encoding")

// periodKey returns the key of a period of a switch. Keys are ordered by time first, so that records append and expiry deletes at the
// front.
func periodKey(start, sw uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(make([]byte, 0, 8), start), sw)
}

// switchKey returns the key of the state of a switch.
func switchKey(sw uint32) []byte { return binary.BigEndian.AppendUint32(nil, sw) }

func splitKey(k []byte) (start, sw uint32, err error) {
	if len(k) != 8 {
		return 0, 0, fmt.Errorf("%w: a key of %d bytes: want 8", errValue, len(k))
	}
	return binary.BigEndian.Uint32(k), binary.BigEndian.Uint32(k[4:]), nil
}

// A count is the packets and octets of one key in a period.
type count struct {
	id              uint32 // the id of the key within its switch
	packets, octets uint64
}

// A period contains the counts of one switch in one period. It has no zero counts, and both lists are ordered by id.
type period struct {
	covered uint64  // seconds
	counts  []count // what was counted in the covered time
	gaps    []count // what was counted in gaps without records that ended in this period
}

// append appends the encoding of p to b. The encoding is covered, followed by the difference from the previous id, the packets and the
// octets of each count, all as uvarints. These three take 1, 1 to 3 and 2 to 4 bytes in a typical count. The counts of gaps, if any, follow
// after a 0, which is not a valid difference.
func (p *period) append(b []byte) []byte {
	b = appendCounts(binary.AppendUvarint(b, p.covered), p.counts)
	if len(p.gaps) > 0 {
		b = appendCounts(append(b, 0), p.gaps)
	}
	return b
}

func appendCounts(b []byte, counts []count) []byte {
	last := uint32(0)
	for _, c := range counts {
		b = binary.AppendUvarint(b, uint64(c.id-last))
		b = binary.AppendUvarint(b, c.packets)
		b = binary.AppendUvarint(b, c.octets)
		last = c.id
	}
	return b
}

// decode sets p to the period that b encodes. It reuses the memory of p.
func (p *period) decode(b []byte) error {
	p.counts, p.gaps = p.counts[:0], p.gaps[:0]
	r := reader{b: b}
	p.covered = r.uvarint()
	id, list := uint64(0), &p.counts
	for r.more() {
		if r.b[0] == 0 && list == &p.counts && len(r.b) > 1 {
			r.b = r.b[1:]
			id, list = 0, &p.gaps
		}
		id = r.nextID(id)
		*list = append(*list, count{uint32(id), r.uvarint(), r.uvarint()})
	}
	return r.err
}

// add adds the counts of o to p. It uses spare as memory for the result, and returns the previous memory of p for the next call.
func (p *period) add(o *period, spare []count) []count {
	p.covered = sum(p.covered, o.covered)
	was := p.counts
	p.counts = merge(was, o.counts, spare[:0])
	if len(o.gaps) > 0 {
		p.gaps = merge(p.gaps, o.gaps, nil)
	}
	return was
}

// merge appends the sums of two lists of counts to out.
func merge(a, b, out []count) []count {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].id < b[0].id:
			out, a = append(out, a[0]), a[1:]
		case a[0].id > b[0].id:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, count{a[0].id, sum(a[0].packets, b[0].packets), sum(a[0].octets, b[0].octets)})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// sum returns a+b, or the largest value if the sum overflows.
func sum(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// appendSwitch encodes the state of a switch: its name, its boot-time in nanoseconds, the time of the last record in seconds, its keys and
// its counters. The keys and the counters each begin with the next id and their number. A key is encoded as the difference from the
// previous id and the age of its last total in seconds. A counter also has its last total. An age is a varint, because it is negative after
// the clock was set back.
func appendSwitch(b []byte, s *switchState) []byte {
	b = appendString(b, s.name)
	b = binary.AppendUvarint(b, s.boot)
	b = binary.AppendUvarint(b, uint64(s.last))
	b = binary.AppendUvarint(b, uint64(s.keys.next))
	b = binary.AppendUvarint(b, uint64(len(s.keys.all)))
	last := uint32(0)
	for i := range s.keys.all {
		k := &s.keys.all[i]
		b = binary.AppendUvarint(b, uint64(k.id-last))
		b = binary.AppendVarint(b, s.last-k.seen)
		last = k.id
	}
	b = binary.AppendUvarint(b, uint64(s.counters.next))
	b = binary.AppendUvarint(b, uint64(len(s.counters.all)))
	last = 0
	for i := range s.counters.all {
		c := &s.counters.all[i]
		b = binary.AppendUvarint(b, uint64(c.id-last))
		b = binary.AppendVarint(b, s.last-c.seen)
		b = binary.AppendUvarint(b, c.packets)
		b = binary.AppendUvarint(b, c.octets)
		last = c.id
	}
	return b
}

// decodeSwitch decodes the state of a switch. The names of its keys and counters are stored elsewhere and are not set yet.
func decodeSwitch(b []byte) (*switchState, error) {
	r := reader{b: b}
	s := &switchState{name: r.string(), boot: r.uvarint(), last: r.seconds()}
	s.keys.next = r.ids(func(id uint32) {
		s.keys.all = append(s.keys.all, keyState{id: id, seen: s.last - r.age()})
	})
	s.counters.next = r.ids(func(id uint32) {
		s.counters.all = append(s.counters.all, counterState{id: id, seen: s.last - r.age(), packets: r.uvarint(), octets: r.uvarint()})
	})
	return s, r.end()
}

// ids reads the next id and a list of ids. It calls each for every id, and each reads the data that follow the id.
func (r *reader) ids(each func(id uint32)) (next uint32) {
	next = r.uint32()
	id := uint64(0)
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		id = r.nextID(id)
		each(uint32(id))
	}
	if id >= uint64(next) && id > 0 {
		r.fail("id that is not below the next one:", id)
	}
	return next
}

// appendKey encodes a key of the dictionary: the time of its first record, and its name.
func appendKey(b []byte, k *keyState) []byte {
	return appendName(binary.AppendUvarint(b, uint64(k.first)), k.name)
}

func decodeKey(b []byte, k *keyState) error {
	r := reader{b: b}
	k.first, k.name = r.seconds(), r.name()
	return r.end()
}

// appendCounter encodes the identity of a counter.
func appendCounter(b []byte, c *counterState) []byte {
	return appendName(appendString(b, c.name.counter), c.name.key)
}

func decodeCounter(b []byte, c *counterState) error {
	r := reader{b: b}
	c.name = counterName{r.string(), r.name()}
	return r.end()
}

// appendName encodes a name at the end of a value: rule, leg and phase, and the interface and its direction if there is one.
func appendName(b []byte, n keyName) []byte {
	b = appendString(appendString(appendString(b, n.rule), n.leg), n.phase)
	if n.kind() == Interfaces {
		b = appendString(appendString(b, n.link), n.direction)
	}
	return b
}

func (r *reader) name() keyName {
	n := keyName{rule: r.string(), leg: r.string(), phase: r.string()}
	if r.more() {
		if n.link, n.direction = r.string(), r.string(); n.link == "" {
			r.fail("length of an interface's name:", 0)
		}
	}
	return n
}

// end returns the reader's error. It is also an error if bytes are left.
func (r *reader) end() error {
	if r.more() {
		r.fail("number of bytes too many:", uint64(len(r.b)))
	}
	return r.err
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// A reader decodes values one after the other. After an error, it returns zero values.
type reader struct {
	b   []byte
	err error
}

func (r *reader) more() bool { return r.err == nil && len(r.b) > 0 }

func (r *reader) fail(what string, v uint64) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s %d", errValue, what, v)
	}
	r.b = nil
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("number that ends after bytes:", uint64(len(r.b)))
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uint32() uint32 {
	v := r.uvarint()
	if v > math.MaxUint32 {
		r.fail("number above 2^32:", v)
		return 0
	}
	return uint32(v)
}

// age reads a time difference.
func (r *reader) age() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 || max(v, -v) > maxMinute*60 || v == math.MinInt64 {
		r.fail("age that ends after bytes, or is too large:", uint64(len(r.b)))
		return 0
	}
	r.b = r.b[n:]
	return v
}

// seconds reads a time in seconds since 1970.
func (r *reader) seconds() int64 {
	v := r.uvarint()
	if v > maxMinute*60 {
		r.fail("time:", v)
		return 0
	}
	return int64(v)
}

// nextID reads the difference from the previous id, and returns the id.
func (r *reader) nextID(id uint64) uint64 {
	d := r.uvarint()
	if d == 0 || d > math.MaxUint32-id {
		r.fail("difference of ids:", d)
		return id
	}
	return id + d
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail("length of a string:", n)
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}
