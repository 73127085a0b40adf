package view

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Switches lists switches. If the state of a switch has a reason, the reason is shown below the switch.
func (t *table) Switches(r *op25bv1.ListSwitchesResponse) error {
	_, err := io.WriteString(t.w, t.statuses(r.Switches)+summary(r.Revision, r.Switches)+t.clockLine(r.Clocks)+t.notices(r.Notices))
	return err
}

// notices renders those warnings of the controller that do not concern a particular switch.
func (t *table) notices(all []string) string {
	text := ""
	for _, notice := range all {
		text += t.colour(yellow, wrapped("Note: ", plain(notice), 0))
	}
	return text
}

func (t *table) statuses(all []*op25bv1.SwitchStatus) string {
	if len(all) == 0 {
		return ""
	}
	g := grid{head: []string{"SWITCH", "STATE", "REVISION", "PHASE", "OWNER", "FOR", "SEEN"}, shrink: []int{3, 4, 0}}
	leased := slices.ContainsFunc(all, func(s *op25bv1.SwitchStatus) bool { return s.Leases != nil })
	if leased {
		g.head = append(g.head, "LEASES")
	}
	for _, s := range all {
		cells := []string{s.Switch, stateText(s.State) + percent(s), revisions(s), s.InForce, s.Owner, t.since(s.Since), t.since(s.Seen)}
		if leased {
			cells = append(cells, leasesOn(s))
		}
		r := g.add(cells...)
		r.below = why(s)
		if d := s.GetLeases().GetDetail(); d != "" {
			r.below = strings.TrimPrefix(r.below+"; leases: "+d, "; ")
		}
		if f := s.GetProbes().GetFailure(); f != "" && s.Converged {
			r.below = strings.TrimPrefix(r.below+"; not probed: "+f, "; ")
		}
		switch {
		case s.Failed:
			r.mark = red
		case !s.Converged || s.GetLeases().GetDetail() != "":
			r.mark = yellow
		}
	}
	return g.text(t, "")
}

// leasesOn renders the number of leases on a switch, as of when the switch was last seen.
func leasesOn(s *op25bv1.SwitchStatus) string {
	l := s.Leases
	switch {
	case l == nil || l.InForce == 0 && l.Waiting == 0 && l.Detail != "":
		return "-"
	case l.Waiting > 0:
		return fmt.Sprintf("%s, %s waiting", prose.Number(l.InForce), prose.Number(l.Waiting))
	}
	return prose.Number(l.InForce)
}

// percent renders the progress of writing to a switch.
func percent(s *op25bv1.SwitchStatus) string {
	if s.GetProgress().GetTotal() == 0 {
		return ""
	}
	return fmt.Sprintf(" %d%%", uint64(s.Progress.Done)*100/uint64(s.Progress.Total))
}

// revisions renders the revision in a switch, followed by the wanted revision if it differs.
func revisions(s *op25bv1.SwitchStatus) string {
	switch {
	case s.Revision == s.Wanted && s.Wanted == 0:
		return "-"
	case s.Revision == s.Wanted:
		return fmt.Sprint(s.Revision)
	case s.Revision == 0:
		return fmt.Sprintf("- -> %d", s.Wanted)
	}
	return fmt.Sprintf("%d -> %d", s.Revision, s.Wanted)
}

// why renders the reason for a switch's state. It returns an empty string for a converged switch that lacks nothing.
func why(s *op25bv1.SwitchStatus) string {
	switch {
	case s.Converged && s.Reason != op25bv1.SwitchReason_SWITCH_REASON_NO_CLOCK:
		return ""
	case s.State == op25bv1.SwitchState_SWITCH_STATE_CONVERGED && !s.Converged:
		return fmt.Sprintf("its controller has not read revision %d yet", s.Wanted)
	}
	text := strings.TrimSuffix(reasonText(s.Reason)+": "+s.Detail, ": ")
	if s.State == op25bv1.SwitchState_SWITCH_STATE_HELD {
		text = "held " + heldBy(s)
	} else if s.Hold != nil {
		text += "; held " + heldBy(s)
	}
	if c := s.Last; c != nil && c.State != op25bv1.SwitchState_SWITCH_STATE_UNSPECIFIED {
		text += "; it was reported as " + stateText(c.State)
	}
	if f := s.Failure; f != nil && s.State != op25bv1.SwitchState_SWITCH_STATE_FAILED {
		text += "; before, " + strings.TrimSuffix(reasonText(f.Reason)+": "+f.Detail, ": ")
	}
	return text
}

