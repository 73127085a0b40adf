package view

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// History lists revisions and dates in descending order.
func (t *table) History(r *op25bv1.HistoryResponse, limit int) error {
	if len(r.Revisions) == 0 {
		_, err := io.WriteString(t.w, "There is no revision.\n")
		return err
	}
	z := t.zone(r.UtcOffset)
	g := grid{head: []string{"REVISION", z.head(), "WHO", "REASON"}, shrink: []int{2}, goesOn: true}
	for _, e := range entries(r) {
		if d := e.GetDate(); d != nil {
			g.add("-", z.when(d.Time), "calendar", dated(z, d))
			continue
		}
		rev := e.GetRevision()
		g.add(fmt.Sprint(rev.GetNumber()), z.when(rev.GetTime()), rev.GetAuthor(), unproved(rev)+rev.GetReason())
	}
	text := g.text(t, "")
	if last := r.Revisions[len(r.Revisions)-1].Number; len(r.Revisions) == limit && last > 1 {
		text += fmt.Sprintf("Cut at %s; older ones: op25b history --before %d\n", prose.Count(limit, "revision"), last)
	}
	_, err := io.WriteString(t.w, text)
	return err
}

// unproved returns a mark for a revision that is not proved.
func unproved(r *op25bv1.Revision) string {
	if r.GetUnproved() == "" {
		return ""
	}
	return "UNPROVED: "
}

// entries returns the revisions and dates in a response. If the response comes from a controller of
// an earlier version, it contains only revisions.
func entries(r *op25bv1.HistoryResponse) []*op25bv1.HistoryEntry {
	if len(r.Entries) > 0 {
		return r.Entries
	}
	all := make([]*op25bv1.HistoryEntry, len(r.Revisions))
	for i, rev := range r.Revisions {
		all[i] = &op25bv1.HistoryEntry{Entry: &op25bv1.HistoryEntry_Revision{Revision: rev}}
	}
	return all
}

// dated describes the changes that came into force at a date.
func dated(z zone, d *op25bv1.DateEvent) string {
	var parts []string
	text := fmt.Sprintf("phase %s began by its date: ", d.Phase)
	if d.Kind == op25bv1.DateEvent_EXEMPTIONS {
		text = prose.Count(d.ExemptionsEnded, "exemption") + " ended: "
		for _, e := range d.Exemptions {
			what := e.Prefix
			if e.Line != "" {
				what = "line " + e.Line
			}
			parts = append(parts, fmt.Sprintf("%s (%s)", what, cmp.Or(e.Owner, "no owner")))
		}
		text += prose.List(parts, manyNames)
	} else {
		for _, turn := range d.Turns {
			c := &op25bv1.PhaseChange{Groups: turn.Groups, ByDefault: turn.ByDefault, EveryLine: turn.EveryLine}
			parts = append(parts, fmt.Sprintf("%s on %s: %s -> %s", linesOf(c), prose.List(turn.Switches, manyNames), cmp.Or(turn.From, "none"), turn.To))
		}
		if len(parts) == 0 {
			parts = []string{"it changes nothing, because activations take precedence"}
		}
		text += strings.Join(parts, "; ")
	}
	if late := d.Recorded.AsTime().Sub(d.Time.AsTime()); late > time.Minute {
		text += fmt.Sprintf("; written down by %s at %s", d.RecordedBy, z.moment(d.Recorded))
	}
	return text
}

// Diff shows the differences between the documents of two revisions.
func (t *table) Diff(r *op25bv1.DiffResponse) error {
	var b strings.Builder
	for _, d := range r.Documents {
		t.document(&b, d)
	}
	text := strings.TrimPrefix(b.String(), "\n")
	if text == "" {
		text = "The documents are the same.\n"
	}
	_, err := io.WriteString(t.w, text)
	return err
}
