package clock

import (
	"fmt"
	"time"
)

// A HoldReason is the reason why a controller holds dates.
type HoldReason int

// The reasons, in the same order as in the API.
const (
	// None means that dates are not held.
	None HoldReason = iota
	// Starting means that the clock has not been compared with the clocks of the other controllers yet.
	Starting
	// Skew means that the clock differs from the clocks of most other controllers, or from the store's time while another controller
	// keeps it.
	Skew
	// Jump means that the wall clock was set while the controller was running.
	Jump
	// Restart means that the clock contradicts the last time in the store, and no other controller is present for a comparison.
	Restart
)

// String returns the name of the reason for logs and metrics.
func (r HoldReason) String() string {
	switch r {
	case None:
		return "none"
	case Starting:
		return "starting"
	case Skew:
		return "skew"
	case Jump:
		return "jump"
	case Restart:
		return "restart"
	default:
		return fmt.Sprintf("reason %d", int(r))
	}
}

// MarshalText returns the name of the reason.
func (r HoldReason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText sets the reason to the one with the given name. A name that this version does not have becomes Starting, so that a controller of a
// later version does not confirm another clock by mistake.
func (r *HoldReason) UnmarshalText(text []byte) error {
	for known := None; known <= Restart; known++ {
		if string(text) == known.String() {
			*r = known
			return nil
		}
	}
	*r = Starting
	return nil
}

// A Hold describes whether a controller holds dates, and why.
type Hold struct {
	Reason HoldReason
	// Ahead is how far the wall clock was ahead of the trusted time when the hold began. It is negative if the wall clock was behind.
	Ahead time.Duration
	// Since is the trusted time when the hold began.
	Since time.Time
}

// String describes the hold in words for operators.
func (h Hold) String() string {
	way := Way(h.Ahead)
	switch h.Reason {
	case None:
		return "the clock is trusted"
	case Starting:
		return "the clock has not been compared with those of the other controllers yet"
	case Skew:
		return "the clock is " + way + " the time of the other controllers"
	case Jump:
		return "the clock was set: it is " + way + " where it should be after the time that has passed"
	default:
		return "the clock is " + way + " what the last time in the store allows"
	}
}

// Way describes a difference in words, such as "2h0m0s ahead of" or "3s behind".
func Way(ahead time.Duration) string {
	precision := time.Millisecond
	if abs(ahead) > time.Minute {
		precision = time.Second
	}
	if ahead < 0 {
		return (-ahead).Round(precision).String() + " behind"
	}
	return ahead.Round(precision).String() + " ahead of"
}

// vouches reports whether a controller with this reason can confirm another controller's clock. A clock that was set, or was not compared
// yet, cannot confirm another clock.
func (r HoldReason) vouches() bool { return r == None || r == Skew }
