package view

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// manyItems is the number of lines or exemptions in a sentence above which plans that differ only in numbers and names are added up.
const manyItems = 20

// A section contains the switches that share one plan.
type section struct {
	names []string
	plans []*op25bv1.SwitchPlan // the plans of all switches
	plan  *op25bv1.SwitchPlan   // the plan of the first switch, or the sums over all switches if summed is set
	// summed is set if the plans differ in numbers and names, which the section adds up.
	summed bool
	full   bool // name every switch
}

// sections groups switches with the same plan. The sections are ordered by their first switches. If full is false, the switches on which many
// exemptions or lines change share a section too if their plans differ only in numbers and names.
func sections(switches []*op25bv1.SwitchPlan, full bool) []*section {
	same := grouped(switches, identical)
	if full {
		for _, g := range same {
			g.full = true
		}
		return same
	}
	byFirst := make(map[*op25bv1.SwitchPlan]*section, len(same))
	var firsts []*op25bv1.SwitchPlan
	for _, g := range same {
		byFirst[g.plan] = g
		firsts = append(firsts, g.plan)
	}
	var all []*section
	for _, g := range grouped(firsts, shape) {
		if len(g.plans) == 1 {
			all = append(all, byFirst[g.plan])
			continue
		}
		var members []*op25bv1.SwitchPlan
		for _, first := range g.plans {
			members = append(members, byFirst[first].plans...)
		}
		all = append(all, summed(members))
	}
	return all
}

// grouped groups plans by their keys. A plan without key is a group of its own.
func grouped(switches []*op25bv1.SwitchPlan, key func(*op25bv1.SwitchPlan) *op25bv1.SwitchPlan) []*section {
	var all []*section
	at := make(map[string]*section)
	for _, s := range switches {
		var g *section
		var text []byte
		k := key(s)
		if k != nil {
			var err error
			if text, err = (proto.MarshalOptions{Deterministic: true}).Marshal(k); err != nil {
				k = nil
			}
		}
		if k != nil {
			g = at[string(text)]
		}
		if g == nil {
			g = &section{plan: s}
			all = append(all, g)
			if k != nil {
				at[string(text)] = g
			}
		}
		g.plans, g.names = append(g.plans, s), append(g.names, s.Switch)
	}
	return all
}

// identical returns a plan without the switch's name and address.
func identical(s *op25bv1.SwitchPlan) *op25bv1.SwitchPlan {
	bare := proto.CloneOf(s)
	bare.Switch, bare.Address = "", ""
	return bare
}

// shape returns a plan without numbers and names, or nil if the plan does not sum up many exemptions or lines.
func shape(s *op25bv1.SwitchPlan) *op25bv1.SwitchPlan {
	bare := identical(s)
	many := false
	for _, x := range bare.Meaning {
		if x.Count > 0 {
			many = many || x.Count > manyItems
			x.Text, x.Terms, x.Count = "", "", 1
		}
	}
	if !many || size(s.Drift) > 0 {
		return nil
	}
	bare.Change, bare.Drift, bare.Updates, bare.Steps, bare.Tables = nil, nil, min(s.Updates, 1), nil, nil
	if size(s.Change) > 0 {
		bare.Change = &op25bv1.Difference{Added: 1}
	}
	return bare
}

// summed returns a section with the sums over plans of the same shape.
func summed(plans []*op25bv1.SwitchPlan) *section {
	sum := proto.CloneOf(plans[0])
	g := &section{plan: sum, plans: plans, summed: true}
	sum.Change, sum.Updates, sum.Tables = &op25bv1.Difference{}, 0, nil
	fullest := make(map[string]*op25bv1.TableFill)
	for _, p := range plans {
		g.names = append(g.names, p.Switch)
		sum.Change.Added += p.GetChange().GetAdded()
		sum.Change.Changed += p.GetChange().GetChanged()
		sum.Change.Removed += p.GetChange().GetRemoved()
		sum.Updates += p.Updates
		for _, f := range p.Tables {
			if full := fullest[f.Table]; full == nil || share(f) > share(full) {
				fullest[f.Table] = f
			}
		}
	}
	for _, f := range plans[0].Tables {
		sum.Tables = append(sum.Tables, fullest[f.Table])
	}
	for i, x := range sum.Meaning {
		if x.Count == 0 {
			continue
		}
		x.Count = 0
		each := make([]string, len(plans))
		for j, p := range plans {
			y := p.Meaning[i]
			x.Count += y.Count
			each[j] = fmt.Sprintf("%s %s", p.Switch, prose.Number(y.Count))
			if y.Terms != plans[0].Meaning[i].Terms {
				x.Terms = ""
			}
		}
		x.Text = fmt.Sprintf("%s %s%s: %s", prose.Number(x.Count), x.What, x.Terms, prose.List(each, manyNames))
	}
	return g
}

func (g *section) title() string {
	text := fmt.Sprintf("switch %s at %s", g.names[0], g.plan.Address)
	if len(g.names) > 1 {
		most := manyNames
		if g.full {
			most = len(g.names)
		}
		text = fmt.Sprintf("%s: %s", prose.Count(len(g.names), "switch"), prose.List(g.names, most))
	}
	if g.plan.AppliedRevision != 0 {
		text += fmt.Sprintf(", brought to revision %d", g.plan.AppliedRevision)
	}
	return text
}

// steps describes the number of steps of the section's plan.
func (g *section) steps() string {
	if g.summed {
		return fmt.Sprintf(" on %s; --full lists them", prose.Count(len(g.names), "switch"))
	}
	return " in " + prose.Count(len(g.plan.Steps), "step")
}

// removals lists the removals that make a plan a mass change.
func (t *table) removals(b *strings.Builder, p *op25bv1.Plan, full bool) {
	for i, r := range p.Removals {
		if i == manyNames && !full {
			b.WriteString(t.colour(red, fmt.Sprintf("MASS   ... and %s more\n", prose.Number(len(p.Removals)-i))))
			break
		}
		what := fmt.Sprintf("entries of table %s on %s", r.Table, r.Switch)
		if r.Table == "" {
			what = "lines of all switches"
		}
		text := fmt.Sprintf("removes %s of %s %s, more than %g %% at once", prose.Number(r.Removed), prose.Number(r.Of), what, p.MassPercent)
		b.WriteString(t.colour(red, wrapped("MASS   ", plain(text), 0)))
	}
	if len(p.Removals) > 0 {
		b.WriteByte('\n')
	}
}

// held lists the switches of a change that are held for maintenance.
func (t *table) held(b *strings.Builder, z zone, all []*op25bv1.HeldSwitch, full bool) {
	for i, h := range all {
		if i == manyNames && !full {
			b.WriteString(t.colour(yellow, fmt.Sprintf("HELD   ... and %s more\n", prose.Number(len(all)-i))))
			break
		}
		text := fmt.Sprintf("%s since %s by %s: %s. What is written to it waits until op25b switch-release %s.",
			h.Switch, z.moment(h.GetHold().GetSince()), h.GetHold().GetWho(), h.GetHold().GetReason(), h.Switch)
		b.WriteString(t.colour(yellow, wrapped("HELD   ", plain(text), 0)))
	}
}
