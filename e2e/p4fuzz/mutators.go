package p4fuzz

import (
	"slices"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// mutators lists the mutators of single updates in the order of their use.
var mutators = slices.Concat(ofKeys, ofActions, ofState, ofDefaults, ofResources, ofGroups)

// ofKeys lists the mutators of an update's type, and of an entry's table, match and priority.
var ofKeys = []mutator{
	{NoUpdateType, anything, func(_ *Drawer, u *p4v1.Update) bool { u.Type = p4v1.Update_UNSPECIFIED; return true }},
	{UnknownUpdateType, anything, func(d *Drawer, u *p4v1.Update) bool { u.Type = 4 + p4v1.Update_Type(d.r.Int32N(9)); return true }},
	{NoEntity, anything, func(d *Drawer, u *p4v1.Update) bool {
		if u.Entity = nil; d.r.IntN(2) == 0 {
			u.Entity = &p4v1.Entity{}
		}
		return true
	}},
	{UnknownTable, keyed, onEntry(func(d *Drawer, _ *table, e *p4v1.TableEntry) bool { e.TableId = d.unknownID(e.TableId); return true })},
	{IsConst, keyed, onEntry(func(_ *Drawer, _ *table, e *p4v1.TableEntry) bool { e.IsConst = true; return true })},

	{UnknownField, keyed, onField(func(d *Drawer, _ *configv1.MatchField, x *p4v1.FieldMatch) bool {
		x.FieldId = 100 + d.r.Uint32N(1000)
		return true
	})},
	{MissingField, keyed, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		i := d.r.IntN(len(e.Match) + 1)
		if i == len(e.Match) || t.field(e.Match[i].FieldId).GetMatchType() != configv1.MatchField_EXACT {
			return false
		}
		e.Match = slices.Delete(e.Match, i, i+1)
		return true
	})},
	{DuplicateField, keyed, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		if len(e.Match) == 0 {
			return false
		}
		x := clone(e.Match[d.r.IntN(len(e.Match))])
		if other := d.match(t.field(x.FieldId)); other != nil && d.r.IntN(2) == 0 {
			x = other
		}
		e.Match = append(e.Match, x)
		slices.SortStableFunc(e.Match, func(a, b *p4v1.FieldMatch) int { return int(a.FieldId) - int(b.FieldId) })
		return true
	})},
	{WrongKind, keyed, onField(func(d *Drawer, f *configv1.MatchField, x *p4v1.FieldMatch) bool {
		other := clone(f)
		other.Match = &configv1.MatchField_MatchType_{MatchType: configv1.MatchField_MatchType(2 + d.r.Int32N(5))}
		y := d.match(other)
		if y == nil || other.GetMatchType() == f.GetMatchType() || y.FieldMatchType == nil {
			return false
		}
		x.FieldMatchType = y.FieldMatchType
		return true
	})},
	{NoKind, keyed, onField(func(_ *Drawer, _ *configv1.MatchField, x *p4v1.FieldMatch) bool { x.FieldMatchType = nil; return true })},
	{WideField, keyed, onValue(func(d *Drawer, f *configv1.MatchField, b []byte) []byte { return d.wide(f.GetBitwidth(), b) })},
	{EmptyField, keyed, onField(func(_ *Drawer, _ *configv1.MatchField, x *p4v1.FieldMatch) bool {
		switch v := x.GetFieldMatchType().(type) {
		case *p4v1.FieldMatch_Exact_:
			v.Exact.Value = nil
		case *p4v1.FieldMatch_Optional_:
			v.Optional.Value = nil
		case *p4v1.FieldMatch_Lpm:
			v.Lpm.Value = nil
		case *p4v1.FieldMatch_Ternary_:
			v.Ternary.Value = nil
		case *p4v1.FieldMatch_Range_:
			v.Range.Low = nil
		}
		return true
	})},
	{PaddedField, keyed, onValue(func(d *Drawer, _ *configv1.MatchField, b []byte) []byte { return d.padded(b) })},
	{ShuffledFields, keyed, onEntry(func(_ *Drawer, _ *table, e *p4v1.TableEntry) bool {
		slices.Reverse(e.Match)
		return len(e.Match) > 1
	})},
	{ZeroPrefix, keyed, onField(func(_ *Drawer, _ *configv1.MatchField, x *p4v1.FieldMatch) bool {
		if x.GetLpm() == nil {
			return false
		}
		x.GetLpm().Value, x.GetLpm().PrefixLen = []byte{0}, 0
		return true
	})},
	{PrefixRange, keyed, onField(func(d *Drawer, f *configv1.MatchField, x *p4v1.FieldMatch) bool {
		if x.GetLpm() == nil {
			return false
		}
		if x.GetLpm().PrefixLen = f.GetBitwidth() + 1 + d.r.Int32N(3); d.r.IntN(2) == 0 {
			x.GetLpm().PrefixLen = -1 - d.r.Int32N(3)
		}
		return true
	})},
	{BeyondPrefix, keyed, onField(func(_ *Drawer, f *configv1.MatchField, x *p4v1.FieldMatch) bool {
		v := x.GetLpm()
		if v == nil || v.PrefixLen == f.GetBitwidth() {
			return false
		}
		n := number(v.Value)
		v.Value = bytesOf(n.SetBit(n, int(f.GetBitwidth()-v.PrefixLen-1), 1))
		return true
	})},
	{ZeroMask, keyed, onField(func(_ *Drawer, _ *configv1.MatchField, x *p4v1.FieldMatch) bool {
		if x.GetTernary() == nil {
			return false
		}
		x.GetTernary().Value, x.GetTernary().Mask = []byte{0}, []byte{0}
		return true
	})},
	{OutsideMask, keyed, onField(func(d *Drawer, f *configv1.MatchField, x *p4v1.FieldMatch) bool {
		v := x.GetTernary()
		if v == nil || f.GetBitwidth() < 2 {
			return false
		}
		bit := int(d.r.Int32N(f.GetBitwidth()))
		n, mask := number(v.Value), number(v.Mask)
		v.Value, v.Mask = bytesOf(n.SetBit(n, bit, 1)), bytesOf(mask.SetBit(mask, bit, 0))
		return number(v.Mask).Sign() != 0
	})},
	{ReversedRange, keyed, onField(func(_ *Drawer, _ *configv1.MatchField, x *p4v1.FieldMatch) bool {
		v := x.GetRange()
		if v == nil || number(v.Low).Cmp(number(v.High)) == 0 {
			return false
		}
		v.Low, v.High = v.High, v.Low
		return true
	})},
	{WholeRange, keyed, onField(func(_ *Drawer, f *configv1.MatchField, x *p4v1.FieldMatch) bool {
		if x.GetRange() == nil {
			return false
		}
		x.GetRange().Low, x.GetRange().High = []byte{0}, bytesOf(ones(f.GetBitwidth()))
		return true
	})},
	{NoPriority, keyed, onEntry(func(_ *Drawer, t *table, e *p4v1.TableEntry) bool { e.Priority = 0; return t.ternary })},
	{NegativePriority, keyed, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		e.Priority = -1 - d.r.Int32N(5)
		return t.ternary
	})},
	{Priority, keyed, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		e.Priority = 1 + d.r.Int32N(5)
		return !t.ternary
	})},
	{BelowPriority, keyed, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		e.Priority = -1 - d.r.Int32N(5)
		return !t.ternary
	})},
}

