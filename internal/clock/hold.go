package clock

import (
	"fmt"
	"time"
)

// A HoldReason is the reason why a controller holds dates.
type HoldReason int

// The reasons, in the order of the API.
const (
	// None: dates are not held.
	None HoldReason = iota
	// Starting: the clock has not been compared with those of the other controllers yet.
	Starting
	// Skew: the clock differs from those of most other controllers, or from the store's time, which another controller keeps.
	Skew
	// Jump: the wall clock was set while the controller ran.
	Jump
	// Restart: the clock contradicts the last time in the store, and no other controller is present to compare it with.
	Restart
)

// String returns the reason for logs and metrics.
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

// UnmarshalText reads a name. An unknown name, from a later version, becomes Starting, so that such a clock does not confirm another one.
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
	// Ahead is how far the wall clock was ahead of the trusted time when the hold began; negative if behind.
	Ahead time.Duration
	// Since is the trusted time at which the hold began.
	Since time.Time
}

// String describes the reason for people.
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

// Way describes a difference: "2h0m0s ahead of", "3s behind".
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

// vouches reports whether a member with a hold can confirm another clock. A clock that was set or has not been compared cannot confirm
// another one.
func (r HoldReason) vouches() bool { return r == None || r == Skew }
