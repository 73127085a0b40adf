package pipeline

import (
	"fmt"

	"op25b/internal/p4entry"
)

// Form stores the entry in f and reuses the slices of f. f shares bytes with e, which must not be changed. The entry must not be a
// multicast group.
func (e *Entry) Form(f *p4entry.Entry) {
	k := &e.Key
	t := &tables[k.table]
	*f = p4entry.Entry{Table: t.id, Default: k.standard, Priority: k.priority, Match: f.Match[:0], Params: f.Params[:0], Meter: e.meter}
	for i := range t.keys {
		x := &t.keys[i]
		if k.standard || !k.matches(x) {
			continue
		}
		m := p4entry.Match{Field: uint32(i + 1), Kind: kindOf(x.kind), Value: p4entry.Canonical(k.value(x))}
		switch x.kind {
		case ternary:
			m.Mask = p4entry.Canonical(k.mask(x))
		case lpm:
			m.PrefixLen = int32(k.match[x.at])
		}
		f.Match = append(f.Match, m)
	}
	if e.Value.action == 0 {
		return
	}
	a := &actions[e.Value.action]
	f.Action = a.id
	for i := range a.params {
		f.Params = append(f.Params, p4entry.Param{ID: uint32(i + 1), Value: p4entry.Canonical(e.Value.param(i))})
	}
}

func kindOf(k matchKind) p4entry.Kind {
	switch k {
	case exact:
		return p4entry.Exact
	case lpm:
		return p4entry.LPM
	case ternary:
		return p4entry.Ternary
	}
	return 0
}

// FromForm returns the entry that f represents. It returns ErrForeign if the program has no such table, field, action or parameter, or
// if a value is too wide for its field.
func FromForm(f *p4entry.Entry) (Entry, error) {
	e := Entry{Key: Key{table: tableByID(f.Table), standard: f.Default, priority: f.Priority}}
	if e.Key.table == 0 {
		return Entry{}, fmt.Errorf("%w: table %#x", ErrForeign, f.Table)
	}
	t := &tables[e.Key.table]
	for i := range f.Match {
		if err := e.Key.take(&f.Match[i]); err != nil {
			return Entry{}, fmt.Errorf("%w: table %q: %w", ErrForeign, t.name, err)
		}
	}
	if err := e.Value.take(f); err != nil {
		return Entry{}, fmt.Errorf("%w: table %q: %w", ErrForeign, t.name, err)
	}
	if e.Key.table.Metered() {
		e.setMeter(f.Meter)
	}
	return e, nil
}

// take sets the field of the key that m matches.
func (k *Key) take(m *p4entry.Match) error {
	t := &tables[k.table]
	i := int(m.Field) - 1
	if i < 0 || i >= len(t.keys) {
		return fmt.Errorf("no key field %d", m.Field)
	}
	f := &t.keys[i]
	if m.Kind != kindOf(f.kind) {
		return fmt.Errorf("key field %q is not matched as %s", f.name, f.kind)
	}
	if !fits(k.value(f), m.Value) {
		return fmt.Errorf("key field %q: %#x has more than %d bits", f.name, m.Value, f.width)
	}
	switch f.kind {
	case ternary:
		if !fits(k.mask(f), m.Mask) {
			return fmt.Errorf("key field %q: the mask %#x has more than %d bits", f.name, m.Mask, f.width)
		}
		if !k.matches(f) { // a mask of 0 matches any value, like an absent field
			clear(k.value(f))
		}
	case lpm:
		if m.PrefixLen < 0 || int(m.PrefixLen) > f.width {
			return fmt.Errorf("key field %q: a prefix length of %d; it has %d bits", f.name, m.PrefixLen, f.width)
		}
		k.match[f.at] = byte(m.PrefixLen)
	}
	return nil
}

// take sets the action and its parameters from f.
func (v *Value) take(f *p4entry.Entry) error {
	if f.Action == 0 {
		return nil
	}
	v.action = actionByID(f.Action)
	if v.action == 0 {
		return fmt.Errorf("unknown action %#x", f.Action)
	}
	a := &actions[v.action]
	var all [paramBytes]byte
	for _, p := range f.Params {
		i := int(p.ID) - 1
		if i < 0 || i >= len(a.params) {
			return fmt.Errorf("action %q has no parameter %d", a.name, p.ID)
		}
		if x := &a.params[i]; !fits(all[x.at:x.at+x.bytes()], p.Value) {
			return fmt.Errorf("action %q: parameter %q: %#x has more than %d bits", a.name, a.params[i].name, p.Value, a.params[i].width)
		}
	}
	v.set(all[:a.bytes()])
	return nil
}

// fits copies a number, which may have leading zero bytes, into the slice to. It reports whether the number fits.
func fits(to, number []byte) bool {
	for len(number) > len(to) {
		if number[0] != 0 {
			return false
		}
		number = number[1:]
	}
	clear(to[:len(to)-len(number)])
	copy(to[len(to)-len(number):], number)
	return true
}
