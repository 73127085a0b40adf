package p4fuzz

import (
	"fmt"
	"math/big"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/constraint"
)

// A Program contains the parts of a P4Info that Drawer and Model need.
type Program struct {
	tables       []*table // the tables with direct actions; tables with action profiles are omitted
	byID         map[uint32]*table
	actions      map[uint32]*configv1.Action
	actionIDs    []uint32 // in the order of the P4Info, so that draws depend only on the seed
	restrictions *constraint.Set
}

type table struct {
	id           uint32
	name         string
	fields       []*configv1.MatchField
	refs         []*configv1.ActionRef
	size         int
	ternary      bool // whether entries need a priority
	counter      bool
	meter        bool
	idle         bool
	isConst      bool
	constDefault bool
	initial      *p4v1.Action // the program's default action; nil if it is not in the P4Info
}

// NewProgram reads a P4Info. It returns an error of package constraint if the restrictions cannot be parsed,
// and an error if no table has direct actions.
func NewProgram(info *configv1.P4Info) (*Program, error) {
	set, err := constraint.Load(info)
	if err != nil {
		return nil, err
	}
	p := &Program{byID: map[uint32]*table{}, actions: map[uint32]*configv1.Action{}, restrictions: set}
	for _, a := range info.GetActions() {
		p.actions[a.GetPreamble().GetId()] = a
		p.actionIDs = append(p.actionIDs, a.GetPreamble().GetId())
	}
	for _, t := range info.GetTables() {
		if t.GetImplementationId() != 0 {
			continue
		}
		x := &table{
			id: t.GetPreamble().GetId(), name: t.GetPreamble().GetAlias(), fields: t.GetMatchFields(), refs: t.GetActionRefs(), size: int(t.GetSize()),
			idle: t.GetIdleTimeoutBehavior() == configv1.Table_NOTIFY_CONTROL, isConst: t.GetIsConstTable(), constDefault: t.GetConstDefaultActionId() != 0,
		}
		for _, f := range x.fields {
			switch f.GetMatchType() {
			case configv1.MatchField_TERNARY, configv1.MatchField_RANGE, configv1.MatchField_OPTIONAL:
				x.ternary = true
			}
		}
		if d := t.GetInitialDefaultAction(); d != nil {
			x.initial = &p4v1.Action{ActionId: d.GetActionId()}
			for _, a := range d.GetArguments() {
				x.initial.Params = append(x.initial.Params, &p4v1.Action_Param{ParamId: a.GetParamId(), Value: canonical(a.GetValue())})
			}
		}
		p.byID[x.id] = x
		p.tables = append(p.tables, x)
	}
	for _, c := range info.GetDirectCounters() {
		if t := p.byID[c.GetDirectTableId()]; t != nil {
			t.counter = true
		}
	}
	for _, m := range info.GetDirectMeters() {
		if t := p.byID[m.GetDirectTableId()]; t != nil {
			t.meter = true
		}
	}
	if len(p.tables) == 0 {
		return nil, fmt.Errorf("P4Info: no table whose entries hold actions")
	}
	return p, nil
}

func (t *table) field(id uint32) *configv1.MatchField {
	for _, f := range t.fields {
		if f.GetId() == id {
			return f
		}
	}
	return nil
}

func (t *table) ref(action uint32) *configv1.ActionRef {
	for _, r := range t.refs {
		if r.GetId() == action {
			return r
		}
	}
	return nil
}

func (p *Program) param(action, id uint32) *configv1.Action_Param {
	for _, x := range p.actions[action].GetParams() {
		if x.GetId() == id {
			return x
		}
	}
	return nil
}

// canonical returns the shortest byte string for a number (section 8.4).
func canonical(b []byte) []byte {
	if c := number(b).Bytes(); len(c) > 0 {
		return c
	}
	return []byte{0}
}

func number(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

// ones returns the largest number of the given width in bits.
func ones(bits int32) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	return n.Sub(n, big.NewInt(1))
}

// prefixMask returns the mask for a prefix length. For a negative length, it returns 0.
func prefixMask(length, bits int32) *big.Int {
	if length < 0 {
		return new(big.Int)
	}
	return new(big.Int).Lsh(ones(length), uint(max(0, bits-length)))
}

func bytesOf(n *big.Int) []byte { return canonical(n.Bytes()) }
