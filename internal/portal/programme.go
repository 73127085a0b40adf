package portal

import (
	"slices"
	"strings"
	"time"

	"op25b/internal/policy"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/published"
)

type programmeData struct {
	base
	Programmes []programmeOf
}

// A programmeOf is the programme of line groups that have the same dates.
type programmeOf struct {
	ID     string
	Groups string
	Where  string // the part of the network; empty if the lines of the groups are treated alike everywhere
	Steps  []stepData

	groups []string
	lines  []published.State
	turns  []turn
}

// A stepData is a phase of a programme.
type stepData struct {
	Title     string
	Begins    time.Time
	Current   bool
	Past      bool
	Rules     []string
	Confirmed confirmation
}

// A turn is a phase that begins for lines of a group.
type turn struct {
	at    time.Time
	phase string
}

// programme shows what changes when, from the dates of the policy and the operators' activations.
func (v *visit) programme() (reply, error) {
	p, err := v.pub()
	if err != nil {
		return reply{}, err
	}
	v.titled("programme", v.T("programme title"))
	d := programmeData{base: v.base, Programmes: v.programmes(p)}
	return reply{name: "programme.html", data: d}, nil
}

// programmes returns a programme for each set of lines that have the same dates and rules: of the given line groups, or of all lines.
func (v *visit) programmes(p *published.Publication, groups ...string) []programmeOf {
	var all []programmeOf
	apart := map[string]int{} // the number of programmes of a group
	for _, s := range p.States {
		if len(groups) > 0 && !slices.Contains(groups, s.Group) {
			continue
		}
		turns := turnsOf(p, s, v.Now)
		i := slices.IndexFunc(all, func(x programmeOf) bool {
			return slices.Equal(x.turns, turns) && sameRules(p.Policy(), turns, x.groups[0], s.Group)
		})
		if i < 0 {
			i = len(all)
			all = append(all, programmeOf{ID: "programme-" + v.number(i+1), turns: turns})
		}
		if !slices.Contains(all[i].groups, s.Group) {
			all[i].groups = append(all[i].groups, s.Group)
			apart[s.Group]++
		}
		all[i].lines = append(all[i].lines, s)
	}
	for i := range all {
		x := &all[i]
		titles := make([]string, len(x.groups))
		for j, g := range x.groups {
			titles[j] = v.listTitle(p.Policy(), g)
			if apart[g] > 1 {
				x.Where = v.where(x.lines)
			}
		}
		x.Groups = strings.Join(titles, v.T("list comma"))
		v.steps(p, x)
	}
	return all
}

// turnsOf returns the phases of a line in order. Turns that change only other groups are left out.
func turnsOf(p *published.Publication, s published.State, now time.Time) []turn {
	var all []turn
	for _, t := range p.Policy().Turns(p.Source.Activations, s.Area, now) {
		phase := t.In.Phase(s.Group)
		if n := len(all); n == 0 || all[n-1].phase != phase {
			all = append(all, turn{t.At.UTC(), phase})
		}
	}
	return all
}

// sameRules reports whether the phases have the same rules for two groups.
func sameRules(p *policy.Policy, turns []turn, a, b string) bool {
	for _, t := range turns {
		ph, ok := p.Phase(t.phase)
		if !ok {
			continue
		}
		for _, r := range ph.Rules {
			if r.ForGroup(a) != r.ForGroup(b) {
				return false
			}
		}
	}
	return true
}

// steps sets the steps of a programme.
func (v *visit) steps(p *published.Publication, x *programmeOf) {
	for i, t := range x.turns {
		step := stepData{Title: v.stepTitle(p.Policy(), t.phase), Begins: t.at}
		if ph, ok := p.Policy().Phase(t.phase); ok {
			for _, r := range ph.Rules {
				if r.ForGroup(x.groups[0]) && slices.Contains(p.Policy().LegsOf(r), policy.UpDst) {
					step.Rules = append(step.Rules, v.ruleText(p.Policy(), ph, r))
				}
			}
		}
		begun := !t.at.After(v.Now)
		step.Current = begun && (i+1 == len(x.turns) || x.turns[i+1].at.After(v.Now))
		step.Past = begun && !step.Current
		if step.Current {
			step.Confirmed = v.confirmed(x.lines, t.phase)
		}
		x.Steps = append(x.Steps, step)
	}
}

// current returns the step that should be in force for lines that are treated alike. It is empty if there is none.
func (v *visit) current(p *published.Publication, lines []published.State) stepData {
	x := programmeOf{groups: []string{lines[0].Group}, lines: lines, turns: turnsOf(p, lines[0], v.Now)}
	v.steps(p, &x)
	if i := slices.IndexFunc(x.Steps, func(s stepData) bool { return s.Current }); i >= 0 {
		return x.Steps[i]
	}
	return stepData{}
}

// confirmedGroup returns the confirmation for all lines of a group.
func (v *visit) confirmedGroup(p *published.Publication, group string) confirmation {
	var all confirmation
	for i, s := range p.States {
		if s.Group != group {
			continue
		}
		phase := ""
		if ph, ok := answer.InForce(p, s, v.Now); ok {
			phase = ph.Name
		}
		if c := v.confirmed(p.States[i:i+1], phase); all.Text == "" || !c.Sure {
			all = c
		}
	}
	return all
}
