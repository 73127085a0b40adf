package netsim

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// lateTimers is a clock whose timers run a quarter late. The first retransmission of a SYN, after 1 s (RFC 6298 section 2.1),
// would otherwise race with a client that gives up after 1 s, and a blocked attempt would be sometimes one packet, sometimes two.
// A timer that fires late is always within what TCP and neighbour discovery allow.
type lateTimers struct {
	tcpip.Clock
}

func late(d time.Duration) time.Duration { return d + d/4 }

// AfterFunc implements tcpip.Clock.
func (c lateTimers) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	return lateTimer{c.Clock.AfterFunc(late(d), f)}
}

type lateTimer struct {
	tcpip.Timer
}

// Reset implements tcpip.Timer.
func (t lateTimer) Reset(d time.Duration) { t.Timer.Reset(late(d)) }
