package wire

import (
	"fmt"
	"sync/atomic"
)

// Stats counts the frames of a link since it was opened.
type Stats struct {
	Sent     uint64 // frames that Send accepted and did not drop
	Received uint64 // frames that Serve passed to recv
	Dropped  uint64 // frames dropped because a queue was full, in either direction
	Invalid  uint64 // received frames that were discarded because they were too short or too long for a link
}

// A Counted link reports its statistics. Every Link of this package implements it.
type Counted interface {
	Stats() Stats
}

// Counters holds the Stats of an open link. The zero value is ready to use.
type Counters struct {
	Sent, Received, Dropped, Invalid atomic.Uint64
}

// Stats returns the current counts. Each counter is read separately, so the counts need not be from the same moment.
func (c *Counters) Stats() Stats {
	return Stats{Sent: c.Sent.Load(), Received: c.Received.Load(), Dropped: c.Dropped.Load(), Invalid: c.Invalid.Load()}
}

// CheckSize returns nil if every Link carries frames of the given length. Otherwise it returns ErrRunt or ErrOversized with a message that
// names the link and the size.
func CheckSize(link string, length int) error {
	switch {
	case length == 0:
		return fmt.Errorf("link %q: %w: 0 bytes, a frame has at least 1", link, ErrRunt)
	case length > MaxFrame:
		return fmt.Errorf("link %q: %w: %d bytes, a frame has at most %d", link, ErrOversized, length, MaxFrame)
	}
	return nil
}
