package view

import (
	"fmt"
	"io"
	"strings"

	op25bv1 "op25b/proto/op25b/v1"
)

// Scheduled shows an activation that was scheduled or cancelled.
func (t *table) Scheduled(a *op25bv1.ScheduledActivation, offset string) error {
	_, err := io.WriteString(t.w, t.scheduled(t.zone(offset), a))
	return err
}

// scheduled renders a scheduled activation.
func (t *table) scheduled(z zone, a *op25bv1.ScheduledActivation) string {
	where := "everywhere"
	if len(a.GetGroups())+len(a.GetSwitches()) > 0 {
		where = orAll(a.Groups) + " lines on " + strings.Join(a.Switches, ", ")
		if len(a.Switches) == 0 {
			where = orAll(a.Groups) + " lines"
		}
	}
	text := fmt.Sprintf("scheduled %d: phase %s %s at %s, by %s: %s", a.GetId(), a.GetPhase(), where, z.moment(a.GetAt()), a.GetAuthor(), a.GetReason())
	mark := ""
	switch a.GetState() {
	case op25bv1.ScheduledState_SCHEDULED_STATE_ACTING:
		text += "; it is being made"
	case op25bv1.ScheduledState_SCHEDULED_STATE_DONE:
		text += fmt.Sprintf("; done, revision %d", a.Revision)
	case op25bv1.ScheduledState_SCHEDULED_STATE_SKIPPED:
		text, mark = text+"; SKIPPED: "+a.Note, red
	case op25bv1.ScheduledState_SCHEDULED_STATE_CANCELLED:
		text += "; cancelled: " + a.Note
	}
	return t.colour(mark, wrapped("", plain(text), 4))
}
