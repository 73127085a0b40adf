package pipeline

import (
	"bytes"
	"testing"
	"time"
)

// TestProbePacket verifies the bytes of a probe, and that only a complete packet-in of the kind probe is an answer.
func TestProbePacket(t *testing.T) {
	frame := []byte{0xaa, 0xbb}
	header, payload := ProbePacketOut(0x1fd, 0x01020304, frame)
	if len(header) != len(packetOutFields) || header[0].ID != 1 || !bytes.Equal(header[0].Value, []byte{2}) {
		t.Errorf("the header is %v", header)
	}
	if want := []byte{0x01, 0xfd, 1, 2, 3, 4, 0xaa, 0xbb}; !bytes.Equal(payload, want) {
		t.Errorf("the payload is %x, want %x", payload, want)
	}
	if tag, ok := ProbeTag(payload); !ok || tag != 0x01020304 {
		t.Errorf("tag %#x, %t", tag, ok)
	}
	if _, ok := ProbeTag(payload[:5]); ok {
		t.Error("five bytes have a tag")
	}

	in := []PacketField{{1, []byte{2}}, {2, []byte{7}}}
	answer := []byte{1, 2, 3, 4, 3, 25, 1, 6, 9, 0x12, 0x34, 0x00, 0x0b, 0, 0, 0xaa, 0xbb}
	want := Probed{
		Clock: 7 * time.Microsecond, Verdict: Drop, Rule: 25, Leg: UpDst, Service: 6, Line: Line{Group: 9, Index: 0x1234}, Egress: 11,
	}
	tag, got, back, ok := ReadProbePacketIn(in, answer)
	if !ok || tag != 0x01020304 || got != want || !bytes.Equal(back, frame) {
		t.Errorf("%#x, %+v, %x, %t; want %+v", tag, got, back, ok, want)
	}
	replicated := bytes.Clone(answer)
	copy(replicated[11:], []byte{0x01, 0xff, 0, 2})
	if _, got, _, _ := ReadProbePacketIn(in, replicated); got.Egress != 0 || got.Group != 2 {
		t.Errorf("replicated: %+v", got)
	}
	for name, c := range map[string]struct {
		header  []PacketField
		payload []byte
	}{
		"a clock":   {[]PacketField{{1, []byte{1}}, {2, []byte{7}}}, answer},
		"no time":   {in[:1], answer},
		"too short": {in, answer[:14]},
	} {
		if _, _, _, ok := ReadProbePacketIn(c.header, c.payload); ok {
			t.Errorf("%s is taken for an answer", name)
		}
	}
}
