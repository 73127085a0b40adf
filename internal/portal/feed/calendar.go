package feed

import (
	"strings"
	"time"
	"unicode"

	ics "github.com/arran4/golang-ical"

	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/site"
)

// CalendarType is the media type of a calendar (RFC 5545 section 8.1).
const CalendarType = "text/calendar; charset=utf-8"

// MaxEvents is the maximum number of events that ICalendar writes. The earliest in the list are kept.
const MaxEvents = 1000

// A Calendar has the dates of the programme in one language. Each is a whole day at the policy's UTC offset on which a phase begins, or the moment at
// which it does.
type Calendar struct {
	Site     *site.Site
	Language lang.Language
	Title    string
	Events   []Event
}

// An Event is a day in a calendar.
type Event struct {
	// Name identifies the event within the site, for example by line group and phase. It never changes, so that a calendar program moves the
	// event when its day changes.
	Name        string
	Day         policy.Date
	At          time.Time // if the phase begins at an hour of the day; zero otherwise
	Title, Text string
	// Path is the path of the event's page below the site's address, without a slash at the beginning.
	Path string
	// Changed is the time at which the event was last changed, and Revision the revision of the policy in which it was.
	Changed  time.Time
	Revision uint64
}

// ICalendar returns the calendar. Lines end with CRLF and have at most 75 octets (section 3.1).
func (c *Calendar) ICalendar() []byte {
	cal := ics.NewCalendar()
	cal.SetProductId("-//op25b//portal//" + strings.ToUpper(string(c.Language)))
	cal.SetVersion("2.0")
	cal.SetCalscale("GREGORIAN")
	cal.SetName(line(c.Title))    // writes NAME (RFC 7986), and X-WR-CALNAME for programs that do not know it
	cal.SetRefreshInterval("P1D") // the name of the property in the library has the parameter VALUE already
	for i := range min(len(c.Events), MaxEvents) {
		e := &c.Events[i]
		event := cal.AddEvent(line(e.Name) + "/" + string(c.Language) + "@" + c.Site.Host())
		event.SetDtStampTime(e.Changed.UTC()) // without METHOD it is the time of the last change (section 3.8.7.2)
		event.SetModifiedAt(e.Changed.UTC())
		event.SetSequence(int(min(e.Revision, 1<<31-1))) // an INTEGER has 31 bits (section 3.3.8)
		if e.At.IsZero() {
			day := e.Day.Start(0)
			event.SetAllDayStartAt(day)
			event.SetAllDayEndAt(day.AddDate(0, 0, 1)) // the end is exclusive (section 3.6.1)
		} else {
			event.SetStartAt(e.At.UTC()) // without an end, the event ends when it begins (section 3.6.1)
		}
		event.SetSummary(line(e.Title))
		if e.Text != "" {
			event.SetDescription(paragraphs(e.Text))
		}
		event.SetURL(c.Site.URL + e.Path)
		event.SetTimeTransparency(ics.TransparencyTransparent) // nobody is busy because of it
	}
	return []byte(cal.Serialize(ics.WithNewLineWindows))
}

// line returns a text on one line, without control characters.
func line(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), unicode.IsControl), " ")
}

// paragraphs returns a text without control characters other than line breaks (section 3.3.11).
func paragraphs(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = line(lines[i])
	}
	return strings.Join(lines, "\n")
}
