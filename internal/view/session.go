package view

import (
	"fmt"
	"io"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Sessions shows how many lines of each switch have a session.
func (t *table) Sessions(r *op25bv1.ListSessionsResponse) error {
	if len(r.Switches) == 0 {
		_, err := io.WriteString(t.w, wrapped("", "No line can have a session. Set identify for a switch of the inventory, and addressing: dynamic for its lines.", 4))
		return err
	}
	g := grid{head: []string{"SWITCH", "LINES", "SESSIONS"}, shrink: []int{0}}
	lines, sessions := uint32(0), uint32(0)
	for _, s := range r.Switches {
		g.add(s.Switch, prose.Number(s.Lines), prose.Number(s.Sessions))
		lines, sessions = lines+s.Lines, sessions+s.Sessions
	}
	text := g.text(t, "") + wrapped("", fmt.Sprintf("%s of %s with dynamic addresses, as of %s on %s.",
		prose.Count(sessions, "session"), prose.Count(lines, "line"), t.zone("").moment(r.Time), plain(r.Controller)), 4)
	_, err := io.WriteString(t.w, text)
	return err
}

// Found shows which line has an address.
func (t *table) Found(r *op25bv1.FindAddressResponse) error {
	text := "No line has this address now."
	if r.Found {
		text = fmt.Sprintf("Line %s on %s, line group %s, has this address", plain(r.Line), plain(r.Switch), plain(r.LineGroup))
		if r.Dynamic {
			z := t.zone(r.UtcOffset)
			text += fmt.Sprintf(" since %s, by its session on %s, last reported at %s.", z.moment(r.Since), plain(r.AccessServer), z.moment(r.Heard))
		} else {
			text += " by the inventory."
		}
	}
	_, err := io.WriteString(t.w, wrapped("", fmt.Sprintf("%s Audit record %d says who asked, and why.", text, r.Record), 4))
	return err
}
