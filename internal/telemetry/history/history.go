package history

import (
	"cmp"
	"context"
	"time"
)

// A Kind is what a counter counts.
type Kind uint8

const (
	Rules      Kind = iota // the packets that rules matched
	Interfaces             // the frames that entered or left interfaces
	numKinds
)

// A Key names a counter of a switch.
//
// The counter of a rule counts the packets that the rule matched on a leg of a connection in a phase. Leg and Phase may be empty. The counter of
// an interface has only Interface and Direction, and counts the frames that entered the interface (in) or left it (out).
type Key struct{ Switch, Rule, Leg, Phase, Interface, Direction string }

func compareKeys(a, b Key) int {
	return cmp.Or(
		cmp.Compare(a.Switch, b.Switch), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Leg, b.Leg), cmp.Compare(a.Phase, b.Phase),
		cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Direction, b.Direction),
	)
}

// A History answers queries about past counts.
type History interface {
	// Range returns the counts of rules in a range of time, by key. It returns ErrQuery for an invalid query. If the answer would be too large, it
	// returns ErrBound, and the message names the bound.
	Range(ctx context.Context, q Query) (*Result, error)
	// Sum returns the counts of rules or interfaces in a range of time, summed over switches and phases. Its errors are those of Range.
	Sum(ctx context.Context, q SumQuery) (*Sums, error)
}

// A Query selects counters of rules and a range of time.
type Query struct {
	// Switches and Rules are names. An empty list selects all names.
	Switches, Rules []string
	// From and To limit the range to From <= time < To. The range is extended to whole steps since 1970 in UTC.
	From, To time.Time
	// Step is the length of a point, in whole minutes. 0 selects the finest step that keeps the answer within all bounds and for which
	// data as old as From are still kept.
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
	// Since is the time of the counter's first record. Nothing is known about the time before.
	Since time.Time
	// Points are ordered by time. A point without packets means that there was no traffic. A missing point means that nothing is known
	// about that time, because the switch was not recorded or the data have expired.
	Points []Point
}

// A Point has the packets and octets of a step.
type Point struct {
	Start           time.Time
	Packets, Octets uint64
	// Covered is the part of the step that was recorded; it never exceeds the step. A rate is the count divided by Covered. If Covered is
	// 0, the packets were counted in a gap without records that ended in this step, and the time at which they passed is not known.
	Covered time.Duration
}

// The bounds of a query.
const (
	// MaxPoints is the largest number of points per series. A day in minutes is below this limit.
	MaxPoints = 1500
	// MaxSeries is the largest number of series in an answer, which is enough for 1,000 switches with 20 counters each.
	MaxSeries = 20_000
	// MaxValues is the largest number of points in an answer. 2 million points of 48 bytes take 96 MB.
	MaxValues = 2_000_000
	// MaxNames is the largest number of switches in a query, and the largest number of rules.
	MaxNames = 10_000
)
