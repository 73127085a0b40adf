package reference

import (
	"net/netip"
	"time"
)

// A clock second is 2^20 microseconds: a switch computes it from its timestamp by a shift.
const clockSecondBits = 20

// second is the clock second of a time.
func second(at time.Duration) int64 { return at.Microseconds() >> clockSecondBits }

// The most rejects in one clock second.
const (
	maxLineRejects = 3
	maxRejects     = 1000
)

// rejects counts the ICMP errors of a clock second.
type rejects struct {
	second int64
	total  int
	line   map[int]int
}

// take reports whether one more may be sent, and counts it if so.
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

// A connection is the key that a SYN and its SYN-ACK have in common.
type connection struct {
	subscriber, remote netip.Addr // of the outer and of the inner header
	port               uint16     // the subscriber's
}

// sent records when SYNs of a connection went up.
type sent struct {
	last       int64
	maybe      int64 // of a SYN for which a token bucket decided
	sure, seen bool  // last is valid, maybe is valid
}

// remembered is the number of clock seconds for which a SYN is remembered. From one second less to one more, the model makes no prediction.
const remembered = 64

// follow records SYNs to port 25 that go up, and classifies SYN-ACKs from port 25 (section 10).
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
