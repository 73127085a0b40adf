package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/bring/bringtest"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/softswitch/engine"
)

// TestSwitchClock verifies that a controller reads a switch's clock over the CPU port, that the clock advances like this host's, and that the
// packets are neither forwarded nor counted.
func TestSwitchClock(t *testing.T) {
	onEveryTarget(t, filtering(1, 1, 1), func(t *testing.T, d *device) {
		before := counted(t, d, 1)
		first, err := d.session.Clock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var last p4rt.ClockReading
		for range 20 {
			if last, err = d.session.Clock(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		gone := last.Switch - first.Switch
		least, most := last.Sent.Sub(first.Received), last.Received.Sub(first.Sent)
		const resolution = 2 * time.Microsecond
		if gone < least-resolution || gone > most+resolution {
			t.Errorf("the switch's clock advanced by %v, this host's by %v to %v", gone, least, most)
		}
		for port, frames := range d.through(t, nil) {
			if len(frames) != 0 {
				t.Errorf("port %d sent %x", port, frames)
			}
		}
		if after := counted(t, d, 1); after != before {
			t.Errorf("the packets were counted: before\n%s\nafter\n%s", before, after)
		}
	})
}

// TestPacketOutsOfOtherKinds verifies that the switch returns no packet-out of an unknown kind, and still returns the next one for the clock.
func TestPacketOutsOfOtherKinds(t *testing.T) {
	onEveryTarget(t, filtering(1, 1, 1), func(t *testing.T, d *device) {
		for _, kind := range []byte{0, 3, 255} {
			for _, payload := range [][]byte{{1}, segment(t, netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("203.0.113.1"), 25), bytes.Repeat([]byte{1}, 1500)} {
				if err := d.session.PacketOut(t.Context(), &p4v1.PacketOut{Payload: payload, Metadata: []*p4v1.PacketMetadata{{MetadataId: 1, Value: []byte{kind}}}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		wantNoPacketIn(t, d)
		for port, frames := range d.through(t, nil) {
			if len(frames) != 0 {
				t.Errorf("port %d sent %x", port, frames)
			}
		}
	})
}

// wantNoPacketIn verifies that the switch has sent no packet-in. The answer to a packet-out comes after every earlier packet-in.
func wantNoPacketIn(t *testing.T, d *device) {
	t.Helper()
	if _, err := d.session.Clock(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-d.session.PacketIns():
		t.Errorf("the switch sent the packet-in %v", p)
	default:
	}
}

// TestFramesThatLookLikePacketOuts verifies that a frame of another port with the bytes of a packet-out, or of a packet-in, is an ordinary frame.
func TestFramesThatLookLikePacketOuts(t *testing.T) {
	onEveryTarget(t, filtering(1, 1, 1), func(t *testing.T, d *device) {
		nonce := bytes.Repeat([]byte{0x5a}, 16)
		out := append([]byte{1}, nonce...)
		in := append([]byte{1, 0, 0, 0, 0, 0, 1}, nonce...)
		var frames []sent
		for _, p := range d.state.AllPorts {
			frames = append(frames, sent{p, out}, sent{p, in})
		}
		// The bytes are those of an Ethernet frame to an unknown group address, of no known protocol. A line's frame goes to the network port,
		// and a frame of the network port is flooded.
		want := [][]byte{out, in}
		got := d.through(t, frames)
		for _, p := range d.state.AllPorts {
			if len(got[p]) != 2 || !bytes.Equal(got[p][0], want[0]) || !bytes.Equal(got[p][1], want[1]) {
				t.Errorf("port %d sent %x, want %x", p, got[p], want)
			}
		}
		wantNoPacketIn(t, d)
	})
}

// TestNoFrameLeavesByTheCPUPort verifies that no frame of a port becomes a packet-in: not by a station at port 510, which the program's restriction
// forbids and bmv2 accepts, nor by a flood group that has port 510, which no restriction covers.
func TestNoFrameLeavesByTheCPUPort(t *testing.T) {
	onEveryTarget(t, filtering(1, 1, 1), func(t *testing.T, d *device) {
		station := pipeline.MAC{2, 0, 0, 0, 9, 9}
		const cpu = "\x01\xfe"
		forward := func(table, action uint32, match []*p4v1.FieldMatch) *p4v1.Update {
			return &p4v1.Update{Type: p4v1.Update_INSERT, Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{
				TableId: table, Match: match,
				Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{ActionId: action, Params: []*p4v1.Action_Param{{ParamId: 1, Value: []byte(cpu)}}}}},
			}}}}
		}
		exact := func(id uint32, value []byte) *p4v1.FieldMatch {
			return &p4v1.FieldMatch{FieldId: id, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: value}}}
		}
		bridge := forward(0x02000009, 0x0100000a, []*p4v1.FieldMatch{exact(1, station[:])})
		switch err := d.session.Write(t.Context(), []*p4v1.Update{bridge}); {
		case d.name == "embedded" && (err == nil || !strings.Contains(err.Error(), "port < 510")):
			t.Errorf("a station at the CPU port: error is %v, want one that quotes the restriction", err)
		case d.name == "bmv2" && err != nil:
			t.Fatal(err)
		}
		flood := &p4v1.Update{Type: p4v1.Update_MODIFY, Entity: &p4v1.Entity{Entity: &p4v1.Entity_PacketReplicationEngineEntry{
			PacketReplicationEngineEntry: &p4v1.PacketReplicationEngineEntry{Type: &p4v1.PacketReplicationEngineEntry_MulticastGroupEntry{
				MulticastGroupEntry: &p4v1.MulticastGroupEntry{MulticastGroupId: 2, Replicas: []*p4v1.Replica{
					{PortKind: &p4v1.Replica_Port{Port: []byte{accessPort}}, Instance: 1},
					{PortKind: &p4v1.Replica_Port{Port: []byte{networkPort}}, Instance: 1},
					{PortKind: &p4v1.Replica_Port{Port: binary.BigEndian.AppendUint16(nil, uint16(pipeline.CPUPort))}, Instance: 1},
				}},
			}},
		}}}
		if err := d.session.Write(t.Context(), []*p4v1.Update{flood}); err != nil {
			t.Fatal(err)
		}
		frame := func(to pipeline.MAC) []byte {
			return append(append(to[:], 2, 0, 0, 0, 7, 7, 0x88, 0xb5), make([]byte, 46)...)
		}
		all := pipeline.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		got := d.through(t, []sent{{accessPort, frame(station)}, {networkPort, frame(station)}, {networkPort, frame(all)}})
		if n := len(got[accessPort]); n == 0 {
			t.Error("the flood did not come out of the access port, so the test shows nothing")
		}
		wantNoPacketIn(t, d)
	})
}

// TestSwitchWithoutCPUPort verifies that the clock of a switch without a CPU port or without the program is an error that says so. The error of
// bmv2, which is silent, names the option that is missing.
func TestSwitchWithoutCPUPort(t *testing.T) {
	want := func(t *testing.T, session *p4rt.Session, text string) {
		t.Helper()
		_, err := session.Clock(t.Context())
		if !errors.Is(err, p4rt.ErrNoClock) || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want ErrNoClock with %q", err, text)
		}
	}
	converge := func(t *testing.T, session *p4rt.Session) {
		t.Helper()
		if _, err := bringtest.Converge(t.Context(), session, filtering(1, 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		session := serveEngine(t, engine.Options{}, func(*engine.Engine) {})
		want(t, session, "the switch refuses the packet-out: no forwarding pipeline")
		converge(t, session)
		want(t, session, "the switch refuses the packet-out: packet_out: this switch has no CPU port")
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		wants(t, "bmv2", reason)
		session := dialPrimary(t, startBareBMv2(t, path, 1, nil, nil))
		converge(t, session)
		want(t, session, "bmv2 needs a CPU port: simple_switch_grpc ... -- --cpu-port 510")
	})
}
