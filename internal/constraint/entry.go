package constraint

import (
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// entryEnv reads what a table's restriction can see of an entry.
func (s *scope) entryEnv(e *p4v1.TableEntry) (*env, error) {
	out := &env{vals: make([]value, len(s.vars)), priority: int64(e.GetPriority())}
	given := make([]bool, len(s.vars))
	for _, m := range e.GetMatch() {
		i := s.byID(m.GetFieldId())
		if i < 0 {
			return nil, fmt.Errorf("match field id %d: unknown; %s", m.GetFieldId(), s.names())
		}
		v := &s.vars[i]
		if given[i] {
			return nil, fmt.Errorf("key %s: given twice", v.name)
		}
		given[i] = true
		if v.typ.kind == unknownType || v.typ.width < 1 || v.typ.width > maxWidth {
			continue // no restriction names it
		}
		var err error
		if out.vals[i], err = v.typ.read(m); err != nil {
			return nil, fmt.Errorf("key %s: %w", v.name, err)
		}
	}
	for i, v := range s.vars {
		switch {
		case given[i]:
		case v.typ.kind == exactType:
			return nil, fmt.Errorf("key %s: missing; an exact key must be given", v.name)
		case v.typ.kind == rangeType:
			out.vals[i].second = ones(v.typ.width)
		}
	}
	return out, nil
}

// read reads a match on a key.
func (t typ) read(m *p4v1.FieldMatch) (v value, err error) {
	switch x := m.GetFieldMatchType().(type) {
	case *p4v1.FieldMatch_Exact_:
		if t.kind == exactType {
			v.first, err = t.bits(x.Exact.GetValue())
			return v, err
		}
	case *p4v1.FieldMatch_Optional_:
		if t.kind == optionalType {
			v.first, err = t.bits(x.Optional.GetValue())
			v.second = ones(t.width)
			return v, err
		}
	case *p4v1.FieldMatch_Ternary_:
		if t.kind == ternaryType {
			return t.pair(x.Ternary.GetValue(), x.Ternary.GetMask())
		}
	case *p4v1.FieldMatch_Range_:
		if t.kind == rangeType {
			return t.pair(x.Range.GetLow(), x.Range.GetHigh())
		}
	case *p4v1.FieldMatch_Lpm:
		if t.kind == lpmType {
			n := x.Lpm.GetPrefixLen()
			if n < 0 || int(n) > t.width {
				return v, fmt.Errorf("prefix length %d; it must be 0 to %d", n, t.width)
			}
			v.first, err = t.bits(x.Lpm.GetValue())
			v.second.lo = uint64(n)
			return v, err
		}
	}
	return v, fmt.Errorf("the match is of another type; it must be %v", t)
}

func (t typ) pair(first, second []byte) (v value, err error) {
	if v.first, err = t.bits(first); err == nil {
		v.second, err = t.bits(second)
	}
	return v, err
}

// bits reads a number of at most the type's width.
func (t typ) bits(b []byte) (u128, error) {
	if len(b) == 0 {
		return u128{}, fmt.Errorf("empty value; zero is one zero byte")
	}
	v, ok := fromBytes(b)
	if !ok || v.bitLen() > t.width {
		return u128{}, fmt.Errorf("value %#x has more than %d bits", b[:min(len(b), 32)], t.width)
	}
	return v, nil
}

// actionEnv reads what an action's restriction can see of a call.
func (s *scope) actionEnv(a *p4v1.Action) (*env, error) {
	out := &env{vals: make([]value, len(s.vars))}
	given := make([]bool, len(s.vars))
	for _, p := range a.GetParams() {
		i := s.byID(p.GetParamId())
		if i < 0 {
			return nil, fmt.Errorf("parameter id %d: unknown; %s", p.GetParamId(), s.names())
		}
		v := &s.vars[i]
		if given[i] {
			return nil, fmt.Errorf("parameter %s: given twice", v.name)
		}
		given[i] = true
		if v.typ.width < 1 || v.typ.width > maxWidth {
			continue // no restriction names it
		}
		var err error
		if out.vals[i].first, err = v.typ.bits(p.GetValue()); err != nil {
			return nil, fmt.Errorf("parameter %s: %w", v.name, err)
		}
	}
	for i, v := range s.vars {
		if !given[i] {
			return nil, fmt.Errorf("parameter %s: missing; every parameter must be given", v.name)
		}
	}
	return out, nil
}
