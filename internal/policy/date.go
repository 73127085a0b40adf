package policy

import (
	"fmt"
	"time"
)

// A Date is a calendar day at the policy's UTC offset.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDate parses an ISO 8601 date such as 2006-10-01.
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return Date{}, fmt.Errorf("%w %q: a date is written year-month-day, as in 2006-10-01", ErrDate, text)
	}
	y, m, d := t.Date()
	return Date{y, m, d}, nil
}

// String returns the date in the form that ParseDate reads.
func (d Date) String() string { return d.Start(0).Format(time.DateOnly) }

// MarshalYAML returns the date as text, for strict.Encode.
func (d Date) MarshalYAML() (any, error) { return d.String(), nil }

// IsZero reports whether d is the zero value, which means that no date was given.
func (d Date) IsZero() bool { return d == Date{} }

// Start returns the moment at which the day begins at the given UTC offset.
func (d Date) Start(at Offset) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, at.Location())
}

// next returns the day after d.
func (d Date) next() Date {
	y, m, day := d.Start(0).AddDate(0, 0, 1).Date()
	return Date{y, m, day}
}

// Before reports whether d is an earlier day than other.
func (d Date) Before(other Date) bool { return d.Start(0).Before(other.Start(0)) }

// A Moment is a minute of a calendar day at the policy's UTC offset. By default it is the start of the day.
type Moment struct {
	Date
	Minute int // of the day, from 0 to 1439
}

// momentForm is the form of a Moment that is not the start of its day.
const momentForm = "2006-01-02T15:04"

// ParseMoment parses a date such as 2006-10-01, or a date with a time such as 2006-10-01T05:30.
func ParseMoment(text string) (Moment, error) {
	if d, err := ParseDate(text); err == nil {
		return Moment{Date: d}, nil
	}
	t, err := time.Parse(momentForm, text)
	if err != nil || t.Format(momentForm) != text {
		return Moment{}, fmt.Errorf("%w %q: a date is written year-month-day, and may have a time, as in 2006-10-01 or 2006-10-01T05:30", ErrDate, text)
	}
	y, m, d := t.Date()
	return Moment{Date{y, m, d}, t.Hour()*60 + t.Minute()}, nil
}

// String returns the moment in the form that ParseMoment reads, without a time if it is the start of the day.
func (m Moment) String() string {
	if m.Minute == 0 {
		return m.Date.String()
	}
	return m.Start(0).Format(momentForm)
}

// MarshalYAML returns the moment as text, for strict.Encode.
func (m Moment) MarshalYAML() (any, error) { return m.String(), nil }

// Start returns the moment at the given UTC offset.
func (m Moment) Start(at Offset) time.Time {
	return m.Date.Start(at).Add(time.Duration(m.Minute) * time.Minute)
}

// Before reports whether m is earlier than other.
func (m Moment) Before(other Moment) bool { return m.Start(0).Before(other.Start(0)) }

// An Offset is a UTC offset in minutes, positive east of UTC. A policy has an offset instead of a time zone, so that no
// time zone database is needed.
type Offset int16

// MaxOffset is the largest UTC offset in use: 14 hours, in Kiribati.
const MaxOffset Offset = 14 * 60

// ParseOffset parses a UTC offset such as +09:00, -03:30 or Z.
func ParseOffset(text string) (Offset, error) {
	t, err := time.Parse("Z07:00", text)
	if err == nil {
		_, seconds := t.Zone()
		// time.Parse accepts +09:60 and returns +10:00, so compare the text with the result.
		if o := Offset(seconds / 60); o >= -MaxOffset && o <= MaxOffset && (o == 0 || o.String() == text) {
			return o, nil
		}
	}
	return 0, fmt.Errorf("%w %q: an offset is written as in +09:00, between -14:00 and +14:00", ErrOffset, text)
}

// String returns the offset in the form that ParseOffset reads.
func (o Offset) String() string {
	return time.Unix(0, 0).In(time.FixedZone("", int(o)*60)).Format("Z07:00")
}

// MarshalYAML returns the offset as text, for strict.Encode.
func (o Offset) MarshalYAML() (any, error) { return o.String(), nil }

// Location returns a fixed time zone with this offset.
func (o Offset) Location() *time.Location {
	if o == 0 {
		return time.UTC
	}
	return time.FixedZone(o.String(), int(o)*60)
}
