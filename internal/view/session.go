package view

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Sessions shows how many lines of each switch have a session, and for how many sessions the entries are in force.
func (t *table) Sessions(r *op25bv1.ListSessionsResponse) error {
	if len(r.Switches) == 0 {
		_, err := io.WriteString(t.w, wrapped("", "No line can have a session. Set identify for a switch of the inventory, and addressing: dynamic for its lines.", 4))
		return err
	}
	g := grid{head: []string{"SWITCH", "LINES", "SESSIONS", "IN FORCE", "WAITING", "SEEN"}, shrink: []int{0}}
	lines, sessions := uint32(0), uint32(0)
	for _, s := range r.Switches {
		inForce, waiting := "-", "-" // no line has entries by its session
		if e := s.Entries; e != nil {
			inForce, waiting = prose.Number(e.InForce), prose.Number(e.Waiting)
		}
		row := g.add(s.Switch, prose.Number(s.Lines), prose.Number(s.Sessions), inForce, waiting, t.since(s.GetEntries().GetSeen()))
		row.below = plain(s.GetEntries().GetDetail())
		lines, sessions = lines+s.Lines, sessions+s.Sessions
	}
	text := g.text(t, "") + wrapped("", fmt.Sprintf("%s of %s with dynamic addresses, as of %s on %s.",
		prose.Count(sessions, "session"), prose.Count(lines, "line"), t.zone("").moment(r.Time), plain(r.Controller)), 4)
	_, err := io.WriteString(t.w, text)
	return err
}

// Found shows which line has an address.
func (t *table) Found(r *op25bv1.FindAddressResponse, byName bool) error {
	text := "No line has this address now."
	if byName {
		text = fmt.Sprintf("Line %s is on %s, line group %s.", plain(r.Line), plain(r.Switch), plain(r.LineGroup))
	} else if r.Found {
		text = fmt.Sprintf("Line %s on %s, line group %s, has this address", plain(r.Line), plain(r.Switch), plain(r.LineGroup))
		if r.Dynamic {
			z := t.zone(r.UtcOffset)
			text += fmt.Sprintf(" since %s, by its session on %s, last reported at %s.", z.moment(r.Since), plain(r.AccessServer), z.moment(r.Heard))
		} else {
			text += " by the inventory."
		}
	}
	_, err := io.WriteString(t.w, wrapped("", fmt.Sprintf("%s Audit record %d says who asked, and why.", text, r.Record), 4)+port25Of(r))
	return err
}

// port25Of renders what the policy says of a line that was found.
func port25Of(r *op25bv1.FindAddressResponse) string {
	if !r.Found || r.Phase == "" && len(r.Exemptions) == 0 {
		return "" // no phase has begun, or the controller is older
	}
	text := ""
	if r.Phase != "" {
		seen := "confirmed by its switch"
		if !r.PhaseConfirmed {
			seen = "wanted, but not confirmed by its switch"
		}
		text += fmt.Sprintf("phase %s, %s\n", plain(r.Phase), seen)
	}
	for _, e := range r.Exemptions {
		text += wrapped("exempt: ", plain(strings.TrimSpace(fmt.Sprintf("%s until %s, owner %s: %s %s", cmp.Or(e.Line, e.Prefix), e.Expires, e.Owner, e.Reason, e.Ticket))), 0)
	}
	var rules []string
	for _, rule := range r.Rules {
		to := rule.Remote
		if to == "any" {
			to = "other servers"
		}
		rules = append(rules, fmt.Sprintf("to %s %s (rule %s)", to, rule.Action, rule.Rule))
	}
	port25 := "port 25: " + strings.Join(append(rules, "own relays pass"), "; ")
	if len(r.Exemptions) > 0 {
		port25 += "; exempt addresses pass"
	}
	return text + wrapped("", plain(port25+". Ports 587 and 465 pass."), 4)
}
