package telemetry

import (
	"fmt"
	"slices"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// A decoder reads the encoded messages of one session into a series. Decoding to Go messages first would take most of the time of a
// collector, so the decoder reads the usual messages from their bytes: notifications without deletes, with numbers as PROTO values. All
// others are decoded to Go messages.
type decoder struct {
	series           *series
	interfaces, acls *formTable

	learned int            // forms that this target has added
	heads   map[string]int // the positions of ports by the encoded part of a path up to the interface
	removed int            // series.removed when heads was filled
	scratch []elem
}

// maxHeads limits heads: a target may send each interface in four forms.
const maxHeads = 1 << 12

func newDecoder(s *series, interfaces, acls *formTable) *decoder {
	return &decoder{series: s, interfaces: interfaces, acls: acls, heads: make(map[string]int)}
}

// The field numbers of gnmi.SubscribeResponse, gnmi.Notification, gnmi.Update and gnmi.TypedValue.
const (
	responseUpdate = 1
	responseSync   = 3

	notificationTime   = 1
	notificationPrefix = 2
	notificationUpdate = 4
	notificationDelete = 5
	notificationAtomic = 6

	updatePath  = 1
	updateValue = 3

	valueString = 1
	valueUint   = 3
	valueASCII  = 12
)

// message reads one encoded SubscribeResponse that arrived at the time now, in nanoseconds since 1970. It reports whether the message is
// the sync response. It returns ErrMessage or ErrTooMuch. A value that cannot be read is counted and skipped, so that the other values of
// the target are still read.
func (d *decoder) message(b []byte, now int64) (sync bool, err error) {
	for len(b) > 0 {
		num, typ, value, n := field(b)
		if n < 0 {
			return false, fmt.Errorf("%w: %w", ErrMessage, protowire.ParseError(n))
		}
		switch {
		case num == responseUpdate && typ == protowire.BytesType:
			if err := d.notification(value, now); err != nil {
				return false, err
			}
		case num == responseSync && typ == protowire.VarintType:
			sync = true
		}
		b = b[n:]
	}
	return sync, d.series.full()
}

// notification reads an encoded gnmi.Notification.
func (d *decoder) notification(b []byte, now int64) error {
	var at int64
	var prefix []byte
	for rest := b; len(rest) > 0; {
		num, typ, value, n := field(rest)
		switch {
		case n < 0:
			return fmt.Errorf("%w: %w", ErrMessage, protowire.ParseError(n))
		case num == notificationTime && typ == protowire.VarintType:
			_, _, tag := protowire.ConsumeTag(rest)
			v, _ := protowire.ConsumeVarint(rest[tag:])
			at = int64(v)
		case num == notificationPrefix && typ == protowire.BytesType:
			prefix = value
		case num == notificationDelete || num == notificationAtomic:
			return d.slow(b, now)
		}
		rest = rest[n:]
	}
	above, err := parsePath(prefix, d.scratch[:0])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	d.scratch = above
	c := notice{d: d, at: at, now: now, above: above, port: -1}
	if table, size := d.head(above); table != nil && size == len(above) {
		c.forms = table
		if c.port, err = d.position(prefix, above); err != nil {
			c.forms = nil // every update is rejected with its whole path
		}
	}
	for rest := b; len(rest) > 0; {
		num, typ, value, n := field(rest)
		if num == notificationUpdate && typ == protowire.BytesType {
			if err := c.update(value); err != nil {
				return err
			}
		}
		rest = rest[n:]
	}
	return nil
}

// head returns the table for the leaves of the interface that a path begins with, and the number of elements up to the interface; nil if
// it begins with no interface.
func (d *decoder) head(path []elem) (*formTable, int) {
	switch {
	case len(path) >= 2 && is(path[:2], "interfaces", "interface"):
		return d.interfaces, 2
	case len(path) >= 3 && is(path[:3], "acl", "interfaces", "interface"):
		return d.acls, 3
	}
	return nil, 0
}

// position returns the position of the port that an encoded path ends with. path has its elements.
func (d *decoder) position(encoded []byte, path []elem) (int, error) {
	if d.removed != d.series.removed {
		clear(d.heads)
		d.removed = d.series.removed
	}
	if i, known := d.heads[string(encoded)]; known {
		d.series.ports[i].session = d.series.session
		return i, nil
	}
	last := &path[len(path)-1]
	name := last.key("name")
	if len(path) == 3 {
		name = last.key("id")
	}
	if len(name) == 0 {
		return 0, errNoInterface
	}
	i := d.series.port(string(name))
	if len(d.heads) < maxHeads && len(encoded) <= maxForm {
		d.heads[string(encoded)] = i
	}
	return i, nil
}

// A notice is the part of a notification that its updates share.
type notice struct {
	d       *decoder
	at, now int64
	above   []elem     // the prefix
	forms   *formTable // nil if the prefix does not end with an interface
	port    int        // the position of that interface
	hint    int        // the likely position of the next ACL entry
}

// update reads an encoded gnmi.Update.
func (c *notice) update(b []byte) error {
	var path, value []byte
	for rest := b; len(rest) > 0; {
		num, typ, v, n := field(rest)
		switch {
		case n < 0:
			return fmt.Errorf("%w: %w", ErrMessage, protowire.ParseError(n))
		case num == updatePath && typ == protowire.BytesType:
			path = v
		case num == updateValue && typ == protowire.BytesType:
			value = v
		}
		rest = rest[n:]
	}
	v, ok := plainValue(value)
	if !ok {
		return c.slow(b)
	}
	if c.forms != nil {
		return c.leaf(c.forms, c.port, path, v)
	}
	if len(c.above) == 0 {
		if forms, port, rest := c.split(path); forms != nil {
			if port != c.port {
				c.port, c.hint = port, 0
			}
			return c.leaf(forms, port, rest, v)
		}
	}
	return c.whole(path, v)
}

// split divides an encoded path after its interface. forms is nil if the path does not begin with an interface that has a name, or if its
// elements are not its first fields.
func (c *notice) split(path []byte) (forms *formTable, port int, rest []byte) {
	var elems [3]elem
	at := 0
	for i := range elems {
		num, typ, value, n := field(path[at:])
		if n < 0 || num != pathElem || typ != protowire.BytesType {
			return nil, 0, nil
		}
		e, err := parseElem(value)
		if err != nil {
			return nil, 0, nil
		}
		elems[i] = e
		at += n
		if table, size := c.d.head(elems[:i+1]); table != nil && size == i+1 {
			port, err := c.d.position(path[:at], elems[:i+1])
			if err != nil {
				return nil, 0, nil
			}
			return table, port, path[at:]
		}
	}
	return nil, 0, nil
}

// leaf stores the value of a leaf of a port. form is the encoded path behind the interface.
func (c *notice) leaf(forms *formTable, port int, form []byte, v scalar) error {
	l, known := forms.look(form)
	if !known {
		path, err := c.path(forms, port, form)
		if err != nil {
			return err
		}
		p, err := resolve(path, c.d.series.entries)
		if err != nil {
			c.d.reject(path, err)
			return nil
		}
		l = p.leaf
		if c.d.learned < maxFormsOfTarget && forms.learn(form, l) {
			c.d.learned++
		}
	}
	if l.kind == leafIgnored {
		return nil
	}
	hint, err := c.d.series.putPort(port, l, v, c.at, c.now, c.hint)
	c.hint = hint
	if err != nil {
		path, perr := c.path(forms, port, form)
		if perr != nil {
			return perr
		}
		c.d.reject(path, err)
	}
	return nil
}

// path returns the whole path of a leaf of a port.
func (c *notice) path(forms *formTable, port int, form []byte) ([]elem, error) {
	name := []byte(c.d.series.ports[port].name)
	above := []elem{{name: []byte("interfaces")}, {name: []byte("interface"), keys: []key{{[]byte("name"), name}}}}
	if forms == c.d.acls {
		above = []elem{{name: []byte("acl")}, above[0], {name: []byte("interface"), keys: []key{{[]byte("id"), name}}}}
	}
	path, err := parsePath(form, above)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return path, nil
}

// whole stores the value of a leaf by its whole path.
func (c *notice) whole(encoded []byte, v scalar) error {
	path, err := parsePath(encoded, slices.Clip(c.above))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	c.d.store(path, v, c.at, c.now)
	return nil
}

// slow decodes an update to a Go message.
func (c *notice) slow(b []byte) error {
	var u gpb.Update
	if err := proto.Unmarshal(b, &u); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	path, err := elemsOf(u.GetPath())
	if err == nil && len(path)+len(c.above) > maxElems {
		err = fmt.Errorf("a path of more than %d elements", maxElems)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	c.d.tree(append(slices.Clip(c.above), path...), u.GetVal(), c.at, c.now)
	return nil
}

// slow decodes a notification to a Go message. Deletes come first (gNMI specification 2.1).
func (d *decoder) slow(b []byte, now int64) error {
	var n gpb.Notification
	if err := proto.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if n.GetAtomic() { // the message replaces everything below its prefix
		n.Delete = append(n.Delete, &gpb.Path{})
	}
	for _, p := range n.GetDelete() {
		path, err := elemsOf(n.GetPrefix(), p)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMessage, err)
		}
		d.series.remove(path)
	}
	for _, u := range n.GetUpdate() {
		path, err := elemsOf(n.GetPrefix(), u.GetPath())
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMessage, err)
		}
		d.tree(path, u.GetVal(), n.GetTimestamp(), now)
	}
	return nil
}

