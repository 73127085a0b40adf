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

// Progress shows the stored revision, then a line for each change of a switch's status, and finally the result.
func (t *table) Progress(p *op25bv1.Progress) error {
	at := p.Time.AsTime()
	if t.begun.IsZero() {
		t.begun = at
	}
	took := fmt.Sprintf("%6.1fs  ", max(at.Sub(t.begun), 0).Round(100*time.Millisecond).Seconds())
	text := ""
	switch e := p.Event.(type) {
	case *op25bv1.Progress_Stored:
		t.made = e.Stored.GetNumber()
		if text = fmt.Sprintf("revision %d is stored, by %s\n", e.Stored.GetNumber(), plain(e.Stored.GetAuthor())); p.Unchanged {
			text = fmt.Sprintf("nothing to change: revision %d has it already\n", e.Stored.GetNumber())
		}
	case *op25bv1.Progress_Switch:
		s := e.Switch
		if s.Converged && s.Revision < t.made { // the status is older than the change in progress
			break
		}
		if now := said(s); t.shown[s.Switch] != now {
			t.shown[s.Switch] = now
			text = t.mark(s, wrapped(took, plain(s.Switch)+"  "+now, 0))
		}
	case *op25bv1.Progress_Done:
		text = t.done(e.Done, strings.TrimSpace(took))
	}
	_, err := io.WriteString(t.w, text)
	return err
}

// unfinishedShown is the maximum number of switches that Unfinished names.
const unfinishedShown = 5

// Unfinished describes a change that has reached its time limit: the number of switches that have converged to the change,
// and the states of the others with their reasons.
func Unfinished(stored *op25bv1.Revision, switches map[string]*op25bv1.SwitchStatus, within time.Duration) string {
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(switches)) {
		s := switches[name]
		if s.Converged && (s.Revision > stored.Number || s.Revision == stored.Number && s.RevisionId == stored.Id) {
			continue
		}
		text := stateText(s.State)
		if reason := why(s); reason != "" {
			text += ", " + reason
		} else {
			text += fmt.Sprintf(" at revision %d", s.Revision)
		}
		missing = append(missing, plain(name)+" ("+plain(text)+")")
	}
	text := fmt.Sprintf("revision %d is stored; %d of %s reached it within --timeout %v",
		stored.Number, len(switches)-len(missing), prose.Count(len(switches), "switch"), within)
	if more := len(missing) - unfinishedShown; more > 0 {
		missing = append(missing[:unfinishedShown], fmt.Sprintf("%d more", more))
	}
	if len(missing) > 0 {
		text += "; not yet: " + strings.Join(missing, ", ")
	}
	return text + "; the controllers keep trying: op25b status --watch"
}

func (t *table) done(d *op25bv1.Done, took string) string {
	text := fmt.Sprintf("%s converged", prose.Count(d.Converged, "switch"))
	if len(d.Failed) > 0 {
		text += fmt.Sprintf(", %d failed", len(d.Failed))
	}
	if len(d.Held) > 0 {
		text += fmt.Sprintf(", %d HELD", len(d.Held))
	}
	text += " after " + took + "."
	if d.SupersededBy != 0 {
		text += fmt.Sprintf(" Revision %d has replaced it.", d.SupersededBy)
	}
	var b strings.Builder
	b.WriteString(text + "\n")
	for _, s := range d.Failed {
		b.WriteString(t.colour(red, wrapped("    "+plain(s.Switch)+": ", plain(why(s)), 6)))
	}
	for _, s := range d.Held {
		b.WriteString(t.colour(yellow, wrapped("    "+plain(s.Switch)+": ", plain(fmt.Sprintf("revision %d is not on it, but revision %d; %s", d.Revision, s.Revision, why(s))), 6)))
	}
	if len(d.Failed) > 0 {
		b.WriteString("The controllers keep trying: op25b status --watch.\n")
	}
	return b.String()
}
