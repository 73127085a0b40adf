package match

import (
	"fmt"
	"slices"
)

// A layout holds the positions of the fields in a key, and checks matches against the fields.
type layout struct {
	fields []Field
	spans  []span
	words  int  // length of the key in words
	lpm    int  // index of the LPM field, whose longest matching prefix decides; -1 if there is none or if entries have priorities
	masked bool // whether ids also contain masks
	prio   bool // whether entries have priorities
	ranges []int
}

// A span is the position of a field in a key.
type span struct{ first, words int }

func newLayout(fields []Field) (*layout, error) {
	l := &layout{fields: slices.Clone(fields), lpm: -1}
	lpms := 0
	for i, f := range fields {
		if f.Width < 1 {
			return nil, fmt.Errorf("field %s: %w: width is %d bits, must be at least 1", f.Name, ErrFields, f.Width)
		}
		n := Words(f.Width)
		l.spans = append(l.spans, span{l.words, n})
		l.words += n
		switch f.Kind {
		case Exact:
		case LPM:
			lpms++
			l.lpm = i
		case Ternary, Optional:
			l.prio = true
		case Range:
			l.prio = true
			l.ranges = append(l.ranges, i)
		default:
			return nil, fmt.Errorf("field %s: %w: %v, must be exact, lpm, ternary, range or optional", f.Name, ErrFields, f.Kind)
		}
	}
	if l.prio {
		l.lpm = -1
	} else if lpms > 1 {
		return nil, fmt.Errorf("%w: %d lpm fields, must be at most 1 unless a ternary, range or optional field gives the entries priorities",
			ErrFields, lpms)
	}
	l.masked = l.prio || lpms > 0
	return l, nil
}

// idWords returns the length of an id in words.
func (l *layout) idWords() int {
	n := l.words
	if l.masked {
		n *= 2
	}
	if l.prio {
		n++
	}
	return n
}

// id writes the canonical form of a match and its priority to dst, which has idWords words. Matches with the same meaning have equal ids.
func (l *layout) id(dst []uint64, m []KeyMatch, priority int32) error {
	if len(m) != len(l.fields) {
		return fmt.Errorf("%w: %d fields, must be %d", ErrKey, len(m), len(l.fields))
	}
	if !l.prio && priority != 0 {
		return fmt.Errorf("%w: %d, must be 0 in a table of exact and lpm fields", ErrPriority, priority)
	}
	clear(dst)
	for i := range m {
		var mask []uint64
		s := l.spans[i]
		if l.masked {
			mask = dst[l.words+s.first:][:s.words]
		}
		if err := canonical(dst[s.first:][:s.words], mask, l.fields[i], &m[i]); err != nil {
			return fmt.Errorf("field %s: %w", l.fields[i].Name, err)
		}
	}
	if l.prio {
		dst[2*l.words] = uint64(int64(priority))
	}
	return nil
}

// canonical checks the match of one field and writes its canonical form to value and mask. For a range, value is the low bound and mask
// is the high bound. Both slices must be zero, which is the wildcard of every kind except Range. mask is nil if all fields of the table
// are exact.
func canonical(value, mask []uint64, f Field, m *KeyMatch) error {
	if m.Wildcard {
		if f.Kind == Exact {
			return fmt.Errorf("%w: wildcard in an exact field", ErrKey)
		}
		if f.Kind == Range {
			prefixMask(mask, f.Width, f.Width)
		}
		return nil
	}
	if err := checkWords("value", m.Value, f.Width); err != nil {
		return err
	}
	copy(value, m.Value)
	switch f.Kind {
	case Exact, Optional:
		if mask != nil {
			prefixMask(mask, f.Width, f.Width)
		}
		return nil
	case LPM:
		if m.PrefixLen < 0 || m.PrefixLen > f.Width {
			return fmt.Errorf("%w: prefix length %d, must be 0 to %d", ErrKey, m.PrefixLen, f.Width)
		}
		prefixMask(mask, f.Width, m.PrefixLen)
		if outside(value, mask) {
			return fmt.Errorf("%w: value %s has bits beyond its prefix length %d", ErrKey, hex(value), m.PrefixLen)
		}
		return nil
	}
	what := "mask"
	if f.Kind == Range {
		what = "high"
	}
	if err := checkWords(what, m.Mask, f.Width); err != nil {
		return err
	}
	copy(mask, m.Mask)
	if f.Kind == Range {
		if slices.Compare(value, mask) > 0 {
			return fmt.Errorf("%w: low %s is above high %s", ErrKey, hex(value), hex(mask))
		}
	} else if outside(value, mask) {
		return fmt.Errorf("%w: value %s has bits outside the mask %s", ErrKey, hex(value), hex(mask))
	}
	return nil
}

// matches is the inverse of id. It returns the matches of the entry with this id.
func (l *layout) matches(id []uint64) []KeyMatch {
	out := make([]KeyMatch, len(l.fields))
	for i, f := range l.fields {
		s, m := l.spans[i], &out[i]
		m.Value = slices.Clone(id[s.first:][:s.words])
		if !l.masked {
			continue
		}
		mask := slices.Clone(id[l.words+s.first:][:s.words])
		full := make([]uint64, s.words)
		prefixMask(full, f.Width, f.Width)
		switch f.Kind {
		case LPM:
			m.PrefixLen = ones(mask)
			m.Wildcard = m.PrefixLen == 0
		case Ternary:
			m.Mask = mask
			m.Wildcard = ones(mask) == 0
		case Range:
			m.Mask = mask
			m.Wildcard = ones(m.Value) == 0 && slices.Equal(mask, full)
		case Optional:
			m.Wildcard = ones(mask) == 0
		}
	}
	return out
}
