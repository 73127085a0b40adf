package pipeline

import (
	"encoding/binary"
	"time"
)

// A Probed is what a switch would do with a frame: the answer to a probe. The filter has not decided about the frame if Verdict, Leg, Service and
// Rule are all 0.
type Probed struct {
	// Clock is the time of the switch's clock when the probe arrived.
	Clock time.Duration
	// Verdict is 0 if the frame passes and no rule decided. It is Limit if the line's rate decides, for a probe takes no token; Reject if the
	// frame would be answered, unless the switch has sent too many answers in that second; and Drop if a rule rejects it without an answer.
	Verdict VerdictAction
	Rule    RuleID
	Leg     Leg
	Service Service
	Line    Line // the zero value for the unnamed line
	// Egress is the port by which the frame or the answer would leave. It is 0 if there is no single port: the frame would be dropped, or
	// replicated to Group.
	Egress Port
	Group  uint16 // the multicast group; 0 is none
}

// portUnknown is the number that p4src/forward.p4 has for no single port.
const portUnknown = 511

// The lengths of the headers in the payload of a probe and of its answer, in front of the frame.
const (
	probeBytes       = 2 + 4
	probeAnswerBytes = 4 + 5 + 3*2
)

// ProbePacketOut returns the header and the payload of a probe: a packet-out that the switch returns with its decision about a frame that would
// enter by a port. The tag identifies the answer.
func ProbePacketOut(port Port, tag uint32, frame []byte) (header []PacketField, payload []byte) {
	payload = make([]byte, 0, probeBytes+len(frame))
	payload = binary.BigEndian.AppendUint16(payload, uint16(port))
	payload = binary.BigEndian.AppendUint32(payload, tag)
	return packetOut(packetProbe), append(payload, frame...)
}

// ProbeTag returns the tag of a probe's payload. ok is false if it is too short to be one.
func ProbeTag(payload []byte) (tag uint32, ok bool) {
	if len(payload) < probeBytes {
		return 0, false
	}
	return binary.BigEndian.Uint32(payload[2:]), true
}

// ReadProbePacketIn decodes a packet-in. frame shares memory with payload. ok is false if the packet-in does not answer a probe.
func ReadProbePacketIn(header []PacketField, payload []byte) (tag uint32, answer Probed, frame []byte, ok bool) {
	clock, ok := readPacketIn(packetProbe, header)
	if !ok || len(payload) < probeAnswerBytes {
		return 0, Probed{}, nil, false
	}
	answer = Probed{
		Clock:   clock,
		Verdict: VerdictAction(payload[4]),
		Rule:    RuleID(payload[5]),
		Leg:     Leg(payload[6]),
		Service: Service(payload[7]),
		Line:    Line{Group: LineGroup(payload[8]), Index: LineIndex(binary.BigEndian.Uint16(payload[9:]))},
		Egress:  Port(binary.BigEndian.Uint16(payload[11:])),
		Group:   binary.BigEndian.Uint16(payload[13:]),
	}
	if answer.Egress == portUnknown {
		answer.Egress = 0
	}
	return binary.BigEndian.Uint32(payload), answer, payload[probeAnswerBytes:], true
}
