package netsim

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// lateTimers is a clock whose timers fire a quarter late, which TCP and neighbour discovery allow. With exact timers, a client that gives
// up after 1 s races with the first retransmission of its SYN, also after 1 s (RFC 6298 section 2.1). A blocked attempt would then send
// either one packet or two.
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
