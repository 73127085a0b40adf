package p4fuzz

import (
	"cmp"
	"math/big"
	"slices"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// lookEntry finds the irregularities of an update of a table entry (section 9.1).
func (m *Model) lookEntry(s *sight, op p4v1.Update_Type, e *p4v1.TableEntry) {
	t := m.program.byID[e.GetTableId()]
	if t == nil {
		s.key = append(s.key, UnknownTable)
		return
	}
	if e.GetIsConst() {
		s.key = append(s.key, IsConst)
	}
	if e.GetIsDefaultAction() {
		m.lookDefault(s, t, op, e)
		return
	}
	s.key = append(s.key, t.lookKey(e)...)
	if t.ternary && e.GetPriority() < 0 {
		s.rest = append(s.rest, NegativePriority) // not added to key, because some switches look up the entry before they check the priority
	}
	if len(t.fields) == 0 {
		if op == p4v1.Update_INSERT {
			s.key = append(s.key, KeylessInsert)
		} else {
			s.key = append(s.key, KeylessOther)
		}
	}
	clean := canonicalEntry(t, e)
	key := m.program.keyText(clean)
	old := m.entries[key]
	switch changes := op == p4v1.Update_DELETE || op == p4v1.Update_MODIFY && e.GetAction() != nil; {
	case t.isConst && op == p4v1.Update_INSERT:
		s.state = append(s.state, ConstInsert)
	case (t.isConst || old.GetIsConst()) && changes:
		s.state = append(s.state, ConstEntry)
	}
	if op == p4v1.Update_DELETE {
		if e.GetAction() != nil || len(e.GetMetadata()) > 0 || e.GetIdleTimeoutNs() != 0 || e.GetMeterConfig() != nil || e.GetCounterData() != nil {
			s.rest = append(s.rest, JunkInDelete)
		}
		if old == nil {
			s.state = append(s.state, MissingDelete)
		}
		s.apply = func() { m.remove(key) }
		return
	}
	s.rest = append(s.rest, m.program.lookAction(t, op, e)...)
	s.rest = append(s.rest, t.lookExtras(e)...)
	if !slices.ContainsFunc(slices.Concat(s.key, s.rest), m.refused) && m.program.restrictions.CheckEntry(clean) != nil {
		s.rest = append(s.rest, Restricted)
	}
	if op == p4v1.Update_INSERT {
		switch {
		case old != nil:
			s.state = append(s.state, Duplicate)
		case m.count[t.id] >= m.size(t) && !t.isConst:
			s.state = append(s.state, FullTable)
		}
	} else if old == nil {
		s.state = append(s.state, MissingModify)
	}
	if t.meter && e.GetMeterConfig() == nil {
		switch {
		case op == p4v1.Update_INSERT:
			s.rest = append(s.rest, BareMeter)
		case old.GetMeterConfig() != nil:
			s.rest = append(s.rest, KeepMeter)
		}
	}
	s.apply = func() { m.put(t, clean, old) }
}

// put installs an entry. Parts that an INSERT or a MODIFY omits have the effect that section 9.1.7 defines.
func (m *Model) put(t *table, e, old *p4v1.TableEntry) {
	if e.GetAction() == nil && old != nil {
		e.Action = old.GetAction()
	}
	if t.counter && e.CounterData == nil {
		e.CounterData = &p4v1.CounterData{}
		if old != nil {
			e.CounterData = old.GetCounterData()
		}
	}
	m.habits.entry(e, old)
	m.insert(e)
}

// lookDefault finds the irregularities of an update of a default entry (section 9.1.3).
func (m *Model) lookDefault(s *sight, t *table, op p4v1.Update_Type, e *p4v1.TableEntry) {
	switch op {
	case p4v1.Update_INSERT:
		s.key = append(s.key, DefaultInsert)
	case p4v1.Update_DELETE:
		s.key = append(s.key, DefaultDelete)
	}
	if len(e.GetMatch()) > 0 {
		s.key = append(s.key, DefaultMatch)
	}
	if e.GetPriority() != 0 {
		s.key = append(s.key, DefaultPriority)
	}
	if e.GetIdleTimeoutNs() != 0 {
		s.rest = append(s.rest, DefaultIdle)
		if !t.idle {
			s.rest = append(s.rest, IdleUnsupported)
		}
	}
	if t.constDefault {
		s.rest = append(s.rest, ConstDefault)
	}
	if op == p4v1.Update_DELETE {
		return
	}
	if e.GetAction() == nil {
		s.rest = append(s.rest, ResetDefault)
		s.apply = func() { m.setDefault(t, nil, nil) }
		return
	}
	s.rest = append(s.rest, m.program.lookAction(t, op, e)...)
	clean := canonicalEntry(t, e)
	if !slices.ContainsFunc(slices.Concat(s.key, s.rest), m.refused) && m.program.restrictions.CheckEntry(clean) != nil {
		s.rest = append(s.rest, Restricted)
	}
	s.apply = func() { m.setDefault(t, clean.GetAction().GetAction(), clean.GetMetadata()) }
}

// lookKey finds the irregularities of an entry's match and priority (section 9.1.1).
func (t *table) lookKey(e *p4v1.TableEntry) []Mutation {
	var out []Mutation
	seen := map[uint32]bool{}
	last := uint32(0)
	for _, x := range e.GetMatch() {
		f := t.field(x.GetFieldId())
		switch {
		case f == nil:
			out = append(out, UnknownField)
			continue
		case seen[x.GetFieldId()]:
			out = append(out, DuplicateField)
		case x.GetFieldId() < last:
			out = append(out, ShuffledFields)
		}
		seen[x.GetFieldId()], last = true, max(last, x.GetFieldId())
		out = append(out, lookMatch(f, x)...)
	}
	for _, f := range t.fields {
		if !seen[f.GetId()] && f.GetMatchType() == configv1.MatchField_EXACT {
			out = append(out, MissingField)
		}
	}
	switch p := e.GetPriority(); {
	case t.ternary && p == 0:
		out = append(out, NoPriority)
	case !t.ternary && p > 0:
		out = append(out, Priority)
	case !t.ternary && p < 0:
		out = append(out, BelowPriority)
	}
	return out
}

func lookMatch(f *configv1.MatchField, x *p4v1.FieldMatch) []Mutation {
	bits := f.GetBitwidth()
	var out []Mutation
	value := func(b []byte) *big.Int {
		switch n := number(b); {
		case len(b) == 0:
			out = append(out, EmptyField)
		case n.BitLen() > int(bits):
			out = append(out, WideField)
		case len(b) > 1 && b[0] == 0:
			out = append(out, PaddedField)
		}
		return number(b)
	}
	wrong := WrongKind
	switch v := x.GetFieldMatchType().(type) {
	case *p4v1.FieldMatch_Exact_:
		if f.GetMatchType() == configv1.MatchField_EXACT {
			value(v.Exact.GetValue())
			return out
		}
	case *p4v1.FieldMatch_Optional_:
		if f.GetMatchType() == configv1.MatchField_OPTIONAL {
			value(v.Optional.GetValue())
			return out
		}
	case *p4v1.FieldMatch_Lpm:
		if f.GetMatchType() == configv1.MatchField_LPM {
			n, length := value(v.Lpm.GetValue()), v.Lpm.GetPrefixLen()
			switch {
			case length == 0:
				out = append(out, ZeroPrefix)
			case length < 0 || length > bits:
				out = append(out, PrefixRange)
			}
			if new(big.Int).AndNot(n, prefixMask(min(length, bits), bits)).Sign() != 0 && length > 0 && n.BitLen() <= int(bits) {
				out = append(out, BeyondPrefix)
			}
			return out
		}
	case *p4v1.FieldMatch_Ternary_:
		if f.GetMatchType() == configv1.MatchField_TERNARY {
			n, mask := value(v.Ternary.GetValue()), value(v.Ternary.GetMask())
			switch {
			case mask.Sign() == 0:
				out = append(out, ZeroMask)
			case new(big.Int).AndNot(n, mask).Sign() != 0 && n.BitLen() <= int(bits):
				out = append(out, OutsideMask)
			}
			return out
		}
	case *p4v1.FieldMatch_Range_:
		if f.GetMatchType() == configv1.MatchField_RANGE {
			low, high := value(v.Range.GetLow()), value(v.Range.GetHigh())
			switch {
			case low.Cmp(high) > 0:
				out = append(out, ReversedRange)
			case low.Sign() == 0 && high.Cmp(ones(bits)) == 0:
				out = append(out, WholeRange)
			}
			return out
		}
	case nil:
		wrong = NoKind
	}
	return append(out, wrong)
}

// canonicalEntry returns an entry in the form in which a switch must return it. Every number has its shortest form, and ranges that
// cover all values are omitted. is_const is removed, and so is a negative priority if the key has no priority. Other irregular parts
// remain, because entries with them are not installed.
func canonicalEntry(t *table, in *p4v1.TableEntry) *p4v1.TableEntry {
	e := clone(in)
	e.Match = slices.DeleteFunc(e.Match, func(x *p4v1.FieldMatch) bool {
		return slices.Contains(lookMatch(cmp.Or(t.field(x.GetFieldId()), &configv1.MatchField{}), x), WholeRange)
	})
	for _, x := range e.GetMatch() {
		switch v := x.GetFieldMatchType().(type) {
		case *p4v1.FieldMatch_Exact_:
			v.Exact.Value = canonical(v.Exact.GetValue())
		case *p4v1.FieldMatch_Optional_:
			v.Optional.Value = canonical(v.Optional.GetValue())
		case *p4v1.FieldMatch_Lpm:
			v.Lpm.Value = canonical(v.Lpm.GetValue())
		case *p4v1.FieldMatch_Ternary_:
			v.Ternary.Value, v.Ternary.Mask = canonical(v.Ternary.GetValue()), canonical(v.Ternary.GetMask())
		case *p4v1.FieldMatch_Range_:
			v.Range.Low, v.Range.High = canonical(v.Range.GetLow()), canonical(v.Range.GetHigh())
		}
	}
	for _, x := range e.GetAction().GetAction().GetParams() {
		x.Value = canonical(x.GetValue())
	}
	e.IsConst = false
	if !t.ternary && e.GetPriority() < 0 {
		e.Priority = 0
	}
	return e
}
