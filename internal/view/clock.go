package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	op25bv1 "op25b/proto/op25b/v1"
)

// holdTexts describes, for each reason, whether a controller holds back dates and why.
var holdTexts = map[op25bv1.ClockHold]string{
	op25bv1.ClockHold_CLOCK_HOLD_UNSPECIFIED: "unknown",
	op25bv1.ClockHold_CLOCK_HOLD_NONE:        "in force",
	op25bv1.ClockHold_CLOCK_HOLD_STARTING:    "held: not compared yet",
	op25bv1.ClockHold_CLOCK_HOLD_SKEW:        "held: it differs from the others",
	op25bv1.ClockHold_CLOCK_HOLD_JUMP:        "held: it was changed",
	op25bv1.ClockHold_CLOCK_HOLD_RESTART:     "held: it does not fit the store's time",
}

// Clocks lists the clocks of all controllers. If the controller that answers holds back dates, Clocks also shows the reason.
func (t *table) Clocks(r *op25bv1.ListClocksResponse) error {
	g := grid{head: []string{"CONTROLLER", "CLOCK", "DIFFERENCE", "DATES"}}
	var below strings.Builder
	z := t.local()
	for _, c := range r.Clocks {
		shown := "-"
		if c.Time != nil {
			shown = z.moment(c.Time)
		}
		row := g.add(c.Controller, shown, apart(c), holdTexts[c.Hold])
		if held(c) {
			row.mark = red
		}
		if c.Detail != "" {
			below.WriteString(wrapped("", fmt.Sprintf("%s holds dates since %s: %s.", plain(c.Controller), z.moment(c.Since), plain(c.Detail)), 4))
		}
	}
	text := g.text(t, "") + below.String()
	if r.Bound != nil {
		text += fmt.Sprintf("Clocks that differ by more than %v hold dates.\n", r.Bound.AsDuration())
	}
	_, err := io.WriteString(t.w, text)
	return err
}

func held(c *op25bv1.ControllerClock) bool {
	return c.Hold != op25bv1.ClockHold_CLOCK_HOLD_NONE && c.Hold != op25bv1.ClockHold_CLOCK_HOLD_STARTING
}

// apart renders the difference between a clock and the clock of the controller that answers.
func apart(c *op25bv1.ControllerClock) string {
	switch {
	case c.Self:
		return "this one"
	case c.Ahead == nil:
		return "unknown"
	}
	d := c.Ahead.AsDuration().Round(10 * time.Millisecond)
	if d > 0 {
		return "+" + d.String()
	}
	return d.String()
}

// clockLine renders the line about clocks that follows a table of switches. It returns an empty string if there is only one
// controller and its clock is trusted.
func (t *table) clockLine(all []*op25bv1.ControllerClock) string {
	var parts []string
	for _, c := range all {
		text := plain(c.Controller)
		if !c.Self {
			text += " " + apart(c)
		}
		if held(c) {
			text += ", dates " + holdTexts[c.Hold]
		}
		if !c.Self || held(c) {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return wrapped("", "Clocks: "+strings.Join(parts, "; ")+".", 4)
}