// heldBy renders who holds a switch, since when and why, and what is wrong with its session.
func heldBy(s *op25bv1.SwitchStatus) string {
	text := fmt.Sprintf("by %s since %s: %s", s.GetHold().GetWho(), s.GetHold().GetSince().AsTime().Format(time.RFC3339), s.GetHold().GetReason())
	if s.State == op25bv1.SwitchState_SWITCH_STATE_HELD && s.Detail != "" {
		text += "; " + s.Detail
	}
	return text
}

// summary renders the number of switches in each state. Only switches at the wanted revision count as
// converged.
func summary(revision uint64, all []*op25bv1.SwitchStatus) string {
	if revision == 0 {
		return "There is no intent yet: op25b apply -f DIR --reason TEXT.\n"
	}
	converged := 0
	older := map[uint64]int{}
	of := map[op25bv1.SwitchState]int{}
	for _, s := range all {
		switch {
		case s.Converged && s.Revision == revision:
			converged++
		case s.State == op25bv1.SwitchState_SWITCH_STATE_CONVERGED:
			older[s.Revision]++
		default:
			of[s.State]++
		}
	}
	text := fmt.Sprintf("%s, revision %d wanted: %d converged", prose.Count(len(all), "switch"), revision, converged)
	for _, r := range slices.Backward(slices.Sorted(maps.Keys(older))) {
		text += fmt.Sprintf(", %d at revision %d", older[r], r)
	}
	for _, state := range slices.Sorted(maps.Keys(of)) {
		text += fmt.Sprintf(", %d %s", of[state], stateText(state))
	}
	return text + ".\n"
}

// Changes shows all switches for the first message of a watch. For each later message, it shows one
// line for each switch that has changed.
func (t *table) Changes(r *op25bv1.WatchSwitchesResponse) error {
	if len(t.shown) == 0 {
		for _, s := range r.Switches {
			t.shown[s.Switch] = said(s)
		}
		t.shown[""] = ""
		return t.Switches(&op25bv1.ListSwitchesResponse{Revision: r.Revision, Switches: r.Switches})
	}
	now := t.opts.Now().In(t.opts.Location).Format("15:04:05")
	var b strings.Builder
	for _, s := range r.Switches {
		if text := said(s); t.shown[s.Switch] != text {
			t.shown[s.Switch] = text
			b.WriteString(t.mark(s, wrapped(now+"  ", plain(s.Switch)+"  "+text, 0)))
		}
	}
	for _, name := range r.Gone {
		delete(t.shown, name)
		fmt.Fprintf(&b, "%s  %s is no longer in the inventory\n", now, plain(name))
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// said renders a status on one line.
func said(s *op25bv1.SwitchStatus) string {
	text := stateText(s.State)
	if rev := revisions(s); rev != "-" {
		text += ", revision " + rev
	}
	if s.Converged && s.InForce != "" {
		text += ", " + plain(s.InForce)
	}
	if w := why(s); w != "" {
		text += ": " + plain(w)
	}
	if d := s.GetLeases().GetDetail(); d != "" {
		text += "; leases: " + plain(d)
	}
	if s.Owner != "" {
		text += " (" + plain(s.Owner) + ")"
	}
	return text
}

func (t *table) mark(s *op25bv1.SwitchStatus, text string) string {
	switch {
	case s.Failed:
		return t.colour(red, text)
	case s.Converged:
		return t.colour(green, text)
	}
	return text
}
