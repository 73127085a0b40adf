package view

import (
	"fmt"
	"io"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Drift shows how the entries in each switch differ from the revision that was last written to it.
func (t *table) Drift(r *op25bv1.DriftResponse, full bool) error {
	var b strings.Builder
	var same, unknown []string
	for _, sw := range r.GetPlan().GetSwitches() {
		head := "switch " + plain(sw.Switch)
		switch {
		case sw.Standing != standingRead && sw.Standing != standingEmpty:
			fmt.Fprintf(&b, "%s\n%s", t.colour(bold, head), t.colour(red, wrapped("    ", plain(standing(sw)), 0)))
		case size(sw.Drift) > 0:
			fmt.Fprintf(&b, "%s\n", t.colour(bold, fmt.Sprintf("%s, brought to revision %d", head, sw.AppliedRevision)))
			t.drift(&b, sw.Drift, full)
		case sw.Standing == standingEmpty:
			fmt.Fprintf(&b, "%s\n%s", t.colour(bold, head), wrapped("    ", plain(standing(sw)), 0))
		case sw.AppliedRevision == 0:
			unknown = append(unknown, sw.Switch)
		default:
			same = append(same, sw.Switch)
		}
	}
	most := manyNames
	if full {
		most = len(unknown) + len(same)
	}
	if len(unknown) > 0 {
		b.WriteString(wrapped("", plain("Not brought to any revision yet: "+prose.List(unknown, most)), 4))
	}
	if len(same) > 0 {
		b.WriteString(wrapped("", plain("As last written: "+prose.List(same, most)), 4))
	}
	s := r.GetPlan().GetTotals()
	if s == nil {
		s = &op25bv1.Totals{}
	}
	if r.Drifted {
		fmt.Fprintf(&b, "Drift on %d of %s, %s.%s\n", s.SwitchesDrifted, prose.Count(s.Switches, "switch"), prose.Count(s.Drifted, "entry"), unread(s))
	} else {
		fmt.Fprintf(&b, "No drift on %s.%s\n", prose.Count(s.Switches-min(s.Switches, s.SwitchesUnread), "switch"), unread(s))
	}
	b.WriteString(t.notices(r.Notices))
	_, err := io.WriteString(t.w, b.String())
	return err
}

// standing describes the result of reading a switch for a plan.
func standing(sw *op25bv1.SwitchPlan) string {
	text := map[string]string{
		"unreachable":   "could not be read",
		standingEmpty:   "runs no program",
		"other-program": "runs another program",
		standingGone:    "is no longer in the inventory",
	}[sw.Standing]
	if text == "" {
		text = sw.Standing
	}
	if sw.Reason != "" {
		text += ": " + sw.Reason
	}
	return text
}

// drift lists the entries that differ.
func (t *table) drift(b *strings.Builder, d *op25bv1.Difference, full bool) {
	fmt.Fprintf(b, "    drift: %d added, %d changed, %d removed", d.Added, d.Changed, d.Removed)
	if d.Foreign > 0 {
		fmt.Fprintf(b, "; %d of the added are in no document", d.Foreign)
	}
	b.WriteByte('\n')
	how := "; --full shows them"
	if full {
		how = "; a plan lists 10,000 at most"
	}
	t.entries(b, "      ", d, how)
}

func unread(s *op25bv1.Totals) string {
	if s.SwitchesUnread == 0 {
		return ""
	}
	return fmt.Sprintf(" %s could not be read.", prose.Count(s.SwitchesUnread, "switch"))
}
