package view

import (
	"fmt"
	"io"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// lineStates maps the states of a line to the words that tables show.
var lineStates = map[op25bv1.LineState]string{
	op25bv1.LineState_LINE_STATE_CONFIRMED: "confirmed", op25bv1.LineState_LINE_STATE_NOT_CONFIRMED: "not confirmed", op25bv1.LineState_LINE_STATE_NO_PHASE: "no phase",
}

// Lines lists lines of the inventory.
func (t *table) Lines(r *op25bv1.ListLinesResponse) error {
	text := ""
	if len(r.Lines) > 0 {
		g := grid{head: []string{"LINE", "SWITCH", "GROUP", "PHASE", "STATE", "EXEMPT UNTIL"}, shrink: []int{0, 1, 2, 3}}
		for _, l := range r.Lines {
			row := g.add(l.Line, l.Switch, l.Group, l.Phase, lineStates[l.State], l.Exempt)
			if l.State != op25bv1.LineState_LINE_STATE_CONFIRMED {
				row.mark = yellow
			}
		}
		text = g.text(t, "")
	}
	text += fmt.Sprintf("%s, revision %d.\n", prose.Count(r.Total, "line"), r.Revision)
	if r.Next != "" {
		text += wrapped("", plain(fmt.Sprintf("Cut: %d are shown; others: --limit N, or --after %s", len(r.Lines), r.Next)), 4)
	}
	_, err := io.WriteString(t.w, text)
	return err
}
