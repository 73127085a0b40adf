package history

import (
	"cmp"
	"context"
	"time"
)

// A Key names a counter of a switch: the packets that a rule matched, on a leg of a connection, in a phase. Leg and Phase may be empty.
type Key struct{ Switch, Rule, Leg, Phase string }

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Switch, b.Switch), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Leg, b.Leg), cmp.Compare(a.Phase, b.Phase))
}

// A History answers what was counted in a time in the past.
type History interface {
	// Range returns the counts of a range. It returns ErrQuery for a query without meaning, and ErrBound, naming the bound, for a query
	// that would return too much.
	Range(ctx context.Context, q Query) (*Result, error)
}

// A Query selects counters and a range of time.
type Query struct {
	// Switches and Rules are names. An empty list selects all.
	Switches, Rules []string
	// From and To limit the range to From <= time < To. The range is extended to whole steps since 1970 in UTC.
	From, To time.Time
	// Step is the length of a point, in whole minutes. 0 selects the finest step at which the answer is within all bounds, and at which
	// From is not older than the data.
	Step time.Duration
}

// A Result is the answer to a query.
type Result struct {
	From, To time.Time // the range, extended to whole steps
	Step     time.Duration
	Series   []Series // ordered by key
}

// A Series contains the counts of one key.
type Series struct {
	Key Key
	// Since is the time from which the counter is known to the history. Nothing is known about the time before.
	Since time.Time
	// Points are ordered by time. A point without packets means that there was no traffic. A point that is missing means that nothing is
	// known about that time: the switch was not recorded then, or the data have expired.
	Points []Point
}

// A Point is what a counter counted in a step.
type Point struct {
	Start           time.Time
	Packets, Octets uint64
	// Covered is how much of the step was recorded, and at most a step. It is the divisor of a rate. If it is 0, the packets were counted
	// in a gap without records that ended in this step: the time at which they passed is not known.
	Covered time.Duration
}

// The bounds of a query.
const (
	// MaxPoints is the largest number of points a series: a day in minutes fits.
	MaxPoints = 1500
	// MaxSeries is the largest number of series of a query: 1,000 switches with 20 counters each.
	MaxSeries = 20_000
	// MaxValues is the largest number of points of a query. 2 million points of 48 bytes take 96 MB.
	MaxValues = 2_000_000
	// MaxNames is the largest number of switches and of rules in a query.
	MaxNames = 10_000
)
