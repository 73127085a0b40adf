package abuse

import (
	"cmp"
	"slices"
	"time"

	"github.com/axiomhq/hyperloglog"

	"op25b/internal/pipeline"
)

// A kind is a kind of traffic that a rule decides alike: the service, the class of the server and the leg, in the numbers of the switches.
type kind struct {
	service pipeline.Service
	remote  pipeline.Class
	leg     pipeline.Leg
}

// A use records that a line sent mail of one kind. It tells one server from several, and is all that is kept of a line whose group is not
// watched.
type use struct {
	last    int32  // the last day
	several int32  // the last day on which there was a second server; 0 if there was none
	server  uint64 // the keyed hash of one server
	seen    int32  // the last day of that server
}

// add records an attempt to reach a server.
func (u *use) add(today int32, server uint64) {
	switch {
	case u.server == 0 || today-u.seen >= UseDays:
		u.server, u.seen = server, today
	case u.server == server:
		u.seen = today
	default:
		u.several = today
	}
	u.last = today
}

// precision is the precision of a sketch: 2^10 registers. A sketch takes at most about 2 kB, and its estimate has a standard error of
// 1.04/sqrt(1024) = 3.3 %. Up to some hundred servers, the estimate is nearly exact.
const precision = 10

// A day is the activity of a watched line on one day of the policy's time zone.
type day struct {
	number                          int32  // the days since 1970-01-01
	attempts                        uint64 // mail flows that open a connection
	monitored, stopped, unsolicited uint64 // packets; unsolicited is the number of SYN-ACKs without a SYN
	hours                           uint32 // bit 0 is the hour that begins at midnight
	servers                         *hyperloglog.Sketch
}

// A line is the activity of one line.
type line struct {
	uses  map[kind]use
	days  []day // in order; only of watched lines
	class Class
	since time.Time // when the line got its class
}

// today returns the day with a number, which must not be before the last one.
func (l *line) today(number int32) *day {
	if n := len(l.days); n == 0 || l.days[n-1].number < number {
		l.days = append(l.days, day{number: number})
	}
	return &l.days[len(l.days)-1]
}

// expire removes what is too old, and reports whether nothing is left.
func (l *line) expire(today int32, days int) bool {
	for k, u := range l.uses {
		if today-u.last >= UseDays {
			delete(l.uses, k)
		}
	}
	keep := slices.IndexFunc(l.days, func(d day) bool { return today-d.number < int32(days) })
	if keep < 0 {
		keep = len(l.days)
	}
	if keep > 0 {
		l.days = slices.Clone(l.days[keep:])
	}
	return len(l.uses) == 0 && len(l.days) == 0
}

// counts returns the number of servers that a day's attempts went to.
func (d *day) counts() uint64 {
	if d.servers == nil {
		return 0
	}
	return d.servers.Estimate()
}

// features summarises the last ClassDays days.
func (l *line) features(today int32) Features {
	var f Features
	for i := range l.days {
		d := &l.days[i]
		if today-d.number >= ClassDays {
			continue
		}
		f.Attempts += d.attempts
		f.Monitored += d.monitored
		f.Stopped += d.stopped
		f.Servers = max(f.Servers, d.counts())
		f.Unsolicited = max(f.Unsolicited, d.unsolicited)
		f.Hours |= d.hours
		if d.attempts > 0 {
			f.Days++
		}
	}
	return f
}

// dayOf returns the number of the day and the hour at a time in a time zone.
func dayOf(t time.Time, zone *time.Location) (number int32, hour int) {
	t = t.In(zone)
	_, offset := t.Zone()
	return int32(floorDiv(t.Unix()+int64(offset), 86400)), t.Hour()
}

func floorDiv(a, b int64) int64 {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}

// A Use is what is known of a line's mail of one kind in the last UseDays days.
type Use struct {
	Service pipeline.Service
	Remote  pipeline.Class
	Leg     pipeline.Leg
	Several bool // whether there was more than one server
}

// recent returns the uses of the last UseDays days, in a fixed order.
func (l *line) recent(today int32) []Use {
	var all []Use
	for k, u := range l.uses {
		if today-u.last < UseDays {
			all = append(all, Use{k.service, k.remote, k.leg, u.several != 0 && today-u.several < UseDays})
		}
	}
	slices.SortFunc(all, func(a, b Use) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Remote, b.Remote), cmp.Compare(a.Leg, b.Leg))
	})
	return all
}
