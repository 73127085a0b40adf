package p4fuzz

import (
	"fmt"
	"slices"
	"strings"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// describe returns an entity's key and content as text. All bytes appear as they were read. Repeated fields are sorted, because not all
// switches keep their order (section 8.2).
func (p *Program) describe(x *p4v1.Entity) (key, text string) {
	if e := x.GetTableEntry(); e != nil {
		return p.keyText(e), p.entryText(e)
	}
	if g := x.GetPacketReplicationEngineEntry().GetMulticastGroupEntry(); g != nil {
		return groupKey(g), groupText(g)
	}
	return x.String(), ""
}

func (p *Program) keyText(e *p4v1.TableEntry) string {
	name := fmt.Sprintf("%#x", e.GetTableId())
	if t := p.byID[e.GetTableId()]; t != nil {
		name = t.name
	}
	if e.GetIsDefaultAction() {
		return name + " default"
	}
	var b strings.Builder
	b.WriteString(name)
	for _, f := range sortedBy(e.GetMatch(), (*p4v1.FieldMatch).GetFieldId) {
		fmt.Fprintf(&b, " %d=%s", f.GetFieldId(), matchText(f))
	}
	if e.GetPriority() != 0 {
		fmt.Fprintf(&b, " priority %d", e.GetPriority())
	}
	return b.String()
}

func matchText(f *p4v1.FieldMatch) string {
	switch v := f.GetFieldMatchType().(type) {
	case *p4v1.FieldMatch_Exact_:
		return fmt.Sprintf("%x", v.Exact.GetValue())
	case *p4v1.FieldMatch_Lpm:
		return fmt.Sprintf("%x/%d", v.Lpm.GetValue(), v.Lpm.GetPrefixLen())
	case *p4v1.FieldMatch_Ternary_:
		return fmt.Sprintf("%x&%x", v.Ternary.GetValue(), v.Ternary.GetMask())
	case *p4v1.FieldMatch_Range_:
		return fmt.Sprintf("%x..%x", v.Range.GetLow(), v.Range.GetHigh())
	case *p4v1.FieldMatch_Optional_:
		return fmt.Sprintf("?%x", v.Optional.GetValue())
	}
	return "nothing"
}

const isConst = " const"

func (p *Program) entryText(e *p4v1.TableEntry) string {
	var b strings.Builder
	switch a := e.GetAction().GetType().(type) {
	case *p4v1.TableAction_Action:
		b.WriteString(" -> " + p.actionText(a.Action))
	case nil:
	default:
		b.WriteString(" -> " + e.GetAction().String())
	}
	if len(e.GetMetadata()) > 0 {
		fmt.Fprintf(&b, " metadata %x", e.GetMetadata())
	}
	if e.GetIdleTimeoutNs() != 0 {
		fmt.Fprintf(&b, " idle %d", e.GetIdleTimeoutNs())
	}
	if c := e.GetCounterData(); c != nil {
		fmt.Fprintf(&b, " counted %d, %d", c.GetPacketCount(), c.GetByteCount())
	}
	if c := e.GetMeterConfig(); c != nil {
		fmt.Fprintf(&b, " meter %d, %d, %d, %d, %d", c.GetCir(), c.GetCburst(), c.GetPir(), c.GetPburst(), c.GetEburst())
	}
	if e.GetIsConst() {
		b.WriteString(isConst)
	}
	return b.String()
}

func (p *Program) actionText(a *p4v1.Action) string {
	name := fmt.Sprintf("%#x", a.GetActionId())
	if x := p.actions[a.GetActionId()]; x != nil {
		name = x.GetPreamble().GetAlias()
	}
	var params []string
	for _, x := range sortedBy(a.GetParams(), (*p4v1.Action_Param).GetParamId) {
		params = append(params, fmt.Sprintf("%x", x.GetValue()))
	}
	return name + "(" + strings.Join(params, ", ") + ")"
}

func groupKey(g *p4v1.MulticastGroupEntry) string {
	return fmt.Sprintf("multicast group %d", g.GetMulticastGroupId())
}

func groupText(g *p4v1.MulticastGroupEntry) string {
	var all []string
	for _, r := range g.GetReplicas() {
		all = append(all, fmt.Sprintf("%x/%d", r.GetPort(), r.GetInstance()))
	}
	slices.Sort(all)
	text := " -> " + strings.Join(all, " ")
	if len(g.GetMetadata()) > 0 {
		text += fmt.Sprintf(" metadata %x", g.GetMetadata())
	}
	return text
}

func sortedBy[T any](in []T, id func(T) uint32) []T {
	byID := func(a, b T) int { return int(id(a)) - int(id(b)) }
	if slices.IsSortedFunc(in, byID) {
		return in
	}
	out := slices.Clone(in)
	slices.SortStableFunc(out, byID)
	return out
}
