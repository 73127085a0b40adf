package clock

import (
	"slices"
	"time"
)

// A Peer describes the clock of another controller.
type Peer struct {
	Name string
	// Ahead is how far the peer's wall clock is ahead of this host's. It is valid only if Known is set.
	Ahead time.Duration
	Known bool
	// Hold is the reason why the peer holds dates.
	Hold HoldReason
}

// A storeTime is the time in the store, which one controller with a trusted clock keeps up to date.
type storeTime struct {
	reading
	By string `json:"by"`
}

// A scene contains the input of Clock.judge.
type scene struct {
	name    string
	present int    // the number of controllers, including this one
	others  []Peer // the other controllers that are present
	// time is the store's time as last recorded. storeNow is the store's time now, and is valid only if fresh is set.
	time     storeTime
	storeNow time.Time
	fresh    bool
	waited   bool // whether the controller has waited long enough for the other controllers' readings
}

// A verdict states whether a controller may write the store's time.
type verdict struct {
	keeps  bool // whether the controller may keep the store's time if no other controller does
	claims bool // whether the controller must replace the store's time, even if another controller keeps it
}

// judge compares the clock with the scene, and holds or releases dates accordingly.
func (c *Clock) judge(s scene) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = s.others
	c.metrics.others(s.others)
	is, trusted := c.readLocked()
	v := c.votesLocked(s.others)
	foreign := s.fresh && s.time.By != s.name
	differs := foreign && abs(is.Wall.Sub(s.storeNow)) > c.bound
	switch {
	case v.agree > 0 && 2*(v.agree+1) > s.present:
		c.claims = c.claims || differs
		c.releaseLocked(is, "most of the other controllers have the same time")
	case c.claims: // an operator's confirmation takes precedence until the store has the new time
	case differs && c.hold.Reason != Jump:
		c.holdLocked(Skew, is, s.storeNow)
	case 2*len(v.against) > s.present:
		c.holdLocked(Skew, is, is.Wall.Add(median(v.against)))
	case c.hold.Reason == Skew && foreign: // the clock agrees again; the next reading releases the hold
		c.holdLocked(Skew, is, s.storeNow)
	case c.hold.Reason == Starting && (v.known > 0 || foreign || s.present == 1 || s.waited):
		return c.startedLocked(is, trusted, s, v)
	}
	return verdict{c.hold.Reason == None, c.claims}
}

// votes counts the clocks that agree with this clock, and lists the differences of those that contradict it.
type votes struct {
	known   int
	agree   int
	against []time.Duration // how far each contradicting clock is ahead of this clock
}

func (c *Clock) votesLocked(others []Peer) (v votes) {
	for _, m := range others {
		if m.Known {
			v.known++
		}
		switch {
		case !m.Known || !m.Hold.vouches():
		case abs(m.Ahead) <= c.bound:
			v.agree++
		default:
			v.against = append(v.against, m.Ahead)
		}
	}
	return v
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// startedLocked decides whether a starting controller's clock is trusted. The clocks of controllers already present, and the last time in
// the store, take precedence over it. The clock is trusted once it agrees with the store's time, or once this controller keeps the store's
// time.
func (c *Clock) startedLocked(is reading, trusted time.Time, s scene, v votes) verdict {
	switch {
	case s.fresh && s.time.By != s.name: // another controller keeps the store's time, and this clock agrees with it
		c.releaseLocked(is, "compared")
	case v.agree == 0 && len(v.against) > 0:
		c.holdLocked(Skew, is, is.Wall.Add(median(v.against)))
	case v.agree == 0 && !c.fitsLocked(is, s.time):
		c.holdLocked(Restart, is, trusted)
	default:
		return verdict{keeps: true}
	}
	return verdict{c.hold.Reason == None, c.claims}
}

// fitsLocked reports whether the wall clock is consistent with the last time that the store recorded before this start.
func (c *Clock) fitsLocked(is reading, last storeTime) bool {
	if last.Wall.IsZero() {
		return true
	}
	if ahead, ok := is.ahead(last.reading); ok { // the host has not rebooted since, so the elapsed time is known
		return abs(ahead) <= c.bound
	}
	gone := is.Wall.Sub(last.Wall)
	return gone >= -c.bound && gone <= absence
}

// begun reports whether a Keeper has already called starts for this clock.
func (c *Clock) begun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compared
}

// starts holds dates until the clock has been compared. The trusted time begins at the last time in the store, if there is one.
func (c *Clock) starts(last storeTime) {
	c.mu.Lock()
	defer c.mu.Unlock()
	is, trusted := c.readLocked()
	if last.Wall.IsZero() { // nothing contradicts the clock
		c.dates = latest(c.dates, trusted)
	} else {
		c.dates = latest(c.dates, last.Wall)
		trusted = last.Wall
		if gone, ok := is.since(last.reading); ok {
			trusted = trusted.Add(gone)
		}
	}
	c.hold, c.compared = Hold{}, true
	c.holdLocked(Starting, is, trusted)
}

// kept records that this controller keeps the store's time. If dates were held with the reason Starting, kept releases them.
func (c *Clock) kept() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims = false
	if is, _ := c.readLocked(); c.hold.Reason == Starting {
		c.releaseLocked(is, "compared")
	}
}

// beat returns the record to publish to the other controllers.
func (c *Clock) beat() beat {
	c.mu.Lock()
	defer c.mu.Unlock()
	is, _ := c.readLocked()
	return beat{reading: is, Hold: c.hold.Reason, Jumps: c.jumps}
}

// Members returns the clocks of the other controllers that are present, as last reported.
func (c *Clock) Members() []Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.members)
}
