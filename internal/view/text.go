package view

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/view/prose"
)

// plain escapes an untrusted text so that it can be shown on one line.
func plain(s string) string { return prose.Escape(s) }

// wrapped breaks a text into lines of at most Width columns.
func wrapped(first, s string, hang int) string { return prose.Wrap(first, s, hang, Width) }

// A zone renders the times in one answer with the same UTC offset.
type zone struct{ at *time.Location }

// zone returns the zone for a policy's UTC offset, such as "+09:00". The policy's dates begin and end in this zone. If utcOffset is empty,
// zone returns the caller's zone.
func (t *table) zone(utcOffset string) zone {
	if z, ok := zoneOf(utcOffset); ok {
		return z
	}
	return t.local()
}

func zoneOf(utcOffset string) (zone, bool) {
	at, err := time.Parse("Z07:00", utcOffset)
	_, seconds := at.Zone()
	return zone{time.FixedZone("", seconds)}, err == nil
}

// local returns a zone with the caller's current UTC offset, for answers without a policy.
func (t *table) local() zone {
	_, seconds := t.opts.Now().In(t.opts.Location).Zone()
	return zone{time.FixedZone("", seconds)}
}

// moment renders a time to the second, with its UTC offset.
func (z zone) moment(ts *timestamppb.Timestamp) string {
	if ts == nil {
		return "-"
	}
	return ts.AsTime().In(z.at).Format("2006-01-02 15:04:05 -0700")
}

// end renders the end of a period. If it is a midnight, the period lasts until the end of the day before.
func (z zone) end(ts *timestamppb.Timestamp) string {
	at := ts.AsTime().In(z.at)
	if ts == nil || at.Hour() != 0 || at.Minute() != 0 || at.Second() != 0 {
		return z.moment(ts)
	}
	return "the end of " + at.AddDate(0, 0, -1).Format(time.DateOnly)
}

// day renders the date of a time.
func (z zone) day(ts *timestamppb.Timestamp) string {
	return ts.AsTime().In(z.at).Format(time.DateOnly)
}

// head renders the heading of a column of times. The heading contains the UTC offset.
func (z zone) head() string { return "WHEN (" + time.Time{}.In(z.at).Format("-0700") + ")" }

// when renders a time to the second without its UTC offset, which is in the column's head.
func (z zone) when(ts *timestamppb.Timestamp) string {
	if ts == nil {
		return "-"
	}
	return ts.AsTime().In(z.at).Format(time.DateTime)
}

// since renders the time that has passed since a timestamp in its two largest units.
func (t *table) since(ts *timestamppb.Timestamp) string {
	if ts == nil {
		return "-"
	}
	d := t.opts.Now().Sub(ts.AsTime())
	if d < 0 { // the clocks of the two hosts may differ
		d = 0
	}
	return age(d)
}

func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d < 100*day:
		return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

// bytesOf renders a number of bytes with a unit, such as 21 KiB or 3.1 MiB.
func bytesOf(n uint64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", (n+1<<10-1)>>10)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// ANSI SGR codes for coloured output. The output is complete without colours.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

func (t *table) colour(code, s string) string {
	if !t.opts.Colour || code == "" || s == "" {
		return s
	}
	body := strings.TrimRight(s, "\n")
	return "\x1b[" + code + "m" + body + "\x1b[0m" + s[len(body):]
}
