package abuse

import (
	"cmp"
	"slices"
	"time"

	"github.com/axiomhq/hyperloglog"

	"op25b/internal/pipeline"
)

// A kind identifies traffic that a rule treats alike. It consists of the service, the server's class and the leg, as the switches number
// them.
type kind struct {
	service pipeline.Service
	remote  pipeline.Class
	leg     pipeline.Leg
}

// A use records that a line sent mail of one kind. It distinguishes a line with one server from a line with several. If the line's group
// is not watched, nothing else is stored about the line.
type use struct {
	last    int32  // the last day with an attempt
	several int32  // the last day on which a second server was seen; 0 if there was none
	server  uint64 // the keyed hash of one server
	seen    int32  // the last day on which that server was seen
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

// A day is the activity of a watched line on one day in the policy's time zone.
type day struct {
	number                          int32  // the number of days since 1970-01-01
	attempts                        uint64 // the number of mail flows that open a connection
	monitored, stopped, unsolicited uint64 // the numbers of packets; unsolicited counts SYN-ACKs without a SYN
	hours                           uint32 // the hours with attempts; bit 0 is the hour that begins at midnight
	servers                         *hyperloglog.Sketch
}

// A line is the activity of one line.
type line struct {
	uses  map[kind]use
	days  []day // ordered by number; only for watched lines
	class Class
	since time.Time // when the line entered its class
}

// today returns the day with the given number, which must not be before the last day.
func (l *line) today(number int32) *day {
	if n := len(l.days); n == 0 || l.days[n-1].number < number {
		l.days = append(l.days, day{number: number})
	}
	return &l.days[len(l.days)-1]
}

// expire removes expired records, and reports whether nothing is left.
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

// counts returns the estimated number of servers that the line tried to reach on a day.
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

// dayOf returns the number of the day and the hour in a time zone.
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

// A Use describes a line's mail of one kind in the last UseDays days.
type Use struct {
	Service pipeline.Service
	Remote  pipeline.Class
	Leg     pipeline.Leg
	Several bool // the line tried to reach more than one server
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
