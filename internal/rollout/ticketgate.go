package rollout

import (
	"fmt"
	"time"
)

// A TicketBound is how many lines of a ring may have support tickets since the ring got the change. The zero value means that tickets are not
// watched.
type TicketBound struct {
	Lines int `json:"lines,omitempty"`
	// Within is the age of the newest message of a support desk at which there are no data. A desk without new tickets sends messages too.
	Within time.Duration `json:"within,omitempty"`
}

// DefaultTicketsWithin allows a support desk that reports every minute to miss some reports, and a restart of its system.
const DefaultTicketsWithin = 5 * time.Minute

// Tickets are the support tickets about mail of a ring since the ring got the change.
type Tickets struct {
	// Lines is the number of lines of the ring with tickets. A ticket that names a switch and no line counts as a line of its own.
	Lines int
	// Unplaced is the number of tickets for which no line of the inventory was found. They may be of this ring.
	Unplaced int
	// Heard is the time of the newest message of the support desk that was silent for the longest time. It is zero if a desk was never heard.
	Heard time.Time
	// Silent says which desk that is, for a person.
	Silent string
	// Full is set if no more tickets are recorded.
	Full bool
}

// tickets compares the lines with support tickets with the bound. Tickets that cannot be placed may be of the ring, so as many of them hold it too.
func (e evaluation) tickets() Finding {
	bound, seen := e.Gates.Tickets, e.Reading.Tickets
	switch age := e.Time.Sub(seen.Heard); {
	case bound.Lines == 0:
		return e.finding(TicketsOpened, Pass, "support tickets are not watched, because the ring has no bound for them")
	case seen.Lines > bound.Lines:
		return e.finding(TicketsOpened, Hold, fmt.Sprintf("lines with support tickets since the change: %d, and at most %d may have some", seen.Lines, bound.Lines))
	case seen.Unplaced > bound.Lines:
		return e.finding(TicketsOpened, Hold, fmt.Sprintf("support tickets of unknown lines since the change: %d; at most %d lines may have tickets, and these may be in the ring", seen.Unplaced, bound.Lines))
	case seen.Full:
		return e.finding(TicketsOpened, Hold, "there are so many support tickets that no more are recorded")
	case seen.Heard.IsZero():
		return e.finding(TicketsOpened, NoData, fmt.Sprintf("%s was not heard yet, and must be heard every %v", seen.desk(), bound.Within))
	case age > bound.Within:
		return e.finding(TicketsOpened, NoData, fmt.Sprintf("%s was last heard %v ago, and must be heard every %v", seen.desk(), age.Round(time.Second), bound.Within))
	}
	return e.finding(TicketsOpened, Pass, fmt.Sprintf("lines with support tickets since the change: %d of at most %d", seen.Lines, bound.Lines))
}

// desk returns who is silent.
func (t Tickets) desk() string {
	if t.Silent == "" {
		return "a support desk"
	}
	return "the support desk " + t.Silent
}
