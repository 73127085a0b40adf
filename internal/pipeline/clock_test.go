package pipeline

import (
	"testing"
	"time"
)

// TestClockPacket verifies that only a complete header of the kind clock is the answer to a packet-out for the clock.
func TestClockPacket(t *testing.T) {
	kind, stamp := PacketField{1, []byte{1}}, PacketField{2, []byte{0x01, 0x00, 0x00, 0x00}}
	for name, c := range map[string]struct {
		header []PacketField
		want   time.Duration
		ok     bool
	}{
		"clock":            {[]PacketField{kind, stamp}, (1 << 24) * time.Microsecond, true},
		"in any order":     {[]PacketField{stamp, kind}, (1 << 24) * time.Microsecond, true},
		"zero":             {[]PacketField{kind, {2, nil}}, 0, true},
		"last":             {[]PacketField{kind, {2, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}}, (1<<48 - 1) * time.Microsecond, true},
		"leading zeros":    {[]PacketField{kind, {2, []byte{0, 0, 0, 0, 0, 0, 0, 7}}}, 7 * time.Microsecond, true},
		"too large":        {[]PacketField{kind, {2, []byte{1, 0, 0, 0, 0, 0, 0}}}, 0, false},
		"another kind":     {[]PacketField{{1, []byte{2}}, stamp}, 0, false},
		"no kind":          {[]PacketField{stamp}, 0, false},
		"no timestamp":     {[]PacketField{kind}, 0, false},
		"a field too many": {[]PacketField{kind, stamp, {3, nil}}, 0, false},
		"kind twice":       {[]PacketField{{1, []byte{2}}, kind}, 0, false},
		"nothing":          {nil, 0, false},
	} {
		if got, ok := ReadClockPacketIn(c.header); got != c.want || ok != c.ok {
			t.Errorf("%s: %v, %t; want %v, %t", name, got, ok, c.want, c.ok)
		}
	}
	if out := ClockPacketOut(); len(out) != len(packetOutFields) || out[0].ID != 1 || len(out[0].Value) != 1 || out[0].Value[0] != packetClock {
		t.Errorf("the packet-out has the header %v", out)
	}
}
