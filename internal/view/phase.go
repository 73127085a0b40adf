package view

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	op25bv1 "op25b/proto/op25b/v1"
)

// Phases lists phases in the order of their dates, those in force with a star.
func (t *table) Phases(r *op25bv1.ListPhasesResponse) error {
	g := grid{head: []string{" ", "PHASE", "FROM", "RULES", "IN FORCE", "TITLE"}, shrink: []int{4, 1}, goesOn: true}
	for _, p := range r.Phases {
		star := " "
		if len(p.InForce) > 0 || p.Everywhere {
			star = "*"
		}
		row := g.add(star, p.Name, p.Effective, fmt.Sprint(p.Rules), inForce(p), p.Title)
		if star == "*" {
			row.mark = green
		}
	}
	text := g.text(t, "") + fmt.Sprintf("policy %s, revision %d", plain(r.Policy), r.Revision)
	if r.Next != nil {
		text += ", changes by itself at " + t.moment(r.Next)
	}
	_, err := io.WriteString(t.w, text+".\n")
	return err
}

// inForce is where a phase is in force. Switches with the same line groups are told of together.
func inForce(p *op25bv1.Phase) string {
	if p.Everywhere {
		return "everywhere"
	}
	var scopes []string
	on := map[string][]string{}
	for _, f := range p.InForce {
		scope := strings.Join(f.Groups, ", ")
		if f.ByDefault {
			scope = strings.TrimSuffix("all others, "+scope, ", ")
		}
		if on[scope] == nil {
			scopes = append(scopes, scope)
		}
		on[scope] = append(on[scope], f.Switch)
	}
	for i, scope := range scopes {
		scopes[i] = scope + " on " + named(on[scope], manyNames)
	}
	return strings.Join(scopes, "; ")
}

// Phase shows a phase with its rules.
func (t *table) Phase(r *op25bv1.ShowPhaseResponse) error {
	p := r.Phase
	var b strings.Builder
	b.WriteString(wrapped("", "phase "+plain(strings.TrimSuffix(p.GetName()+": "+p.GetTitle(), ": ")), 4))
	fmt.Fprintf(&b, "from %s, which begins at %s\n", plain(p.GetEffective()), t.moment(p.GetBegins()))
	where := inForce(p)
	if where == "" {
		where = "nowhere"
	}
	b.WriteString(wrapped("in force: ", plain(where), 0))
	if p.GetSynOnly() {
		b.WriteString("stops new connections alone; those that stand go on\n")
	}
	if len(r.Rules) > 0 {
		b.WriteByte('\n')
		g := grid{head: []string{"RULE", "LINE GROUPS", "SERVICE", "SERVERS", "LEGS", "ACTION"}, shrink: []int{1, 2, 4}}
		for _, rule := range r.Rules {
			g.add(rule.Name, orAll(rule.Groups), rule.Service+" "+ports(rule.Ports), rule.Remote, strings.Join(rule.Legs, ", "), rule.Action)
		}
		b.WriteString(g.text(t, ""))
		b.WriteString("The first rule that matches decides.\n")
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// Preview shows what a phase would be put in force in place of, and where.
func (t *table) Preview(r *op25bv1.PreviewResponse) error {
	var b strings.Builder
	changed := map[string]bool{}
	for _, c := range r.Changes {
		what := fmt.Sprintf("phase %s -> %s", cmp.Or(c.From, "none"), r.Phase)
		if c.From == r.Phase {
			what = fmt.Sprintf("phase %s stays", r.Phase)
		} else {
			for _, sw := range c.Switches {
				changed[sw] = true
			}
		}
		b.WriteString(wrapped("", plain(fmt.Sprintf("%s on %s: %s", linesOf(c), named(c.Switches, manyNames), what)), 4))
	}
	if len(changed) == 0 {
		fmt.Fprintf(&b, "Nothing changes: phase %s is in force there already.\n", plain(r.Phase))
	} else {
		fmt.Fprintf(&b, "This changes %d of %s.\n", len(changed), count(r.Switches, "switch"))
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

func linesOf(c *op25bv1.PhaseChange) string {
	switch {
	case c.EveryLine:
		return "every line"
	case len(c.Groups) == 0:
		return "lines of no group"
	case c.ByDefault:
		return strings.Join(c.Groups, ", ") + " lines and those of no group"
	}
	return strings.Join(c.Groups, ", ") + " lines"
}

func orAll(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return strings.Join(names, ", ")
}

func ports(all []uint32) string {
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = fmt.Sprint(p)
	}
	return strings.Join(texts, ",")
}
