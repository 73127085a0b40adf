package e2e

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// watched returns a state of two lines with rules that monitor, stop and permit mail, so that each kind of mail flow occurs.
func watched() *pipeline.State {
	s := filtering(1, 0, 1)
	s.Ports[12] = pipeline.Network
	s.Lines[pipeline.LineKey{Port: 2}] = pipeline.Line{Group: 2, Index: 2}
	s.Verdicts[pipeline.VerdictKey{Group: pipeline.Exactly[pipeline.LineGroup](2), Service: pipeline.Exactly[pipeline.Service](smtp), Priority: 9}] = pipeline.Verdict{
		Action: pipeline.Monitor, Rule: 6,
	}
	s.Bridge[pipeline.MAC{2, 0, 0, 0, 1, 2}] = pipeline.BridgePort{Port: 2, Role: pipeline.Access}
	s.NetworkPorts, s.AllPorts = []pipeline.Port{11, 12}, []pipeline.Port{1, 2, 11, 12}
	return s
}

// tcp4 returns a frame of 60 bytes with a TCP segment between a subscriber and a server.
func tcp4(tb testing.TB, from, to pipeline.MAC, src, dst string, sport, dport uint16, flags byte) []byte {
	tb.Helper()
	f := segment(tb, netip.MustParseAddr(src), netip.MustParseAddr(dst), dport)
	copy(f[0:], to[:])
	copy(f[6:], from[:])
	f[34], f[35] = byte(sport>>8), byte(sport)
	f[47] = flags
	return f
}

const (
	flagSYN = 0x02
	flagACK = 0x10
)

// TestMailFlows verifies that a connection that a rule monitors or stops is reported once per window for each line and remote
// address, as a P4Runtime digest. Permitted connections, traffic other than mail, and packets that open no connection must not be
// reported.
func TestMailFlows(t *testing.T) {
	onEveryTarget(t, watched(), func(t *testing.T, d *device) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.session.Write(ctx, []*p4v1.Update{{Type: p4v1.Update_INSERT, Entity: p4rt.FlowDigest(1, 0)}}); err != nil {
			t.Fatal(err)
		}
		other := pipeline.MAC{2, 0, 0, 0, 1, 2}
		const bot, home, mx, mx2, relay, exempt = "192.0.2.11", "192.0.2.12", "203.0.113.129", "203.0.113.130", "172.16.0.5", "10.0.0.0"
		d.through(t, []sent{
			{1, tcp4(t, subscriberMAC, serverMAC, bot, mx, 40000, 25, flagSYN)},
			{1, tcp4(t, subscriberMAC, serverMAC, bot, mx, 40001, 25, flagSYN)},     // the same flow again
			{1, tcp4(t, subscriberMAC, serverMAC, bot, mx2, 40002, 25, flagACK)},    // opens no connection
			{1, tcp4(t, subscriberMAC, serverMAC, bot, relay, 40003, 25, flagSYN)},  // permitted
			{1, tcp4(t, subscriberMAC, serverMAC, exempt, mx2, 40004, 25, flagSYN)}, // permitted
			{1, tcp4(t, subscriberMAC, serverMAC, bot, mx, 40005, 587, flagSYN)},    // permitted
			{1, tcp4(t, subscriberMAC, serverMAC, bot, mx, 40006, 443, flagSYN)},    // not mail
			{2, tcp4(t, other, serverMAC, home, mx, 40000, 25, flagSYN)},
			{11, tcp4(t, serverMAC, subscriberMAC, mx2, bot, 25, 40000, flagSYN|flagACK)},
		})
		want := []pipeline.MailFlow{
			{Line: 1, Leg: pipeline.UpDst, Service: smtp, Rule: 5, Action: pipeline.Drop, Subscriber: netip.MustParseAddr(bot), Remote: netip.MustParseAddr(mx)},
			{Line: 2, Leg: pipeline.UpDst, Service: smtp, Rule: 6, Action: pipeline.Monitor, Subscriber: netip.MustParseAddr(home), Remote: netip.MustParseAddr(mx)},
			{Line: 1, Leg: pipeline.DownSrc, Service: smtp, Rule: 5, Action: pipeline.Drop, SYNACK: true, Subscriber: netip.MustParseAddr(bot), Remote: netip.MustParseAddr(mx2)},
		}
		var got []pipeline.MailFlow
		for len(got) < len(want) {
			select {
			case list := <-d.session.Digests():
				flows, err := p4rt.MailFlows(list)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, flows...)
				if err := d.session.Ack(ctx, list); err != nil {
					t.Fatal(err)
				}
			case <-ctx.Done():
				t.Fatalf("the switch told of %+v, want %+v", got, want)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the switch told of\n%+v, want\n%+v", got, want)
		}
		select {
		case list := <-d.session.Digests():
			t.Errorf("one more list: %v", list)
		default:
		}
	})
}

