package bring

import (
	"testing"
	"time"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// TestUntil verifies which end an exemption has in the switch, given the end that it has there already.
func TestUntil(t *testing.T) {
	now := time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC)
	host := time.Now() // differs from now, as in a simulation
	var read p4rt.SwitchClock
	read.Observe(p4rt.ClockReading{Switch: 1000 * time.Hour, Sent: host, Received: host})
	in := func(away time.Duration) pipeline.ClockSecond {
		until, ok := read.NotBefore(host.Add(away), host)
		if !ok {
			t.Fatal("the clock is not known")
		}
		return until
	}
	const hour, far = time.Hour, p4rt.MaxEnd + time.Hour
	known := Ending{Clock: read, Now: now, Host: host}
	unknown, held, starting, unchanged, blind := known, known, known, known, known
	unknown.Clock = p4rt.SwitchClock{}
	held.Trust, starting.Trust = Held, Starting
	unchanged.Trust, unchanged.Unchanged = Held, true
	blind.Clock, blind.Unchanged = p4rt.SwitchClock{}, true
	for name, c := range map[string]struct {
		ending Ending
		away   time.Duration
		has    pipeline.ClockSecond
		want   pipeline.ClockSecond
		sure   bool
	}{
		"new":                                   {known, hour, 0, in(hour), true},
		"as it is":                              {known, hour, in(hour), in(hour), true},
		"almost as it is":                       {known, hour, in(hour) + 2, in(hour) + 2, true},
		"another":                               {known, hour, in(hour) + 3, in(hour), true},
		"a far one, almost as it is":            {known, 1000 * hour, in(1000*hour) + 300, in(1000*hour) + 300, true},
		"extended":                              {known, 48 * hour, in(24 * hour), in(48 * hour), true},
		"shortened":                             {known, 24 * hour, in(48 * hour), in(24 * hour), true},
		"past":                                  {known, -hour, in(-hour), in(-hour), true},
		"the farthest":                          {known, p4rt.MaxEnd, 0, in(p4rt.MaxEnd), true},
		"too far":                               {known, far, 0, 0, true},
		"extended too far":                      {known, far, in(hour), 0, true},
		"clock not known":                       {unknown, hour, 0, 0, false},
		"clock no longer known":                 {unknown, hour, in(hour), 0, false},
		"clock not known, nothing has changed":  {blind, hour, in(hour), in(hour), false},
		"held":                                  {held, hour, 0, 0, false},
		"held, as it is":                        {held, hour, in(hour), in(hour), true},
		"held, extended":                        {held, 48 * hour, in(24 * hour), 0, false},
		"held, another, nothing has changed":    {unchanged, hour, in(2 * hour), in(2 * hour), false},
		"held, none, nothing has changed":       {unchanged, hour, 0, 0, false},
		"starting":                              {starting, hour, 0, 0, false},
		"starting, as it is":                    {starting, hour, in(hour), in(hour), true},
		"starting, another":                     {starting, hour, in(2 * hour), in(2 * hour), false},
		"starting, too far":                     {starting, far, 0, 0, true},
		"another hand wrote one for the past":   {known, hour, in(-hour), in(hour), true},
		"another hand removed it":               {known, hour, 0, in(hour), true},
		"after the clock of the switch was set": {known, hour, in(1000 * hour), in(hour), true},
	} {
		if until, sure := c.ending.Until(now.Add(c.away), c.has); until != c.want || sure != c.sure {
			t.Errorf("%s: second %d, sure %t; want %d, %t", name, until, sure, c.want, c.sure)
		}
	}
}
