package clock

import "time"

// A Source provides the wall clock and the monotonic clock of a host.
type Source struct {
	// Wall returns the time of the wall clock, which can be set. If Wall is nil, time.Now is used.
	Wall func() time.Time
	// Elapsed returns the time since Boot on a monotonic clock. It includes the time that the host was suspended if the system can
	// measure that. If Elapsed is nil, the monotonic reading of Wall is used, which on Linux does not include suspended time.
	Elapsed func() time.Duration
	// Boot identifies the origin of Elapsed. Two readings are comparable only if they have the same Boot.
	Boot string
}

// A reading holds the values of both clocks at one moment.
type reading struct {
	Wall    time.Time     `json:"wall"`
	Elapsed time.Duration `json:"elapsed"`
	Boot    string        `json:"boot"`
}

func (s Source) withDefaults() Source {
	if s.Wall == nil {
		s.Wall = time.Now
	}
	if s.Elapsed == nil {
		s.Boot = processBoot
	}
	return s
}

func (s Source) read() reading {
	now := s.Wall()
	r := reading{Wall: now.Round(0), Boot: s.Boot}
	if s.Elapsed != nil {
		r.Elapsed = s.Elapsed()
	} else {
		r.Elapsed = now.Sub(processStart)
	}
	return r
}

// since returns the time that has passed since an earlier reading. ok is false if the readings have different values of Boot.
func (r reading) since(earlier reading) (d time.Duration, ok bool) {
	return r.Elapsed - earlier.Elapsed, r.Boot == earlier.Boot
}

// ahead returns how far the wall clock of r is ahead of the wall clock of other. The result is exact even if the readings were taken at
// different times. ok is false if the readings have different values of Boot.
func (r reading) ahead(other reading) (d time.Duration, ok bool) {
	gone, ok := r.since(other)
	return r.Wall.Sub(other.Wall) - gone, ok
}

func abs(d time.Duration) time.Duration { return max(d, -d) }
