package reference

import (
	"encoding/binary"
	"slices"
	"time"
)

// cpuPort is the port at which packets from a controller enter and leave.
const cpuPort = 510

// packetOut returns how the switch handles a packet from a controller (section 3). A packet of kind 1 goes back with the switch's time in us in
// front of its payload. One of kind 2 goes back with the answer to a probe. Other packets go nowhere.
func (m *Model) packetOut(at time.Duration, packet []byte) Decision {
	d := Decision{Shape: Other, Way: NoAnswer, Outcome: NoOutcome}
	if port, frame, ok := probe(packet); ok {
		answer := m.Probe(at, port, frame)
		d.Way, d.Passes, d.Probed = Probe, true, &answer
		return d
	}
	if len(packet) == 0 || packet[0] != 1 {
		return d
	}
	stamp := binary.BigEndian.AppendUint64(nil, uint64(at.Microseconds()))[2:]
	d.Way, d.Passes = Clock, true
	d.Out = []Output{{cpuPort, slices.Concat(packet[:1], stamp, packet[1:])}}
	return d
}

// Probe returns what a probe for a frame answers, at the time at of the switch's clock. It changes nothing in the model. Its Out is where the frame
// would go if a token bucket lets it pass.
func (m *Model) Probe(at time.Duration, port uint16, frame []byte) Decision {
	return m.decide(at, port, frame, true)
}

// probe returns the port and the frame that a packet from a controller asks about.
func probe(packet []byte) (port uint16, frame []byte, ok bool) {
	const header = 1 + 2 + 4 // the kind, the port, and a tag for the controller
	if len(packet) < header || packet[0] != 2 {
		return 0, nil, false
	}
	port = binary.BigEndian.Uint16(packet[1:])
	return port, packet[header:], port < cpuPort
}

// foresee determines what the verdict would do to a packet, without what depends on the packets before: a probe is answered as if the answers to
// rejected connections were not limited, and does not ask a token bucket.
func (m *Model) foresee(d *Decision, p *packet, up bool, way path, port uint16) {
	d.Out = outputs(way.pass, p.frame)
	switch d.Verdict {
	case Drop, Reject:
		d.Passes, d.Out = false, outputs(way.drop, p.frame)
		if d.Verdict == Reject && opens(d, p, up) {
			if from, ok := m.answerable(p); ok {
				d.Rejected, d.Out = true, []Output{{port, answer(p, from)}}
			}
		}
	case Limit:
		if p.flags && !p.syn {
			d.Verdict = Permit
		}
	}
}

// opens reports whether a segment opens a connection of a line to a server's mail port, and may therefore be answered.
func opens(d *Decision, p *packet, up bool) bool {
	return up && d.Leg == UpDst && p.flags && p.syn && !p.ack
}
