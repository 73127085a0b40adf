package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"op25b/internal/softswitch/match"
)

// keyOf converts the matches of an entry to matches of package match.
func (t *Table) keyOf(ms []Match) ([]match.KeyMatch, error) {
	if len(ms) != len(t.key) {
		return nil, fmt.Errorf("table %q: %w: %d matches, its key has %d fields", t.name, ErrInvalid, len(ms), len(t.key))
	}
	out := make([]match.KeyMatch, len(ms))
	at := 0
	for i := range ms {
		f, m := &t.key[i], &ms[i]
		n := match.Words(f.Width)
		k := match.KeyMatch{PrefixLen: m.PrefixLen, Wildcard: m.Wildcard}
		if !m.Wildcard {
			var err error
			if k.Value, err = wordsOf(m.Value, f.Width); err != nil {
				return nil, fmt.Errorf("table %q: field %q: %w", t.name, f.Name, err)
			}
			if f.Kind == match.Ternary || f.Kind == match.Range || f.Kind == match.Optional {
				if k.Mask, err = wordsOf(m.Mask, f.Width); err != nil {
					return nil, fmt.Errorf("table %q: field %q: mask or high: %w", t.name, f.Name, err)
				}
			}
			if t.masks != nil && f.Kind != match.Range {
				for j := range k.Value {
					k.Value[j] &= t.masks[at+j]
				}
			}
		}
		out[i] = k
		at += n
	}
	return out, nil
}

// valueOf converts the action part of an entry to the form that packets use.
func (t *Table) valueOf(en *Entry) (entry, error) {
	c := en.clone()
	v := entry{ctl: &c}
	if t.profile == nil {
		a, args, err := bind(t.actions, en.Action)
		if err != nil {
			return v, fmt.Errorf("table %q: %w", t.name, err)
		}
		v.act, v.args, v.next = a, args, t.nextHit(a)
		return v, nil
	}
	if en.Action.Name != "" {
		return v, fmt.Errorf("table %q: %w: action %q in an entry of an indirect table, want a member or group of %q",
			t.name, ErrInvalid, en.Action.Name, t.profile.name)
	}
	if en.HasGroup {
		g, ok := t.profile.groups[en.Group]
		if !ok {
			return v, fmt.Errorf("table %q: group %d of action profile %q: %w", t.name, en.Group, t.profile.name, ErrNotFound)
		}
		v.group = g
		return v, nil
	}
	m, ok := t.profile.members[en.Member]
	if !ok {
		return v, fmt.Errorf("table %q: member %d of action profile %q: %w", t.name, en.Member, t.profile.name, ErrNotFound)
	}
	v.member = m
	return v, nil
}

// retain adds n to the reference counts of an entry's member and group. The caller must hold e.ctl.
func (v *entry) retain(n int) {
	if v.member != nil {
		v.member.refs += n
	}
	if v.group != nil {
		v.group.refs += n
	}
}

func (t *Table) rowLocked(m []Match, priority int32) (*match.Entry[entry], error) {
	k, err := t.keyOf(m)
	if err != nil {
		return nil, err
	}
	row, ok := t.rows.Get(k, priority)
	if !ok {
		return nil, fmt.Errorf("table %q: entry %s: %w", t.name, describe(m, priority), ErrNotFound)
	}
	return row, nil
}

func (t *Table) constErr(what string) error {
	return fmt.Errorf("%s table %q: %w", what, t.name, ErrConst)
}

// matchErr converts an error of package match to an error of this package.
func (t *Table) matchErr(err error, m []Match, priority int32) error {
	sentinel := ErrInvalid
	switch {
	case errors.Is(err, match.ErrExists):
		return fmt.Errorf("table %q: entry %s: %w", t.name, describe(m, priority), ErrExists)
	case errors.Is(err, match.ErrNotFound):
		return fmt.Errorf("table %q: entry %s: %w", t.name, describe(m, priority), ErrNotFound)
	case errors.Is(err, match.ErrFull):
		sentinel = ErrFull
	}
	return fmt.Errorf("table %q: entry %s: %w: %w", t.name, describe(m, priority), sentinel, err)
}

// describe formats the matches and the priority of an entry for an error message.
func describe(ms []Match, priority int32) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, m := range ms {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch {
		case m.Wildcard:
			b.WriteByte('*')
		case len(m.Mask) > 0:
			fmt.Fprintf(&b, "%x&%x", m.Value, m.Mask)
		case m.PrefixLen > 0:
			fmt.Fprintf(&b, "%x/%d", m.Value, m.PrefixLen)
		default:
			fmt.Fprintf(&b, "%x", m.Value)
		}
	}
	b.WriteByte(']')
	if priority != 0 {
		fmt.Fprintf(&b, " priority %d", priority)
	}
	return b.String()
}

// wordsOf converts big-endian bytes to words, the most significant word first. Leading zero bytes are
// ignored.
func wordsOf(b []byte, width int) ([]uint64, error) {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	bits := len(b) * 8
	if bits > 0 {
		for x := b[0]; x&0x80 == 0; x <<= 1 {
			bits--
		}
	}
	if bits > width {
		return nil, fmt.Errorf("%w: value %#x takes %d bits, the field has %d", ErrInvalid, b, bits, width)
	}
	w := make([]uint64, max(1, match.Words(width)))
	for i := range b {
		at := len(b) - 1 - i // position of the byte, counted from the least significant byte
		w[len(w)-1-at/8] |= uint64(b[i]) << (at % 8 * 8)
	}
	return w, nil
}

// bytesOf is the inverse of wordsOf. It returns (width+7)/8 bytes.
func bytesOf(w []uint64, width int) []byte {
	return appendBytes(make([]byte, 0, (width+7)/8), w, width)
}

func appendBytes(b []byte, w []uint64, width int) []byte {
	for i := (width+7)/8 - 1; i >= 0; i-- {
		b = append(b, byte(w[len(w)-1-i/8]>>(i%8*8)))
	}
	return b
}

func (c ActionCall) clone() ActionCall {
	out := ActionCall{Name: c.Name}
	for _, a := range c.Args {
		out.Args = append(out.Args, slices.Clone(a))
	}
	return out
}

func (en *Entry) clone() Entry {
	out := *en
	out.Matches = make([]Match, len(en.Matches))
	for i, m := range en.Matches {
		m.Value, m.Mask = slices.Clone(m.Value), slices.Clone(m.Mask)
		out.Matches[i] = m
	}
	out.Action = en.Action.clone()
	out.Cookie = slices.Clone(en.Cookie)
	return out
}
