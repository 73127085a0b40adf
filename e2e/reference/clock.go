package reference

import (
	"net/netip"
	"time"
)

// A clock second is 2^20 microseconds, because a switch computes it from its timestamp by a shift.
const clockSecondBits = 20

// second returns the clock second of a time.
func second(at time.Duration) int64 { return at.Microseconds() >> clockSecondBits }

// Maximum numbers of rejects in one clock second, per line and per switch.
const (
	maxLineRejects = 3
	maxRejects     = 1000
)

// rejects counts the ICMP errors that were sent in the current clock second.
type rejects struct {
	second int64
	total  int
	line   map[int]int
}

// take reports whether another ICMP error may be sent, and counts the error if so.
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

// A connection is the key under which a SYN and its SYN-ACK are matched.
type connection struct {
	subscriber, remote netip.Addr // address in the outer header; address in the inner header
	port               uint16     // the subscriber's port
}

// sent records the last times at which SYNs of a connection passed toward the network.
type sent struct {
	last       int64
	maybe      int64 // time of a SYN that passed only if a token bucket permitted it
	sure, seen bool  // whether last is valid; whether maybe is valid
}

// remembered is the number of clock seconds for which a SYN is remembered. If the age of the SYN is within one second of this limit, the
// model makes no prediction.
const remembered = 64

// follow records SYNs to port 25 toward the network, and classifies SYN-ACKs from port 25 (section 10).
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
