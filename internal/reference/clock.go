package reference

import (
	"net/netip"
	"time"
)

// A clock second is 2^20 microseconds, so that a switch can compute it from its timestamp with a shift.
const clockSecondBits = 20

// second returns the clock second that contains a time.
func second(at time.Duration) int64 { return at.Microseconds() >> clockSecondBits }

// clockSeconds is the number of seconds after which a switch's clock, which has 48 bits, starts again at 0.
const clockSeconds = 1 << (48 - clockSecondBits)

// ended reports whether a clock second has been reached. The half of the clock's range that precedes now is the past (section 7).
func ended(until, now int64) bool {
	since := (now - until) % clockSeconds
	if since < 0 {
		since += clockSeconds
	}
	return since < clockSeconds/2
}

// The maximum numbers of rejects in one clock second, per line and per switch.
const (
	maxLineRejects = 3
	maxRejects     = 1000
)

// rejects counts the ICMP errors sent in the present clock second.
type rejects struct {
	second int64
	total  int
	line   map[int]int
}

// take reports whether another ICMP error may be sent. If so, it counts the error.
func (r *rejects) take(now int64, line int) bool {
	if now != r.second {
		r.second, r.total = now, 0
		clear(r.line)
	}
	if r.line[line] >= maxLineRejects || r.total >= maxRejects {
		return false
	}
	r.line[line]++
	r.total++
	return true
}

// A connection is the key for matching a SYN-ACK with its SYN.
type connection struct {
	subscriber, remote netip.Addr // subscriber is the address in the outer header; remote is the address in the inner header
	port               uint16     // the subscriber's port
}

// sent records when SYNs of a connection last passed toward the network.
type sent struct {
	last       int64
	maybe      int64 // the time of a SYN that passed only if a token bucket permitted it
	sure, seen bool  // sure states whether last is valid; seen states whether maybe is valid
}

// remembered is the number of clock seconds for which a SYN is remembered. If a SYN's age is within one second of this limit, the
// model makes no prediction.
const remembered = 64

// follow records SYNs to port 25 that pass toward the network, and classifies SYN-ACKs from port 25 (section 10).
func (m *Model) follow(d *Decision, p *packet, up bool, now int64) {
	if p.shape != TCP || !p.flags || !p.syn {
		return
	}
	if up {
		c := connection{p.outer.src, p.inner.dst, p.srcPort}
		s := m.syns[c]
		switch {
		case p.ack || p.dstPort != 25 || !d.Passes:
			return
		case d.Timed:
			s.maybe, s.seen = now, true
		default:
			s.last, s.sure = now, true
		}
		m.syns[c] = s
		return
	}
	if !p.ack || p.srcPort != 25 {
		return
	}
	s := m.syns[connection{p.outer.dst, p.inner.src, p.dstPort}]
	switch {
	case s.sure && now-s.last < remembered-1:
		d.Unsolicited = Answers
	case s.sure && now-s.last <= remembered+1, s.seen && now-s.maybe <= remembered+1:
		d.Unsolicited = AnswersMaybe
	default:
		d.Unsolicited = AnswersNone
	}
	if d.Else != nil {
		d.Else.Unsolicited = d.Unsolicited
	}
}

// Forget makes the model forget the frames before, as if they had been long ago.
func (m *Model) Forget() {
	clear(m.syns)
	clear(m.rejects.line)
	m.rejects.total = 0
}