// TestLineMail verifies that each line's mail is counted by outcome, and that SYN-ACKs from port 25 without a SYN are counted
// separately.
func TestLineMail(t *testing.T) {
	onEveryTarget(t, watched(), func(t *testing.T, d *device) {
		other := pipeline.MAC{2, 0, 0, 0, 1, 2}
		const bot, home, mx, mx2, relay = "192.0.2.11", "192.0.2.12", "203.0.113.129", "203.0.113.130", "172.16.0.5"
		synAck := byte(flagSYN | flagACK)
		d.through(t, []sent{
			{1, tcp4(t, subscriberMAC, serverMAC, bot, mx, 40000, 25, flagSYN)},          // stopped, so it does not reach the server
			{11, tcp4(t, serverMAC, subscriberMAC, mx, bot, 25, 40000, synAck)},          // unsolicited, stopped
			{1, tcp4(t, subscriberMAC, serverMAC, bot, relay, 40001, 25, flagSYN)},       // passed
			{11, tcp4(t, serverMAC, subscriberMAC, relay, bot, 25, 40001, synAck)},       // the reply, passed
			{11, tcp4(t, serverMAC, subscriberMAC, relay, bot, 25, 40009, synAck)},       // unsolicited, because the SYN had another port; passed
			{2, tcp4(t, other, serverMAC, home, mx, 40000, 25, flagSYN)},                 // monitored
			{11, tcp4(t, serverMAC, other, mx, home, 25, 40000, synAck)},                 // the reply, monitored
			{11, tcp4(t, serverMAC, other, mx, home, 25, 40000, flagACK)},                // monitored
			{11, tcp4(t, serverMAC, other, mx2, home, 25, 40000, synAck)},                // unsolicited, because no SYN went to this server; monitored
			{2, tcp4(t, other, serverMAC, home, mx, 40001, 443, flagSYN)},                // not mail
			{11, tcp4(t, serverMAC, pipeline.MAC{2, 0, 0, 0, 2, 9}, mx, home, 25, 1, 0)}, // flooded, because no known line has the MAC address
		})
		want := map[pipeline.LineIndex][4]int64{ // packets passed, monitored, stopped and unsolicited, by line
			0: {0, 0, 1, 0}, 1: {3, 0, 2, 2}, 2: {0, 4, 0, 1}, 3: {},
		}
		for line, counts := range want {
			for outcome, packets := range counts {
				entities, err := d.session.Read(t.Context(), p4rt.LineMailRead(line, pipeline.MailOutcome(outcome)))
				if err != nil || len(entities) != 1 {
					t.Fatalf("%d counters, %v", len(entities), err)
				}
				data := entities[0].GetCounterEntry().GetData()
				if data.GetPacketCount() != packets || data.GetByteCount() != 60*packets {
					t.Errorf("line %d, outcome %d: %d packets and %d bytes, want %d of 60 bytes", line, outcome, data.GetPacketCount(), data.GetByteCount(), packets)
				}
			}
		}
	})
}

// TestLimit verifies that the rate limits a line's new connections in each direction, and that packets that open no connection
// always pass.
func TestLimit(t *testing.T) {
	s := watched()
	for k := range s.Verdicts {
		if s.Verdicts[k].Rule == 5 {
			s.Verdicts[k] = pipeline.Verdict{Action: pipeline.Limit, Rule: 5}
		}
	}
	s.Limits = map[pipeline.LimitKey]pipeline.Rate{
		{Line: 1, From: pipeline.Access}:  {PerSecond: 1, Burst: 3},
		{Line: 1, From: pipeline.Network}: {PerSecond: 1, Burst: 3},
	}
	onEveryTarget(t, s, func(t *testing.T, d *device) {
		const bot, mx = "192.0.2.11", "203.0.113.129"
		const burst, many = 3, 60
		for from, frame := range map[pipeline.Port]func(port uint16, flags byte) []byte{
			1: func(port uint16, flags byte) []byte {
				return tcp4(t, subscriberMAC, serverMAC, bot, mx, port, 25, flags)
			},
			11: func(port uint16, flags byte) []byte {
				return tcp4(t, serverMAC, subscriberMAC, mx, bot, 25, port, flags|flagACK)
			},
		} {
			began := time.Now()
			var frames []sent
			for i := range many {
				frames = append(frames, sent{from, frame(uint16(40000+i), flagSYN)})
			}
			came := d.through(t, frames)
			passed := len(came[11]) + len(came[1])
			// The bucket was also refilled for an unknown time while the frames were in transit.
			if most := burst + 1 + int(time.Since(began)/time.Second); passed < burst || passed > most {
				t.Errorf("from port %d: %d of %d new connections passed, want %d to %d", from, passed, many, burst, most)
			}
			frames = frames[:0]
			for i := range many {
				frames = append(frames, sent{from, frame(uint16(40000+i), flagACK)})
			}
			came = d.through(t, frames)
			if passed := len(came[11]) + len(came[1]); passed != many {
				t.Errorf("from port %d: %d of %d segments that open nothing passed", from, passed, many)
			}
		}
	})
}
