package constraint

import (
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/p4entry"
)

// tableEnv holds the values of an entry's keys.
type tableEnv struct {
	env
	scope *scope
}

func (s *scope) tableEnv(priority int32) *tableEnv {
	return &tableEnv{env{vals: make([]value, len(s.vars)), priority: int64(priority)}, s}
}

// match reads the match on one key and marks the key in given.
func (e *tableEnv) match(given []bool, m p4entry.Match) error {
	i := e.scope.byID(m.Field)
	if i < 0 {
		return fmt.Errorf("match field id %d: unknown; %s", m.Field, e.scope.names())
	}
	v := &e.scope.vars[i]
	if given[i] {
		return fmt.Errorf("key %s: given twice", v.name)
	}
	given[i] = true
	if v.typ.kind == unknownType || v.typ.width < 1 || v.typ.width > maxWidth {
		return nil // a key of this type cannot be restricted
	}
	var err error
	if e.vals[i], err = v.typ.read(m); err != nil {
		return fmt.Errorf("key %s: %w", v.name, err)
	}
	return nil
}

// end sets the defaults of omitted keys. It returns an error if an exact key was omitted.
func (e *tableEnv) end(given []bool) error {
	for i, v := range e.scope.vars {
		switch {
		case given[i]:
		case v.typ.kind == exactType:
			return fmt.Errorf("key %s: missing; an exact key must be given", v.name)
		case v.typ.kind == rangeType:
			e.vals[i].second = ones(v.typ.width)
		}
	}
	return nil
}

// read returns the value of a match on a key of type t.
func (t typ) read(m p4entry.Match) (v value, err error) {
	switch {
	case m.Kind == p4entry.Exact && t.kind == exactType:
		v.first, err = t.bits(m.Value)
		return v, err
	case m.Kind == p4entry.Optional && t.kind == optionalType:
		v.first, err = t.bits(m.Value)
		v.second = ones(t.width)
		return v, err
	case m.Kind == p4entry.Ternary && t.kind == ternaryType, m.Kind == p4entry.Range && t.kind == rangeType:
		return t.pair(m.Value, m.Mask)
	case m.Kind == p4entry.LPM && t.kind == lpmType:
		if m.PrefixLen < 0 || int(m.PrefixLen) > t.width {
			return v, fmt.Errorf("prefix length %d; it must be 0 to %d", m.PrefixLen, t.width)
		}
		v.first, err = t.bits(m.Value)
		v.second.lo = uint64(m.PrefixLen)
		return v, err
	}
	return v, fmt.Errorf("the match is of another type; it must be %v", t)
}

// matchOf converts a protobuf match to a p4entry.Match.
func matchOf(m *p4v1.FieldMatch) p4entry.Match {
	out := p4entry.Match{Field: m.GetFieldId()}
	switch x := m.GetFieldMatchType().(type) {
	case *p4v1.FieldMatch_Exact_:
		out.Kind, out.Value = p4entry.Exact, x.Exact.GetValue()
	case *p4v1.FieldMatch_Optional_:
		out.Kind, out.Value = p4entry.Optional, x.Optional.GetValue()
	case *p4v1.FieldMatch_Ternary_:
		out.Kind, out.Value, out.Mask = p4entry.Ternary, x.Ternary.GetValue(), x.Ternary.GetMask()
	case *p4v1.FieldMatch_Range_:
		out.Kind, out.Value, out.Mask = p4entry.Range, x.Range.GetLow(), x.Range.GetHigh()
	case *p4v1.FieldMatch_Lpm:
		out.Kind, out.Value, out.PrefixLen = p4entry.LPM, x.Lpm.GetValue(), x.Lpm.GetPrefixLen()
	}
	return out
}

func (t typ) pair(first, second []byte) (v value, err error) {
	if v.first, err = t.bits(first); err == nil {
		v.second, err = t.bits(second)
	}
	return v, err
}

// bits decodes a number. It returns an error if b is empty or the number is wider than the type.
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

// actionEnv holds the values of an action's parameters.
type actionEnv struct {
	env
	scope *scope
}

func (s *scope) actionEnv() *actionEnv { return &actionEnv{env{vals: make([]value, len(s.vars))}, s} }

// param reads one parameter and marks it in given.
func (e *actionEnv) param(given []bool, id uint32, number []byte) error {
	i := e.scope.byID(id)
	if i < 0 {
		return fmt.Errorf("parameter id %d: unknown; %s", id, e.scope.names())
	}
	v := &e.scope.vars[i]
	if given[i] {
		return fmt.Errorf("parameter %s: given twice", v.name)
	}
	given[i] = true
	if v.typ.width < 1 || v.typ.width > maxWidth {
		return nil // a parameter of this width cannot be restricted
	}
	var err error
	if e.vals[i].first, err = v.typ.bits(number); err != nil {
		return fmt.Errorf("parameter %s: %w", v.name, err)
	}
	return nil
}

// end returns an error if a parameter was not given.
func (e *actionEnv) end(given []bool) error {
	for i, v := range e.scope.vars {
		if !given[i] {
			return fmt.Errorf("parameter %s: missing; every parameter must be given", v.name)
		}
	}
	return nil
}