// ofActions lists the mutators of an entry's action.
var ofActions = []mutator{
	{NoAction, inserted, onEntry(func(_ *Drawer, _ *table, e *p4v1.TableEntry) bool { e.Action = nil; return true })},
	{KeepAction, modified, onEntry(func(d *Drawer, _ *table, e *p4v1.TableEntry) bool {
		// Section 12 requires that a MODIFY contain the whole new state, but section 9.1.2 calls a MODIFY without an action a no-op. Keep
		// metadata and timeout, so that both rules have the same effect.
		old := d.m.entries[d.p.keyText(e)]
		e.Action, e.Metadata, e.IdleTimeoutNs = nil, old.GetMetadata(), old.GetIdleTimeoutNs()
		return true
	})},
	{EmptyAction, func(d *Drawer) *p4v1.Update {
		if d.r.IntN(3) == 0 {
			return d.defaultEntry()
		}
		return written(d)
	}, onEntry(func(_ *Drawer, _ *table, e *p4v1.TableEntry) bool { e.Action = &p4v1.TableAction{}; return true })},
	{UnknownAction, written, onEntry(func(d *Drawer, _ *table, e *p4v1.TableEntry) bool {
		e.Action.GetAction().ActionId = d.unknownID(e.Action.GetAction().ActionId)
		return true
	})},
	{ForeignAction, written, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		id := d.p.actionIDs[d.r.IntN(len(d.p.actionIDs))]
		e.Action = d.call(id, false)
		return t.ref(id) == nil
	})},
	{DefaultOnlyAction, written, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		ref := t.refs[d.r.IntN(len(t.refs))]
		e.Action = d.call(ref.GetId(), false)
		return ref.GetScope() == configv1.ActionRef_DEFAULT_ONLY
	})},
	{TableOnlyAction, byDefault, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		ref := t.refs[d.r.IntN(len(t.refs))]
		e.Action = d.call(ref.GetId(), false)
		return ref.GetScope() == configv1.ActionRef_TABLE_ONLY
	})},
	{MemberAction, written, onEntry(func(d *Drawer, _ *table, e *p4v1.TableEntry) bool {
		e.Action.Type = &p4v1.TableAction_ActionProfileMemberId{ActionProfileMemberId: d.r.Uint32N(5)}
		return true
	})},
	{MissingParam, written, onParam(func(d *Drawer, a *p4v1.Action, _ *configv1.Action_Param, _ *p4v1.Action_Param) bool {
		i := d.r.IntN(len(a.Params))
		a.Params = slices.Delete(a.Params, i, i+1)
		return true
	})},
	{UnknownParam, written, onEntry(func(d *Drawer, _ *table, e *p4v1.TableEntry) bool {
		a := e.GetAction().GetAction()
		a.Params = append(a.Params, &p4v1.Action_Param{ParamId: 50 + d.r.Uint32N(50), Value: []byte{1}})
		return true
	})},
	{DuplicateParam, written, onParam(func(d *Drawer, a *p4v1.Action, p *configv1.Action_Param, x *p4v1.Action_Param) bool {
		y := clone(x)
		if d.r.IntN(2) == 0 {
			y.Value = bytesOf(d.number(p.GetBitwidth()))
		}
		a.Params = slices.Insert(a.Params, slices.Index(a.Params, x), y)
		return true
	})},
	{WideParam, written, onParam(func(d *Drawer, _ *p4v1.Action, p *configv1.Action_Param, x *p4v1.Action_Param) bool {
		x.Value = d.wide(p.GetBitwidth(), x.Value)
		return true
	})},
	{EmptyParam, written, onParam(func(_ *Drawer, _ *p4v1.Action, _ *configv1.Action_Param, x *p4v1.Action_Param) bool {
		x.Value = nil
		return true
	})},
	{PaddedParam, written, onParam(func(d *Drawer, _ *p4v1.Action, _ *configv1.Action_Param, x *p4v1.Action_Param) bool {
		x.Value = d.padded(x.Value)
		return true
	})},
	{ShuffledParams, written, onParam(func(_ *Drawer, a *p4v1.Action, _ *configv1.Action_Param, _ *p4v1.Action_Param) bool {
		slices.Reverse(a.Params)
		return len(a.Params) > 1
	})},
	{Restricted, written, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		e.Action = d.action(t, configv1.ActionRef_DEFAULT_ONLY, true)
		return d.p.restrictions.CheckEntry(e) != nil
	})},
}
