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
	Phase     string
	Title     string
	Begins    time.Time
	Planned   string // the day in the policy, if the phase in force began again after it; else empty
	Current   bool
	Past      bool
	Rules     []string
	Confirmed []confirmation // of the phase in force; several if kinds of line differ
}

// A turn is a phase that begins for lines of a group.
type turn struct {
	at    time.Time
	phase string
	first time.Time // when the phase began before, if it was left and began again on one day; else zero
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
		turns := v.byDay(turnsOf(p, s, v.Now))
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
			all = append(all, turn{at: t.At.UTC(), phase: phase})
		}
	}
	return all
}

// byDay returns the turns that a customer needs. Of the turns of a day, only the last one counts, because its phase was in force at the end of the
// day; a phase that begins at an hour by its date does not hide the one before. If a phase is left and begins again on the same day, it is one step:
// from its first beginning if it is past, and from its last one if it is in force, because answers give this day too.
func (v *visit) byDay(turns []turn) []turn {
	var days, all []turn
	for _, t := range turns {
		if n := len(days); n > 0 && v.Day(days[n-1].at) == v.Day(t.at) && !v.timed(t.at) {
			days = days[:n-1]
		}
		days = append(days, t)
	}
	for i, t := range days {
		n := len(all)
		switch {
		case n == 0 || all[n-1].phase != t.phase:
			all = append(all, t)
		case inForceAt(days, i, v.Now):
			all[n-1].at, all[n-1].first = t.at, all[n-1].at
		}
	}
	return all
}

// inForceAt reports whether the turn with an index is the one in force at a time.
func inForceAt(turns []turn, i int, now time.Time) bool {
	return !turns[i].at.After(now) && (i+1 == len(turns) || turns[i+1].at.After(now))
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
		step := stepData{Phase: t.phase, Title: v.stepTitle(p.Policy(), t.phase), Begins: t.at}
		if ph, ok := p.Policy().Phase(t.phase); ok {
			if t.first.Equal(p.Policy().Begins(ph)) {
				step.Planned = v.When(t.first)
			}
			for _, r := range ph.Rules {
				if r.ForGroup(x.groups[0]) && slices.Contains(p.Policy().LegsOf(r), policy.UpDst) {
					step.Rules = append(step.Rules, v.ruleText(p.Policy(), ph, r))
				}
			}
		}
		step.Current = inForceAt(x.turns, i, v.Now)
		step.Past = !t.at.After(v.Now) && !step.Current
		if step.Current {
			step.Confirmed = v.confirmedByGroup(p.Policy(), x.lines, t.phase)
		}
		x.Steps = append(x.Steps, step)
	}
}

// current returns the step that should be in force for lines that are treated alike. It is empty if there is none.
func (v *visit) current(p *published.Publication, lines []published.State) stepData {
	x := programmeOf{groups: []string{lines[0].Group}, lines: lines, turns: v.byDay(turnsOf(p, lines[0], v.Now))}
	v.steps(p, &x)
	if i := slices.IndexFunc(x.Steps, func(s stepData) bool { return s.Current }); i >= 0 {
		return x.Steps[i]
	}
	return stepData{}
}

// nextStep says when the next phase that changes something for a line begins, and what changes. It is empty if there is none.
func (v *visit) nextStep(p *published.Publication, line published.State) string {
	now, begun := answer.InForce(p, line, v.Now)
	if !begun {
		return ""
	}
	for _, t := range turnsOf(p, line, v.Now) {
		ph, ok := p.Policy().Phase(t.phase)
		if !ok || !t.at.After(v.Now) {
			continue
		}
		switch same := slices.Equal(effects(now, line.Group), effects(ph, line.Group)); {
		case same && now.SynOnly && !ph.SynOnly:
			return v.T("next open too", v.When(t.at))
		case !same:
			return sentence(v.T("next step", v.When(t.at), v.stepTitle(p.Policy(), t.phase)), v.T("full stop"))
		}
	}
	return ""
}

// effects returns what the rules of a phase do to lines of a group, in order.
func effects(ph *policy.Phase, group string) (all [][3]string) {
	for _, r := range ph.Rules {
		if r.ForGroup(group) {
			all = append(all, [3]string{r.Service, r.Remote, string(r.Action)})
		}
	}
	return all
}

// confirmedByGroup returns the confirmations for lines of a phase: one for all if they are alike, or else one for each set of line groups that are
// alike, with their titles. These are the confirmations of the answers for these groups.
func (v *visit) confirmedByGroup(p *policy.Policy, lines []published.State, phase string) []confirmation {
	var all []confirmation
	var titles [][]string
	for _, group := range append(policy.Names(p.LineGroups), "") {
		of := slices.DeleteFunc(slices.Clone(lines), func(s published.State) bool { return s.Group != group || s.Switches == 0 })
		if len(of) == 0 {
			continue
		}
		c := v.confirmed(of, phase)
		i := slices.Index(all, c)
		if i < 0 {
			i, all, titles = len(all), append(all, c), append(titles, nil)
		}
		titles[i] = append(titles[i], v.listTitle(p, group))
	}
	switch len(all) {
	case 0: // no switch has such lines
		return []confirmation{v.confirmed(lines, phase)}
	case 1:
		return all
	}
	for i := range all {
		all[i].Text = v.T("colon", strings.Join(titles[i], v.T("list comma"))) + all[i].Text
	}
	return all
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
