package engine

import (
	"fmt"
	"math/big"

	"op25b/internal/softswitch/match"
)

// A ValueSet is a parser value set of the program. All select expressions that use it have keys of the same total width.
type ValueSet struct {
	e      *Engine
	name   string
	width  int   // total width of a member's fields, in bits
	fields []int // widths of the key's fields where the set is first used; nil if the set is unused
	uses   []*valueSetUse
	// members is guarded by e.ctl.
	members [][]Match
}

// A valueSetUse is a parser transition that uses the set. rows contains the members in the layout of the state's key. It changes only
// while all workers are stopped.
type valueSetUse struct {
	widths []int
	mask   []uint64 // mask of the transition; nil if it has none
	words  int
	rows   []uint64 // the value and the mask of each member
}

// Name returns the set's name in the program.
func (v *ValueSet) Name() string { return v.name }

// Width returns the total width of a member's fields, in bits.
func (v *ValueSet) Width() int { return v.width }

// Fields returns the widths of a member's fields, in bits.
func (v *ValueSet) Fields() []int {
	if v.fields == nil {
		return []int{v.width}
	}
	return append([]int(nil), v.fields...)
}

// Members returns the current members of the set.
func (v *ValueSet) Members() [][]Match {
	v.e.ctl.RLock()
	defer v.e.ctl.RUnlock()
	return cloneMembers(v.members)
}

func cloneMembers(ms [][]Match) [][]Match {
	out := make([][]Match, len(ms))
	for i, m := range ms {
		en := Entry{Matches: m}
		out[i] = en.clone().Matches
	}
	return out
}

// SetValueSet replaces all members of a set. A member has either one match over the whole width, or one match for each of the set's
// Fields. A match is exact (only Value), ternary (Value and Mask) or LPM (Value and PrefixLen). Ranges are not supported.
func (e *Engine) SetValueSet(name string, members [][]Match) error {
	v, ok := e.vsets[name]
	if !ok {
		return fmt.Errorf("value set %q: %w", name, ErrNotFound)
	}
	e.ctl.Lock()
	defer e.ctl.Unlock()
	values, masks := make([]*big.Int, len(members)), make([]*big.Int, len(members))
	for i, m := range members {
		var err error
		if values[i], masks[i], err = v.join(m); err != nil {
			return fmt.Errorf("value set %q: member %d: %w", name, i, err)
		}
	}
	rows := make([][]uint64, len(v.uses))
	for i, u := range v.uses {
		for j := range members {
			rows[i] = append(rows[i], u.row(values[j], masks[j], v.width)...)
		}
	}
	v.members = cloneMembers(members)
	e.gate.lock()
	for i, u := range v.uses {
		u.rows = rows[i]
	}
	e.gate.unlock()
	return nil
}

// join combines the fields of a member into one value and one mask.
func (v *ValueSet) join(ms []Match) (value, mask *big.Int, err error) {
	widths := v.Fields()
	if len(ms) == 1 {
		widths = []int{v.width}
	}
	if len(ms) != len(widths) {
		return nil, nil, fmt.Errorf("%w: %d matches, want 1 or %d", ErrInvalid, len(ms), len(widths))
	}
	value, mask = new(big.Int), new(big.Int)
	for i, m := range ms {
		w := widths[i]
		x, y := new(big.Int), new(big.Int)
		if !m.Wildcard {
			if _, err := wordsOf(m.Value, w); err != nil {
				return nil, nil, err
			}
			if _, err := wordsOf(m.Mask, w); err != nil {
				return nil, nil, fmt.Errorf("mask: %w", err)
			}
			if m.PrefixLen < 0 || m.PrefixLen > w {
				return nil, nil, fmt.Errorf("%w: prefix length %d, must be 0 to %d", ErrInvalid, m.PrefixLen, w)
			}
			_, all := (&field{width: w}).span()
			x.SetBytes(m.Value)
			switch {
			case len(m.Mask) > 0:
				y.SetBytes(m.Mask)
			case m.PrefixLen > 0:
				y.Lsh(y.Rsh(all, uint(w-m.PrefixLen)), uint(w-m.PrefixLen))
			default:
				y.Set(all)
			}
			x.And(x, y)
		}
		value.Or(value.Lsh(value, uint(w)), x)
		mask.Or(mask.Lsh(mask, uint(w)), y)
	}
	return value, mask, nil
}

// row converts a member to the layout of a key, in which each field has its own words.
func (u *valueSetUse) row(value, mask *big.Int, width int) []uint64 {
	out := make([]uint64, 0, 2*u.words)
	for _, b := range []*big.Int{value, mask} {
		left := width
		for _, w := range u.widths {
			left -= w
			f := new(big.Int).Rsh(b, uint(max(left, 0)))
			_, all := (&field{width: w}).span()
			out = append(out, bigWords(f.And(f, all), match.Words(w))...)
		}
	}
	if u.mask != nil {
		for i := range u.words {
			out[u.words+i] &= u.mask[i]
			out[i] &= out[u.words+i]
		}
	}
	return out
}

// matches reports whether any member matches key.
func (u *valueSetUse) matches(key []uint64) bool {
next:
	for r := u.rows; len(r) > 0; r = r[2*u.words:] {
		for i, k := range key[:u.words] {
			if k&r[u.words+i] != r[i] {
				continue next
			}
		}
		return true
	}
	return false
}

// bigWords returns the low n words of a nonnegative number, the most significant word first.
func bigWords(b *big.Int, n int) []uint64 {
	w := make([]uint64, n)
	x := new(big.Int).Set(b)
	low := new(big.Int).SetUint64(^uint64(0))
	for i := n - 1; i >= 0; i-- {
		w[i] = new(big.Int).And(x, low).Uint64()
		x.Rsh(x, 64)
	}
	return w
}
