package view

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// shortPlace is the maximum width, in columns, of the list of switches and line groups in a phase's row. A longer list is shown below the
// row, so that no switch's name is cut off. The same holds for the name of a phase.
const shortPlace = 30

// Phases lists phases in the order of their dates. A star marks each phase in force.
func (t *table) Phases(r *op25bv1.ListPhasesResponse) error {
	z := t.zone(r.UtcOffset)
	g := grid{head: []string{" ", "PHASE", "FROM", "RULES", "IN FORCE", "TITLE"}, shrink: []int{1}, goesOn: true}
	for _, p := range r.Phases {
		star := " "
		if len(p.InForce) > 0 || p.Everywhere {
			star = "*"
		}
		where, below := inForce(p), ""
		if prose.Columns(where) > shortPlace {
			where, below = "in part", "in force for "+where
		}
		if prose.Columns(p.Name) > shortPlace {
			below = strings.TrimSuffix("phase "+p.Name+"; "+below, "; ")
		}
		for _, d := range p.EffectiveFor {
			below = strings.TrimPrefix(below+"; "+strings.Join(d.Groups, ", ")+" from "+d.Effective, "; ")
		}
		row := g.add(star, p.Name, p.Effective, fmt.Sprint(p.Rules), where, p.Title)
		row.below = below
		if star == "*" {
			row.mark = green
		}
	}
	text := brokenNote(r.Broken) + g.text(t, "") + fmt.Sprintf("policy %s, revision %d", plain(r.Policy), r.Revision)
	if r.Next != nil {
		text += ", changes by itself at " + z.moment(r.Next)
	}
	text += ".\n"
	if r.NextTurn != nil {
		text += phaseTurn(z, r.NextTurn)
	}
	for _, a := range r.Scheduled {
		text += t.scheduled(z, a)
	}
	_, err := io.WriteString(t.w, text+notConfirmed(r.Phases...))
	return err
}

// notConfirmed renders a note with the names of the switches that have not confirmed their desired phases.
func notConfirmed(phases ...*op25bv1.Phase) string {
	open := map[string]bool{}
	for _, p := range phases {
		for _, f := range p.GetInForce() {
			if !f.Confirmed {
				open[plain(f.Switch)] = true
			}
		}
	}
	if len(open) == 0 {
		return ""
	}
	names := strings.Join(slices.Sorted(maps.Keys(open)), ", ")
	return wrapped("", "Not confirmed on "+names+": the list shows what is wanted there, op25b status what is in force.", 4)
}

// inForce lists the line groups and switches for which a phase is in force. Switches with the same line groups are listed together. All names are
// listed, however many there are.
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
		scopes[i] = scope + " on " + strings.Join(on[scope], ", ")
	}
	return strings.Join(scopes, "; ")
}

// Phase shows a phase and its rules.
func (t *table) Phase(r *op25bv1.ShowPhaseResponse) error {
	p := r.Phase
	z := t.zone(r.UtcOffset)
	var b strings.Builder
	b.WriteString(wrapped("", "phase "+plain(strings.TrimSuffix(p.GetName()+": "+p.GetTitle(), ": ")), 4))
	fmt.Fprintf(&b, "from %s, which begins at %s\n", plain(p.GetEffective()), z.moment(p.GetBegins()))
	for _, d := range p.GetEffectiveFor() {
		b.WriteString(wrapped("", plain(fmt.Sprintf("for %s lines from %s, which begins at %s", strings.Join(d.Groups, ", "), d.Effective, z.moment(d.Begins))), 4))
	}
	where := inForce(p)
	if where == "" {
		where = "nowhere"
	}
	b.WriteString(wrapped("in force: ", plain(where), 0))
	b.WriteString(notConfirmed(p))
	if p.GetSynOnly() {
		b.WriteString("stops new connections only; established ones continue\n")
	}
	b.WriteString(staysOpen(p.GetStaysOpen()))
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

// staysOpen renders what passes whatever the rules of the phase say. It returns an empty string for a controller that does not report it.
func staysOpen(o *op25bv1.StaysOpen) string {
	if o == nil {
		return ""
	}
	var all []string
	others := "all servers"
	for _, s := range o.Servers {
		what := "every service"
		if s.Limited {
			what, others = orNone(s.Services), "all other servers"
		}
		all = append(all, what+" of "+s.Name)
	}
	all = append(all, "ports "+strings.Join(strings.Split(ports(o.Ports), ","), " and ")+" of "+others)
	var exempt []string
	if o.ExemptLines > 0 {
		exempt = append(exempt, prose.Count(o.ExemptLines, "exempt line"))
	}
	if o.ExemptPrefixes > 0 {
		exempt = append(exempt, prose.Count(o.ExemptPrefixes, "exempt prefix"))
	}
	if len(exempt) == 0 {
		all = append(all, "no line is exempt")
	} else {
		all = append(all, "port 25 of "+strings.Join(exempt, " and "))
	}
	return wrapped("stays open: ", plain(strings.Join(all, "; ")), 0)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "no service"
	}
	return strings.Join(names, ", ")
}

