package view

import (
	"fmt"
	"io"
	"strings"

	op25bv1 "op25b/proto/op25b/v1"
)

// History lists revisions, the newest first, as a version control system does.
func (t *table) History(r *op25bv1.HistoryResponse, limit int) error {
	if len(r.Revisions) == 0 {
		_, err := io.WriteString(t.w, "There is no revision.\n")
		return err
	}
	g := grid{head: []string{"REVISION", t.whenHead(), "WHO", "REASON"}, shrink: []int{2}, goesOn: true}
	for _, rev := range r.Revisions {
		g.add(fmt.Sprint(rev.Number), t.when(rev.Time), rev.Author, rev.Reason)
	}
	text := g.text(t, "")
	if last := r.Revisions[len(r.Revisions)-1].Number; len(r.Revisions) == limit && last > 1 {
		text += fmt.Sprintf("Cut at %s; older ones: op25b history --before %d\n", count(limit, "revision"), last)
	}
	_, err := io.WriteString(t.w, text)
	return err
}

// Diff shows how documents differ.
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
