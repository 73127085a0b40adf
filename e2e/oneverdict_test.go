package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"op25b/internal/agent"
	"op25b/internal/fleet"
	"op25b/internal/longform"
	"op25b/internal/openconfig"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/softswitch"
	"op25b/internal/wire"
	"op25b/internal/wire/dataplane"
)

// The ports of the comparison. Port 2 is an access port that no entry names; 12 a second network port.
var comparedPorts = []pipeline.Port{1, 2, 11, 12}

// comparedState has something in every table, a line in a VLAN, and a rule of each kind.
func comparedState() *pipeline.State {
	s := filtering(4, 4, 4)
	s.Ports[12] = pipeline.Network
	s.Lines[pipeline.LineKey{Port: 1, OuterVID: 100}] = pipeline.Line{Group: 2, Index: 2}
	s.Verdicts[pipeline.VerdictKey{Group: pipeline.Exactly[pipeline.LineGroup](2), Service: pipeline.Exactly[pipeline.Service](smtp), Priority: 9}] = pipeline.Verdict{
		Action: pipeline.Monitor, Rule: 6,
	}
	s.Remotes[netip.MustParsePrefix("2001:db8:25::/64")] = relayClass
	s.Bridge[pipeline.MAC{2, 0, 0, 0, 2, 2}] = pipeline.BridgePort{Port: 12, Role: pipeline.Network}
	s.NetworkPorts = []pipeline.Port{11, 12}
	s.AllPorts = comparedPorts
	return s
}

// A device is a switch under comparison: its packets, and its counters.
type device struct {
	name    string
	session *p4rt.Session
	links   map[pipeline.Port]wire.Link
	out     map[pipeline.Port]chan []byte
	source  openconfig.Source
}

// attach converges a switch to a state and plugs into its ports, all over gRPC.
func attach(t *testing.T, name, p4runtime, packets string, state *pipeline.State) *device {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	config := p4rt.Config{Addr: p4runtime, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}}
	session, err := p4rt.Dial(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := session.WaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.Converge(ctx, session, state); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	client, err := dataplane.Dial(ctx, packets, 1)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{name: name, session: session, links: map[pipeline.Port]wire.Link{}, out: map[pipeline.Port]chan []byte{}}
	names := map[uint32]string{}
	var serving sync.WaitGroup
	for _, p := range comparedPorts {
		link, err := client.Port(uint32(p), fmt.Sprint(name, " ", p))
		if err != nil {
			t.Fatal(err)
		}
		out := make(chan []byte, 1024)
		d.links[p], d.out[p], names[uint32(p)] = link, out, fmt.Sprint("port-", p)
		serving.Go(func() { _ = link.Serve(ctx, func(f []byte) { out <- bytes.Clone(f) }) })
	}
	if d.source, err = agent.New(session, names, nil, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = client.Close()
		serving.Wait()
		_ = session.Close()
	})
	return d
}

func attachBMv2(t *testing.T, path string, state *pipeline.State) *device {
	t.Helper()
	packets := freeAddr(t)
	return attach(t, "bmv2", startBMv2(t, path, 1, nil, []string{"--dp-grpc-server-addr", packets}), packets, state)
}

func attachEmbedded(t *testing.T, state *pipeline.State) *device {
	t.Helper()
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sw.Close() })
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", Dataplane: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	return attach(t, "embedded", services.Addrs.P4Runtime, services.Addrs.Dataplane, state)
}

// onEveryTarget runs a test on the embedded switch and on bmv2, each brought to a state, or says in one line that bmv2 is not there.
func onEveryTarget(t *testing.T, state *pipeline.State, test func(t *testing.T, d *device)) {
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		test(t, attachEmbedded(t, state))
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		wants(t, "bmv2", reason)
		test(t, attachBMv2(t, path, state))
	})
}

