package pipeline

import "time"

// The kinds of packets between a controller and the switch itself, as in p4src/headers.p4.
const (
	packetClock = 1
	packetProbe = 2
)

// A PacketField is a field of the header that precedes the payload of a packet-in or packet-out. ID is its P4Runtime metadata id. Value is a
// big-endian number.
type PacketField struct {
	ID    uint32
	Value []byte
}

// ClockPacketOut returns the header of a packet-out that the switch returns at once, with its payload and the time of its clock.
func ClockPacketOut() []PacketField { return packetOut(packetClock) }

// ReadClockPacketIn decodes the header of a packet-in. It returns the time of the switch's clock when the packet-out arrived, a whole number of
// microseconds below 2^48. ok is false if the packet-in does not answer a packet-out of ClockPacketOut.
func ReadClockPacketIn(header []PacketField) (clock time.Duration, ok bool) {
	return readPacketIn(packetClock, header)
}

func packetOut(kind byte) []PacketField {
	return []PacketField{{ID: packetOutKindField + 1, Value: []byte{kind}}}
}

// readPacketIn decodes the header of a packet-in of one kind.
func readPacketIn(want byte, header []PacketField) (clock time.Duration, ok bool) {
	var kind [1]byte
	var timestamp [6]byte
	var hasKind, hasTimestamp bool
	for _, f := range header {
		switch {
		case f.ID == packetInKindField+1 && !hasKind && fits(kind[:], f.Value):
			hasKind = true
		case f.ID == packetInTimestampField+1 && !hasTimestamp && fits(timestamp[:], f.Value):
			hasTimestamp = true
		default:
			return 0, false
		}
	}
	if !hasKind || !hasTimestamp || kind[0] != want {
		return 0, false
	}
	return time.Duration(toUint(timestamp[:])) * time.Microsecond, true
}
