package web

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// previewWords describes a previewed change: what it undoes, which phases it replaces for which lines, and which date replaces the new phase.
func (b base) previewWords(r *op25bv1.PreviewResponse) (all []said) {
	say := func(text string) { all = append(all, b.said(text, "")) }
	if r.Broken != "" {
		all = append(all, b.foreign(r.Broken))
	}
	if u := r.Undoes; u != nil {
		say(b.T("preview undoes", u.Phase, u.Author, u.Revision, b.At(u.Time.AsTime()), u.Reason))
	}
	changed := make(map[string]bool)
	for _, c := range r.Changes[:min(len(r.Changes), maxPreviewed)] {
		say(b.replaced(c))
	}
	if more := len(r.Changes) - maxPreviewed; more > 0 {
		say(b.T("more changes", prose.Number(more)))
	}
	for _, c := range r.Changes {
		if c.From != c.To {
			for _, name := range c.Switches {
				changed[name] = true
			}
		}
	}
	if len(changed) == 0 {
		say(b.T("preview nothing"))
	} else {
		say(b.T("preview changes", len(changed), b.switches(int(r.Switches))))
	}
	if r.NextTurn == nil {
		say(b.T("preview stays"))
		return all
	}
	var turns []string
	for _, c := range r.NextTurn.Changes[:min(len(r.NextTurn.Changes), maxChanges)] {
		turns = append(turns, b.replaced(c))
	}
	if more := len(r.NextTurn.Changes) - maxChanges; more > 0 {
		turns = append(turns, b.T("more changes", prose.Number(more)))
	}
	say(b.T("preview date", b.At(r.NextTurn.Time.AsTime()), r.NextTurn.Phase, strings.Join(turns, b.T("semicolon"))))
	return all
}

// maxPreviewed is the largest number of replacements of phases that a preview lists.
const maxPreviewed = 50

// replaced describes the replacement of a phase for lines.
func (b base) replaced(c *op25bv1.PhaseChange) string {
	lines := slices.Clone(c.Groups)
	if c.ByDefault {
		lines = append(lines, b.T("other lines"))
	}
	text := strings.Join(lines, b.T("comma"))
	if c.EveryLine {
		text = b.T("everywhere")
	}
	text = b.T("lines on", text, b.names(c.Switches)) + b.T("colon")
	if c.From == c.To {
		return text + b.T("preview kept", c.To)
	}
	none := b.T("no phase")
	return text + b.T("preview replaced", cmp.Or(c.From, none), cmp.Or(c.To, none))
}

// consequences says for each phase that a change puts in force whether mail is stopped under it. It says nothing about a phase that cannot be read,
// because the preview is useful without it.
func (v *visit) consequences(ctx context.Context, r *op25bv1.PreviewResponse) (all []string) {
	var told []string
	for _, c := range r.Changes {
		if c.From == c.To || c.To == "" || slices.Contains(told, c.To) {
			continue
		}
		told = append(told, c.To)
		shown, err := v.phase.ShowPhase(ctx, connect.NewRequest(&op25bv1.ShowPhaseRequest{Phase: c.To}))
		switch {
		case err != nil:
		case !stopsAny(shown.Msg.Rules) && slices.ContainsFunc(shown.Msg.Rules, limiting):
			all = append(all, v.T("under limited", c.To))
		case !stopsAny(shown.Msg.Rules):
			all = append(all, v.T("under none stopped", c.To))
		case shown.Msg.Phase.GetSynOnly():
			all = append(all, v.T("under new stopped", c.To))
		default:
			all = append(all, v.T("under stopped", c.To))
		}
	}
	return all
}

// limiting reports whether a rule limits the rate of new connections.
func limiting(rule *op25bv1.PhaseRule) bool { return rule.Action == "limit" }

// rollbackNotes says what a reader should know before a rollback: its consequence, its lines, and how to undo it.
func (v *visit) rollbackNotes(ctx context.Context, r *op25bv1.PreviewResponse, fleet *op25bv1.ListSwitchesResponse) []string {
	notes := append(v.consequences(ctx, r), v.concerned(r, fleet)...)
	if phase := r.Undoes.GetPhase(); phase != "" {
		notes = append(notes, v.T("how to activate again", phase))
	}
	return notes
}

// concerned says how many lines a change concerns. It returns nil if that is not known.
func (b base) concerned(r *op25bv1.PreviewResponse, fleet *op25bv1.ListSwitchesResponse) []string {
	switch lines, known := linesOfChange(r, fleet); {
	case known && lines == 1:
		return []string{b.T("concerns line")}
	case known && lines > 0:
		return []string{b.T("concerns lines", prose.Number(lines))}
	}
	return nil
}
