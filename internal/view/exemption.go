package view

import (
	"fmt"
	"io"
	"time"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Exemptions shows exemptions, one a line.
func (t *table) Exemptions(r *op25bv1.ListExemptionsResponse) error {
	z := t.zone(r.UtcOffset)
	as := fmt.Sprintf("revision %d, as of %s.", r.Revision, z.moment(r.Time))
	if len(r.Exemptions) == 0 {
		_, err := io.WriteString(t.w, wrapped("", "No exemption, "+as, 4))
		return err
	}
	g := grid{head: []string{"EXEMPT", "SWITCH", "UNTIL THE END OF", "LEFT", "OWNER", "TICKET", "REASON"}, shrink: []int{6, 4, 0, 5}}
	for _, e := range r.Exemptions {
		what, on := e.Line, e.Switch
		if e.Line == "" {
			what, on = e.Prefix, "every"
		}
		g.add(what, on, e.Expires, left(e.Ends.AsTime().Sub(r.Time.AsTime())), e.Owner, e.Ticket, e.Reason)
	}
	text := fmt.Sprintf("%s, %s", prose.Count(r.Total, "exemption"), as)
	if more := int(r.Total) - len(r.Exemptions); more > 0 {
		text = fmt.Sprintf("%s of %s, %s", prose.Number(len(r.Exemptions)), prose.Count(r.Total, "exemption"), as)
	}
	_, err := io.WriteString(t.w, g.text(t, "")+wrapped("", text, 4))
	return err
}

// left describes the time until an exemption ends.
func left(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "ended"
	case d < day:
		return prose.Count(int(max(d/time.Hour, 1)), "hour")
	}
	return prose.Count(int(d/day), "day")
}