// through sends frames and returns what came out, by port. Behind the frames goes one marker from each network port, flooded to all the
// others: when they have arrived, whatever the frames led to has too.
func (d *device) through(t *testing.T, frames []sent) map[pipeline.Port][][]byte {
	t.Helper()
	for _, f := range frames {
		if err := d.links[f.port].Send(f.frame); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []pipeline.Port{11, 12} {
		if err := d.links[p].Send(marker(p)); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.After(time.Minute)
	came := map[pipeline.Port][][]byte{}
	for _, p := range comparedPorts {
		last := marker(12)
		if p == 12 {
			last = marker(11)
		}
		for done := false; !done; {
			select {
			case f := <-d.out[p]:
				if done = bytes.Equal(f, last); !done && !bytes.Equal(f, marker(11)) {
					came[p] = append(came[p], f)
				}
			case <-deadline:
				t.Fatalf("%s: port %d has not sent the marker", d.name, p)
			}
		}
	}
	return came
}

func marker(from pipeline.Port) []byte {
	f := append([]byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, byte(from)}, 0x88, 0xb5)
	return append(f, make([]byte, 46)...)
}

type sent struct {
	port  pipeline.Port
	frame []byte
}

// draw makes a frame that may be whole or broken, of the families, tags, options, addresses and ports that the pipeline tells apart.
func draw(r *rand.Rand) sent {
	pick := func(all ...string) netip.Addr { return netip.MustParseAddr(all[r.IntN(len(all))]) }
	macs := []pipeline.MAC{subscriberMAC, serverMAC, {2, 0, 0, 0, 2, 2}, {2, 7, 7, 7, 7, 7}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	f := append([]byte{}, slices.Concat(macs[r.IntN(len(macs))][:], macs[r.IntN(4)][:])...)
	if r.IntN(3) == 0 {
		f = binary.BigEndian.AppendUint16(f, 0x8100)
		f = binary.BigEndian.AppendUint16(f, []uint16{0, 100, 101, 100 | 5<<13}[r.IntN(4)])
	}
	ports := []uint16{25, 587, 465, 443, 49152}
	tcp := binary.BigEndian.AppendUint16(nil, ports[r.IntN(len(ports))])
	tcp = binary.BigEndian.AppendUint16(tcp, ports[r.IntN(len(ports))])
	tcp = append(tcp, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0)
	protocol := []byte{6, 6, 6, 17}[r.IntN(4)]
	if r.IntN(2) == 0 {
		words := []int{0, 0, 1, 10}[r.IntN(4)] // of options
		f = append(f, 8, 0, byte(0x45+words), 0)
		f = binary.BigEndian.AppendUint16(f, uint16(40+4*words))
		f = append(f, 0, 1, []byte{0, 0, 0x20, 0x00}[r.IntN(4)], []byte{0, 0, 0, 1}[r.IntN(4)], 64, protocol, 0, 0)
		f = append(f, pick("10.0.0.1", "10.0.0.9", "172.16.0.5", "203.0.113.129").AsSlice()...)
		f = append(f, pick("10.0.0.1", "192.0.2.11", "172.16.0.5", "203.0.113.129").AsSlice()...)
		f = append(append(f, make([]byte, 4*words)...), tcp...)
	} else {
		f = append(f, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, protocol, 64)
		f = append(f, pick("2001:db8:0:1::9", "2001:db8:9::1", "2001:db8:25::25").AsSlice()...)
		f = append(f, pick("2001:db8:0:1::9", "2001:db8:99::25", "2001:db8:25::25").AsSlice()...)
		f = append(f, tcp...)
	}
	switch r.IntN(8) {
	case 0: // cut short
		f = f[:14+r.IntN(len(f)-14)]
	case 1: // one bit wrong, anywhere behind the addresses of the frame
		f[12+r.IntN(len(f)-12)] ^= 1 << r.IntN(8)
	case 2: // a payload
		f = append(f, make([]byte, r.IntN(200))...)
	}
	return sent{comparedPorts[r.IntN(len(comparedPorts))], f}
}

// TestOneVerdict sends the same random frames through bmv2 and the embedded switch with the same entries, and compares what comes out of
// every port, byte for byte, and every counter (I6).
func TestOneVerdict(t *testing.T) {
	path, reason := findBMv2()
	wants(t, "bmv2", reason)
	batches := 40
	if longform.On() {
		batches = 4000
	}
	real, embedded := attachBMv2(t, path, comparedState()), attachEmbedded(t, comparedState())

	const batch = 50
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	in, out := 0, 0
	for range batches {
		frames := make([]sent, batch)
		for i := range frames {
			frames[i] = draw(r)
		}
		want, got := real.through(t, frames), embedded.through(t, frames)
		for _, p := range comparedPorts {
			if !slices.EqualFunc(want[p], got[p], bytes.Equal) {
				t.Fatalf("seed %d: port %d: bmv2 sent\n%s\nthe embedded switch\n%s\nof the frames\n%s", seed, p, dump(want[p]), dump(got[p]), dumpSent(frames))
			}
			out += len(want[p])
		}
		in += batch
	}
	want, got := acl(t, real), acl(t, embedded)
	if want != got {
		t.Errorf("seed %d: bmv2 counted\n%s\nthe embedded switch\n%s", seed, want, got)
	}
	if out == 0 || !strings.Contains(want, "rule 1:") {
		t.Errorf("the frames show nothing: %d came out, counters are\n%s", out, want)
	}
	fmt.Printf("one verdict: %d frames into each switch, %d out of each, the same; %d counters the same\n", in, out, strings.Count(want, "\n"))
}

func dump(frames [][]byte) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "  %x\n", f)
	}
	return b.String()
}

func dumpSent(frames []sent) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "  %d: %x\n", f.port, f.frame)
	}
	return b.String()
}

func acl(t *testing.T, d *device) string {
	t.Helper()
	state, err := d.source.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, in := range state.Interfaces {
		for _, e := range in.ACL {
			fmt.Fprintf(&b, "%s rule %d: %d packets, %d octets\n", in.Name, e.SequenceID, e.MatchedPackets, e.MatchedOctets)
		}
	}
	return b.String()
}
