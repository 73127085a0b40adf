package fleet

import (
	"fmt"
	"time"

	"op25b/internal/clock"
)

// awaitDate sets the timer to the next time at which the desired state of a switch changes without a new revision.
func (c *controller) awaitDate() {
	v := c.view.Load()
	if v == nil {
		return
	}
	now := c.Clock.Dates()
	var coming bool
	if c.date, coming = v.NextEvent(now); !coming {
		c.dates = nil
		return
	}
	wait := min(c.date.Sub(now), recheckClock)
	if c.Clock.Hold().Reason != clock.None { // the clock reports when it no longer holds dates; until then the date may come and be held
		wait = recheckClock
	}
	c.dates = c.timer(wait)
}

// dateComes checks whether the awaited date has come.
func (c *controller) dateComes() {
	if !c.Clock.Dates().Before(c.date) || c.Clock.Hold().Reason != clock.None {
		c.wake()
		c.writeDates()
	}
	c.awaitDate()
}

// heldDate describes the date that has come by the wall clock but is held. It returns an empty string if there is no
// such date.
func (c *controller) heldDate(v *view) string {
	h := c.Clock.Hold()
	if h.Reason == clock.None || h.Reason == clock.Starting {
		return ""
	}
	next, ok := v.NextEvent(c.Clock.Dates())
	if !ok || next.After(c.Clock.Wall()) && next.After(c.Clock.Now()) {
		return ""
	}
	return fmt.Sprintf("%s is held by controller %s: %v", next.Format(time.RFC3339), c.Name, h)
}
