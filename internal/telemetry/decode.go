package telemetry

import (
	"fmt"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// A decoder reads the encoded messages of one session into a series. Decoding every message to Go messages would take most of a
// collector's time. The decoder therefore parses the usual messages directly: notifications without deletes, whose values are PROTO
// numbers. It decodes all other messages to Go messages. The usual messages cause no allocation.
type decoder struct {
	series *series
	tables *tables

	learned  int         // the number of forms that this target has added
	lastHead *form[head] // the most recent known head
	lastLeaf *form[leaf] // the most recent known leaf of an interface
	lastPort int         // the position of the most recent port
	route    route       // the path that is being parsed
}

func newDecoder(s *series, t *tables) *decoder { return &decoder{series: s, tables: t} }

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

// message reads one encoded SubscribeResponse. now is its arrival time in nanoseconds since 1970. message reports whether the response is
// the sync response. It returns ErrMessage for an invalid message and ErrTooMuch for too many values. It counts and skips a value that
// cannot be read, and continues with the target's other values.
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
	c := notice{d: d, now: now, port: -1}
	for rest := b; len(rest) > 0; {
		num, typ, value, n := field(rest)
		switch {
		case n < 0:
			return fmt.Errorf("%w: %w", ErrMessage, protowire.ParseError(n))
		case num == notificationTime && typ == protowire.VarintType:
			_, _, tag := protowire.ConsumeTag(rest)
			v, _ := protowire.ConsumeVarint(rest[tag:])
			c.at = int64(v)
		case num == notificationPrefix && typ == protowire.BytesType:
			c.prefix = value
		case num == notificationDelete || num == notificationAtomic:
			return d.slow(b, now)
		}
		rest = rest[n:]
	}
	if err := c.begin(); err != nil {
		return err
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

// headOf returns the interface at the beginning of a path, and the number of path elements up to it. The number is 0 if the path does not
// begin with an interface.
func headOf(path []elem) (h head, size int) {
	switch {
	case len(path) >= 2 && is(path[:2], "interfaces", "interface"):
		return head{port: string(path[1].key("name"))}, 2
	case len(path) >= 3 && is(path[:3], "acl", "interfaces", "interface"):
		return head{port: string(path[2].key("id")), acl: true}, 3
	}
	return head{}, 0
}

// learn remembers the encoded form of a head whose interface has a name.
func (d *decoder) learn(encoded []byte, h head) {
	if d.learned < maxFormsOfTarget && d.tables.heads.learn(encoded, h) {
		d.learned++
	}
}

// position returns the position of a port.
func (d *decoder) position(name string) int {
	s := d.series
	for i := d.lastPort; i <= d.lastPort+1 && i < len(s.ports); i++ {
		if s.ports[i].name == name {
			s.ports[i].session, d.lastPort = s.session, i
			return i
		}
	}
	d.lastPort = s.port(name)
	return d.lastPort
}

// A notice is the part of a notification that all its updates share.
type notice struct {
	d       *decoder
	at, now int64
	prefix  []byte           // the encoded prefix
	above   int              // the number of path elements of the prefix in d.route
	divided bool             // the prefix has no elements, so paths are split after their interface
	forms   *formTable[leaf] // nil if the prefix does not end with an interface
	port    int              // the position of that interface
	hint    int              // the likely position of the next ACL entry
}

// begin finds the interface of the prefix. If there is none, begin parses the prefix into d.route.
func (c *notice) begin() error {
	d := c.d
	d.route.reset()
	if len(c.prefix) == 0 {
		c.divided = true
		return nil
	}
	if f := d.tables.heads.look(c.prefix, d.lastHead); f != nil {
		d.lastHead = f
		c.enter(f.meaning)
		return nil
	}
	if err := d.route.add(c.prefix); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	c.above = len(d.route.elems)
	c.divided = c.above == 0
	h, size := headOf(d.route.elems)
	if size == 0 || size < c.above || h.port == "" { // Without a name, every update is rejected with its full path.
		return nil
	}
	d.learn(c.prefix, h)
	c.enter(h)
	return nil
}

// enter makes h the interface of the leaves that follow.
func (c *notice) enter(h head) {
	forms := c.d.tables.interfaces
	if h.acl {
		forms = c.d.tables.acls
	}
	port := c.d.position(h.port)
	if port != c.port {
		c.port, c.hint = port, 0
	}
	c.forms = forms
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
	if c.divided {
		if path, ok = c.split(path); !ok {
			return c.whole(path, v)
		}
	}
	if c.forms == nil {
		return c.whole(path, v)
	}
	return c.leaf(path, v)
}

// split splits an encoded path after its interface, and returns the rest. It returns the whole path and false if the path does not begin
// with a named interface, or if the path elements are not its first fields.
func (c *notice) split(path []byte) (rest []byte, ok bool) {
	d := c.d
	if f := d.lastHead; f != nil {
		for _, f := range [...]*form[head]{f, f.next.Load()} {
			if f != nil && len(path) >= len(f.text) && string(path[:len(f.text)]) == f.text {
				d.lastHead = f
				c.enter(f.meaning)
				return path[len(f.text):], true
			}
		}
	}
	d.route.reset()
	for at := 0; at < len(path); {
		num, typ, value, n := field(path[at:])
		if n < 0 || num != pathElem || typ != protowire.BytesType || d.route.addElem(value) != nil {
			break
		}
		at += n
		h, size := headOf(d.route.elems)
		if size == 0 && len(d.route.elems) < 3 {
			continue
		}
		if size == 0 || h.port == "" {
			break
		}
		if f := d.tables.heads.look(path[:at], d.lastHead); f != nil {
			d.lastHead = f
		} else {
			d.learn(path[:at], h)
		}
		c.enter(h)
		return path[at:], true
	}
	return path, false
}

// leaf stores the value of a leaf of the interface. text is the encoded part of the path after the interface.
func (c *notice) leaf(text []byte, v scalar) error {
	var l leaf
	if f := c.forms.look(text, c.d.lastLeaf); f != nil {
		c.d.lastLeaf, l = f, f.meaning
	} else {
		path, err := c.path(text)
		if err != nil {
			return err
		}
		p, err := resolve(path, c.d.series.entries)
		if err != nil {
			c.d.reject(path, err)
			return nil
		}
		l = p.leaf
		if c.d.learned < maxFormsOfTarget && c.forms.learn(text, l) {
			c.d.learned++
		}
	}
	if l.kind == leafIgnored {
		return nil
	}
	hint, err := c.d.series.putPort(c.port, l, v, c.at, c.now, c.hint)
	c.hint = hint
	if err != nil {
		path, perr := c.path(text)
		if perr != nil {
			return perr
		}
		c.d.reject(path, err)
	}
	return nil
}

// path returns the full path of a leaf of the interface.
func (c *notice) path(text []byte) ([]elem, error) {
	name := []byte(c.d.series.ports[c.port].name)
	r := route{elems: []elem{{name: []byte("interfaces")}, {name: []byte("interface"), keys: []key{{[]byte("name"), name}}}}}
	if c.forms == c.d.tables.acls {
		r.elems = []elem{{name: []byte("acl")}, r.elems[0], {name: []byte("interface"), keys: []key{{[]byte("id"), name}}}}
	}
	if err := r.add(text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return r.elems, nil
}

// whole stores the value of a leaf. encoded is the leaf's path after the prefix, which does not end with an interface.
func (c *notice) whole(encoded []byte, v scalar) error {
	r := &c.d.route
	r.elems = r.elems[:c.above]
	if c.above == 0 {
		r.reset()
	}
	keys := len(r.keys)
	if err := r.add(encoded); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	c.d.store(r.elems, v, c.at, c.now)
	r.elems, r.keys = r.elems[:c.above], r.keys[:keys]
	return nil
}

// slow decodes an update to a Go message.
func (c *notice) slow(b []byte) error {
	var u gpb.Update
	if err := proto.Unmarshal(b, &u); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	path, err := elemsOf(u.GetPath())
	r := route{}
	if err == nil {
		err = r.add(c.prefix)
	}
	if err == nil && len(path)+len(r.elems) > maxElems {
		err = fmt.Errorf("a path of more than %d elements", maxElems)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	c.d.tree(append(r.elems, path...), u.GetVal(), c.at, c.now)
	return nil
}

// slow decodes a notification to a Go message. Deletes are applied first (gNMI specification 2.1).
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

// plainValue returns the value of an encoded gnmi.TypedValue that is a number or a text. It returns false for any other value.
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

// intern converts b to a string. It does not allocate for legs and for the usual interface states.
func intern(b []byte) string {
	for _, known := range [...]string{"UP", "DOWN", "ANY", "UP_DST", "DOWN_SRC", "DOWN_DST", "UP_SRC"} {
		if known == string(b) {
			return known
		}
	}
	return string(b)
}
