package wire

import (
	"fmt"
	"sync/atomic"
)

// Stats counts the frames of a link since it was opened.
type Stats struct {
	Sent     uint64 // accepted by Send and not dropped
	Received uint64 // handed to Serve's recv
	Dropped  uint64 // found a queue full, on the way out or in
	Invalid  uint64 // arrived with a size that no link carries, and were discarded
}

// A Counted link reports its statistics. Every Link of this package implements it.
type Counted interface {
	Stats() Stats
}

// Counters are the Stats of a link that is in use. Its zero value is ready.
type Counters struct {
	Sent, Received, Dropped, Invalid atomic.Uint64
}

// Stats returns the counters' values, each read separately.
func (c *Counters) Stats() Stats {
	return Stats{Sent: c.Sent.Load(), Received: c.Received.Load(), Dropped: c.Dropped.Load(), Invalid: c.Invalid.Load()}
}

// CheckSize returns nil for a frame length that every Link carries, and otherwise ErrRunt or ErrOversized in a message with the link and
// the size.
func CheckSize(link string, length int) error {
	switch {
	case length == 0:
		return fmt.Errorf("link %q: %w: 0 bytes, a frame has at least 1", link, ErrRunt)
	case length > MaxFrame:
		return fmt.Errorf("link %q: %w: %d bytes, a frame has at most %d", link, ErrOversized, length, MaxFrame)
	}
	return nil
}
