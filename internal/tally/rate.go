package tally

import (
	"slices"
	"time"

	"op25b/internal/telemetry"
)

const (
	// rateWindow is the longest time over which a rate is measured. Two sample intervals replace it if they are longer.
	rateWindow = time.Minute
	// pointsPerWindow limits the number of earlier values that are kept for each switch. With 50 interfaces and 200 totals, a point takes
	// 7 KB.
	pointsPerWindow = 4
	// bootJitter is the tolerated variation of a boot-time, because some targets compute it from an uptime.
	bootJitter = time.Second
)

// numCounters is the number of counters of an interface.
const numCounters = len(telemetry.Interface{}.Counters)

// A point holds the values of an earlier sample.
type point struct {
	at, boot   time.Time
	taken      time.Time         // the time at which the point was recorded, by the host's clock
	keys       []Key             // the keys of the totals; points share this slice
	totals     []telemetry.Count // the totals, in the order of keys
	interfaces []reported
	counters   [][numCounters]uint64
}

// reported identifies an interface and the counters that the switch reports for it.
type reported struct {
	name     string
	counters [numCounters]bool
}

// measure sets the rates of a sample if there are earlier values, and remembers the sample's values. A rate is measured over at least
// least and at most window.
//
// measure forgets values from before a restart of the switch or a change of its interfaces. Otherwise, packets that were counted long ago
// would appear in a rate as new ones.
func (d *sampling) measure(s *Sample, window, least time.Duration) {
	now := d.point(s)
	if n := len(d.points); n > 0 {
		last := &d.points[n-1]
		if now.boot.Sub(last.boot).Abs() > bootJitter || now.at.Before(last.at) || !slices.Equal(now.interfaces, last.interfaces) {
			d.points = nil
		}
	}
	d.points = slices.DeleteFunc(d.points, func(p point) bool { return now.at.Sub(p.at) > window })
	if len(d.points) > 0 {
		if base := &d.points[0]; now.at.Sub(base.at) >= least {
			d.rate(s, base, now.at.Sub(base.at))
		}
	}
	if n := len(d.points); n == 0 || now.at.Sub(d.points[n-1].at) >= d.every(window) {
		if n > 0 {
			now.interfaces = d.points[n-1].interfaces // they are equal
		}
		d.points = append(d.points, now)
	}
}

// every is the least time between two points.
func (d *sampling) every(window time.Duration) time.Duration {
	if d.idle {
		return window / 2
	}
	return window / pointsPerWindow
}

// point returns the values of a sample. The time of the point is the arrival of the newest interface counters.
func (d *sampling) point(s *Sample) point {
	p := point{
		boot: s.Boot, totals: make([]telemetry.Count, 0, len(s.Totals)),
		interfaces: make([]reported, 0, len(s.Interfaces)), counters: make([][numCounters]uint64, len(s.Interfaces)),
	}
	for i := range s.Interfaces {
		in := &s.Interfaces[i]
		p.interfaces = append(p.interfaces, reported{in.Name, in.Reported})
		p.counters[i] = in.Counters
		if in.Seen.After(p.at) {
			p.at = in.Seen
		}
	}
	if p.at.IsZero() {
		p.at = s.Status.Updated
	}
	for _, n := range s.Totals {
		p.totals = append(p.totals, n.Count)
	}
	if n := len(d.points); n > 0 {
		p.keys = d.points[n-1].keys
	}
	if !slices.EqualFunc(p.keys, s.Totals, func(k Key, n SampledTotal) bool { return k == n.Key }) {
		p.keys = make([]Key, len(s.Totals))
		for i := range s.Totals {
			p.keys[i] = s.Totals[i].Key
		}
	}
	return p
}

// rate sets the rates of a sample relative to the earlier values in base. A total that is missing from base is taken as 0.
func (d *sampling) rate(s *Sample, base *point, over time.Duration) {
	s.RatesOver = over
	perSecond := func(now, then uint64) float64 {
		if now < then { // a counter has wrapped
			return 0
		}
		return float64(now-then) / over.Seconds()
	}
	next := 0
	for i := range s.Totals {
		n := &s.Totals[i]
		var then telemetry.Count
		at := next // the keys are usually the same
		if at >= len(base.keys) || base.keys[at] != n.Key {
			at = slices.Index(base.keys, n.Key)
		}
		if at >= 0 {
			then, next = base.totals[at], at+1
		}
		n.PacketRate, n.OctetRate = perSecond(n.Packets, then.Packets), perSecond(n.Octets, then.Octets)
	}
	for i := range s.Interfaces {
		in := &s.Interfaces[i]
		for c := range in.Counters {
			in.Rates[c] = perSecond(in.Counters[c], base.counters[i][c])
		}
	}
}
