// Package tickets receives the support tickets about mail that support desks report, for the gate of a rollout.
//
// The package knows no line and stores nothing. Its errors contain nothing from a message, because they are logged.
package tickets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits on messages.
const (
	// MaxBody is the largest size of a message in bytes. MaxTickets tickets with long names have less.
	MaxBody = 128 << 10
	// MaxTickets is the largest number of tickets in a message.
	MaxTickets = 200
	// maxID, maxName and maxKind are the largest sizes of an id, of the name of a line or switch, and of a kind in bytes.
	maxID, maxName, maxKind = 128, 256, 32
	// maxAhead is how much later than its message a ticket may have been opened.
	maxAhead = time.Minute
)

// Mail is the kind of the tickets about mail. No other ticket counts.
const Mail = "mail"

// ErrMalformed is returned for a message that cannot be read.
var ErrMalformed = errors.New("malformed report of support tickets")

// A Ticket is a support ticket. It is about exactly one line, address or switch.
type Ticket struct {
	// ID is the support desk's number of the ticket. A ticket that is reported again counts once.
	ID string
	// At is the time at which the ticket was opened.
	At time.Time
	// Kind is what the ticket is about.
	Kind string
	// Line is the name of a line, and Address an address of a line. Switch is the name of a switch, if the line is not known.
	Line    string
	Address netip.Addr
	Switch  string
}

// An Outcome says what became of a ticket. It is a label of metrics.
type Outcome string

// The outcomes of tickets.
const (
	Counted   Outcome = "counted"     // it is recorded
	Known     Outcome = "known"       // it was recorded before
	NoLine    Outcome = "no-line"     // it is recorded, and the inventory has no such line, address or switch
	OtherKind Outcome = "other-kind"  // it is not about mail
	Idle      Outcome = "not-watched" // no rollout is running that watches tickets
	Full      Outcome = "full"        // there are too many tickets
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome { return []Outcome{Counted, Known, NoLine, OtherKind, Idle, Full} }

// form is the JSON form of a message.
type form struct {
	Tickets *[]ticketForm `json:"tickets"`
}

type ticketForm struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Line    string    `json:"line"`
	Address string    `json:"address"`
	Switch  string    `json:"switch"`
}

// Parse reads a message, which is a JSON object with a list of tickets. The list may be empty: then the message only says that the support desk is
// there. sent is the time of the message. Parse returns ErrMalformed if the message has unknown keys, or a ticket that cannot be one.
func Parse(body []byte, sent time.Time) ([]Ticket, error) {
	if !utf8.Valid(body) {
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrMalformed)
	}
	var m form
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, fault(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the object", ErrMalformed)
	}
	switch {
	case m.Tickets == nil:
		return nil, fmt.Errorf(`%w: it has no "tickets": an empty list says that there are no new ones`, ErrMalformed)
	case len(*m.Tickets) > MaxTickets:
		return nil, fmt.Errorf("%w: it has %d tickets, and may have %d; send more messages", ErrMalformed, len(*m.Tickets), MaxTickets)
	}
	all := make([]Ticket, len(*m.Tickets))
	for i, x := range *m.Tickets {
		var err error
		if all[i], err = x.ticket(sent); err != nil {
			return nil, fmt.Errorf("%w: tickets[%d]: %w", ErrMalformed, i, err)
		}
	}
	return all, nil
}

// fault says what is wrong with a message, without anything from it.
func fault(err error) string {
	typed, untimely := (*json.UnmarshalTypeError)(nil), (*time.ParseError)(nil)
	switch {
	case errors.As(err, &typed):
		return fmt.Sprintf("the value of %q is of the wrong type", typed.Field)
	case errors.As(err, &untimely), strings.HasPrefix(err.Error(), "Time.UnmarshalJSON"):
		return `a "time" is not like "2006-06-15T09:00:00+09:00"`
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return `it has an unknown key: the object has "tickets", and a ticket has "id", "time", "kind", and one of "line", "address" and "switch"`
	}
	return "it is not JSON"
}

// ticket checks a ticket of a message.
func (x ticketForm) ticket(sent time.Time) (Ticket, error) {
	about := 0
	for _, text := range []string{x.Line, x.Address, x.Switch} {
		if text != "" {
			about++
		}
	}
	t := Ticket{ID: x.ID, At: x.Time.UTC(), Kind: x.Kind, Line: x.Line, Switch: x.Switch}
	switch {
	case x.ID == "" || len(x.ID) > maxID:
		return t, fmt.Errorf(`the "id" has %d bytes: must be 1 to %d`, len(x.ID), maxID)
	case x.Kind == "" || len(x.Kind) > maxKind:
		return t, fmt.Errorf(`the "kind" has %d bytes: must be 1 to %d, such as %q`, len(x.Kind), maxKind, Mail)
	case x.Time.IsZero():
		return t, errors.New(`it has no "time", at which the ticket was opened`)
	case x.Time.Sub(sent) > maxAhead:
		return t, fmt.Errorf("it was opened %v after its message was signed; compare the clocks", x.Time.Sub(sent).Round(time.Second))
	case about != 1:
		return t, fmt.Errorf(`it has %d of "line", "address" and "switch": must have one`, about)
	case len(x.Line) > maxName || len(x.Switch) > maxName:
		return t, fmt.Errorf("the name of its line or switch has more than %d bytes", maxName)
	}
	if x.Address != "" {
		a, err := netip.ParseAddr(x.Address)
		if err != nil {
			return t, errors.New(`the "address" is not like 192.0.2.1 or 2001:db8::1`)
		}
		t.Address = a.Unmap().WithZone("")
	}
	return t, nil
}