// tree stores the leaves of a value, which may be a JSON subtree.
func (d *decoder) tree(path []elem, v *gpb.TypedValue, at, now int64) {
	err := scalars(path, v, func(path []elem, v scalar) { d.store(path, v, at, now) })
	if err != nil {
		d.reject(path, err)
	}
}

// store stores the value of the leaf at a path.
func (d *decoder) store(path []elem, v scalar, at, now int64) {
	p, err := resolve(path, d.series.entries)
	if err == nil {
		err = d.series.put(&p, v, at, now)
	}
	if err != nil {
		d.reject(path, err)
	}
}

func (d *decoder) reject(path []elem, err error) {
	d.series.reject(func() string { return pathText(path) + ": " + err.Error() })
}

// plainValue returns the value of an encoded gnmi.TypedValue with a number or a text. It returns false for any other value.
func plainValue(b []byte) (scalar, bool) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return scalar{}, false
	}
	switch {
	case num == valueUint && typ == protowire.VarintType:
		v, m := protowire.ConsumeVarint(b[n:])
		return scalar{number: v, isNumber: true}, m > 0 && n+m == len(b)
	case (num == valueString || num == valueASCII) && typ == protowire.BytesType:
		v, m := protowire.ConsumeBytes(b[n:])
		return scalar{text: intern(v)}, m > 0 && n+m == len(b)
	}
	return scalar{}, false
}

// intern returns the text of a value. The states that nearly all interfaces have are not allocated again.
func intern(b []byte) string {
	switch string(b) {
	case "UP":
		return "UP"
	case "DOWN":
		return "DOWN"
	}
	return string(b)
}