// Preview shows which phases a change replaces, on which switches and line groups, and which date will replace the new phase.
func (t *table) Preview(r *op25bv1.PreviewResponse) error {
	z := t.zone(r.UtcOffset)
	var b strings.Builder
	b.WriteString(brokenNote(r.Broken))
	if u := r.Undoes; u != nil {
		b.WriteString(wrapped("", plain(fmt.Sprintf("This undoes the activation of phase %s by %s, revision %d of %s: %s", u.Phase, u.Author, u.Revision, z.moment(u.Time), u.Reason)), 4))
	}
	changed, lines := map[string]bool{}, uint32(0)
	for _, c := range r.Changes {
		b.WriteString(phaseChange("", c))
		if c.From != c.To {
			lines += c.Lines
			for _, sw := range c.Switches {
				changed[sw] = true
			}
		}
	}
	if len(changed) == 0 {
		b.WriteString("Nothing changes now: this should be in force there already.\n")
	} else {
		fmt.Fprintf(&b, "This changes %d of %s", len(changed), prose.Count(r.Switches, "switch"))
		if lines > 0 { // an older controller does not count them
			b.WriteString(", " + prose.Count(lines, "line"))
		}
		b.WriteString(".\n")
	}
	if r.Plan == nil { // otherwise the plan follows, which shows them
		t.held(&b, z, r.Held, false)
	}
	if r.Proof != nil && !r.Proof.Proved {
		t.proofOf(&b, r.Proof, "phase activate refuses the change, unless it is a way back", false)
	}
	if r.NextTurn == nil {
		b.WriteString("No date replaces it: it stays until another phase is activated.\n")
	} else {
		b.WriteString(phaseTurn(z, r.NextTurn))
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// brokenNote renders a warning that the documents cannot be used. It returns an empty string if why is empty.
func brokenNote(why string) string {
	if why == "" {
		return ""
	}
	return wrapped("", plain("warning: "+why), 4)
}

// phaseTurn renders the changes that the date of a phase causes.
func phaseTurn(z zone, turn *op25bv1.PhaseTurn) string {
	text := wrapped("", plain(fmt.Sprintf("The date of phase %s changes this at %s:", turn.Phase, z.moment(turn.Time))), 4)
	for _, c := range turn.Changes {
		text += phaseChange("  ", c)
	}
	return text
}

func phaseChange(indent string, c *op25bv1.PhaseChange) string {
	what := fmt.Sprintf("phase %s -> %s", cmp.Or(c.From, "none"), cmp.Or(c.To, "none"))
	if c.Lines > 0 {
		what += ", " + prose.Count(c.Lines, "line")
	}
	if c.From == c.To {
		what = fmt.Sprintf("phase %s stays", c.To)
	}
	return wrapped(indent, plain(fmt.Sprintf("%s on %s: %s", linesOf(c), prose.List(c.Switches, manyNames), what)), 4)
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
