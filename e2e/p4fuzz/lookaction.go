package p4fuzz

import (
	"math"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// lookAction finds the irregularities of the action in an INSERT or a MODIFY (section 9.1.2).
func (p *Program) lookAction(t *table, op p4v1.Update_Type, e *p4v1.TableEntry) []Mutation {
	if e.GetAction() == nil {
		if op == p4v1.Update_INSERT {
			return []Mutation{NoAction}
		}
		return []Mutation{KeepAction}
	}
	var a *p4v1.Action
	switch v := e.GetAction().GetType().(type) {
	case nil:
		return []Mutation{EmptyAction}
	case *p4v1.TableAction_Action:
		a = v.Action
	default:
		return []Mutation{MemberAction}
	}
	if p.actions[a.GetActionId()] == nil {
		return []Mutation{UnknownAction}
	}
	ref := t.ref(a.GetActionId())
	var out []Mutation
	switch {
	case ref == nil:
		return []Mutation{ForeignAction}
	case ref.GetScope() == configv1.ActionRef_DEFAULT_ONLY && !e.GetIsDefaultAction():
		out = append(out, DefaultOnlyAction)
	case ref.GetScope() == configv1.ActionRef_TABLE_ONLY && e.GetIsDefaultAction():
		out = append(out, TableOnlyAction)
	}
	seen := map[uint32]bool{}
	last := uint32(0)
	for _, x := range a.GetParams() {
		param := p.param(a.GetActionId(), x.GetParamId())
		switch {
		case param == nil:
			out = append(out, UnknownParam)
			continue
		case seen[x.GetParamId()]:
			out = append(out, DuplicateParam)
		case x.GetParamId() < last:
			out = append(out, ShuffledParams)
		}
		seen[x.GetParamId()], last = true, max(last, x.GetParamId())
		switch v := x.GetValue(); {
		case len(v) == 0:
			out = append(out, EmptyParam)
		case number(v).BitLen() > int(param.GetBitwidth()):
			out = append(out, WideParam)
		case len(v) > 1 && v[0] == 0:
			out = append(out, PaddedParam)
		}
	}
	if len(seen) < len(p.actions[a.GetActionId()].GetParams()) {
		out = append(out, MissingParam)
	}
	return out
}

// lookExtras finds the irregularities of the other parts of an entry, which are neither key nor action (sections 9.1.7 and 9.1.8).
func (t *table) lookExtras(e *p4v1.TableEntry) []Mutation {
	var out []Mutation
	if e.GetIdleTimeoutNs() != 0 && !t.idle {
		out = append(out, IdleUnsupported)
	}
	if e.GetTimeSinceLastHit() != nil {
		out = append(out, SinceLastHit)
	}
	if c := e.GetCounterData(); c != nil {
		out = append(out, t.lookCounter(c)...)
	}
	if c := e.GetMeterConfig(); c != nil {
		out = append(out, t.lookMeter(c)...)
	}
	return out
}

func (t *table) lookCounter(c *p4v1.CounterData) []Mutation {
	if !t.counter {
		return []Mutation{CountUnsupported}
	}
	if c.GetPacketCount() < 0 || c.GetByteCount() < 0 {
		return []Mutation{NegativeCount}
	}
	return nil
}

// lookMeter finds the irregularities of a meter's configuration (section 9.4). All meters of the tested programs are two-rate meters.
func (t *table) lookMeter(c *p4v1.MeterConfig) []Mutation {
	if !t.meter {
		return []Mutation{MeterUnsupported}
	}
	var out []Mutation
	least := min(c.GetCir(), c.GetCburst(), c.GetPir(), c.GetPburst())
	switch {
	case least < -1:
		out = append(out, NegativeMeter)
	case least < 0:
		out = append(out, MinusOneBurst)
	}
	if max(c.GetCburst(), c.GetPburst()) > math.MaxUint32 {
		out = append(out, HugeBurst)
	}
	if c.GetPir() < c.GetCir() {
		out = append(out, PeakBelow)
	}
	if c.GetEburst() != 0 {
		out = append(out, ExcessBurst)
	}
	return out
}

// lookDirect finds the irregularities that both direct counters and direct meters can have (sections 9.3.1 and 9.4.1). It returns the
// table and a copy of the entry that the update refers to.
func (m *Model) lookDirect(s *sight, op p4v1.Update_Type, e *p4v1.TableEntry) (*table, *p4v1.TableEntry) {
	if op == p4v1.Update_INSERT {
		s.key = append(s.key, DirectInsert)
	}
	if e == nil {
		s.key = append(s.key, DirectNoEntry)
		return nil, nil
	}
	t := m.program.byID[e.GetTableId()]
	if t == nil {
		s.key = append(s.key, UnknownTable)
		return nil, nil
	}
	s.key = append(s.key, t.lookKey(e)...)
	old := m.entries[m.program.keyText(canonicalEntry(t, e))]
	if old == nil {
		s.state = append(s.state, DirectMissing)
		return t, nil
	}
	return t, clone(old)
}

func (m *Model) lookDirectCounter(s *sight, op p4v1.Update_Type, d *p4v1.DirectCounterEntry) {
	if op == p4v1.Update_DELETE {
		s.key = append(s.key, CounterDelete)
	}
	t, e := m.lookDirect(s, op, d.GetTableEntry())
	if t == nil || d.GetData() == nil {
		return
	}
	s.rest = append(s.rest, t.lookCounter(d.GetData())...)
	s.apply = func() {
		e.CounterData = d.GetData()
		if op == p4v1.Update_DELETE {
			e.CounterData = &p4v1.CounterData{}
		}
		m.insert(e)
	}
}

func (m *Model) lookDirectMeter(s *sight, op p4v1.Update_Type, d *p4v1.DirectMeterEntry) {
	if op == p4v1.Update_DELETE {
		s.key = append(s.key, MeterDelete)
	}
	t, e := m.lookDirect(s, op, d.GetTableEntry())
	if t == nil {
		return
	}
	config := &p4v1.MeterConfig{}
	if d.GetConfig() != nil {
		config = d.GetConfig()
	}
	s.rest = append(s.rest, t.lookMeter(config)...)
	s.apply = func() {
		e.MeterConfig = d.GetConfig()
		m.habits.entry(e, nil)
		m.insert(e)
	}
}
