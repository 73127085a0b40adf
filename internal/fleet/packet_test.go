package fleet

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"op25b/internal/wire"
)

// A prober sends connection attempts of the line adsl-bot through the switch, without a pause, to find out whether they pass.
type prober struct {
	t    testing.TB
	line wire.Link
	in   chan uint16 // destination ports of packets that leave toward the other provider
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func startProber(t testing.TB, x *testSwitch) *prober {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &prober{t: t, in: make(chan uint16, 64), stop: stop}
	attach := func(port uint32, recv func([]byte)) wire.Link {
		inner, outer := wire.Pipe("switch", "host")
		if err := x.Attach(port, inner); err != nil {
			t.Fatal(err)
		}
		p.wg.Go(func() { _ = outer.Serve(ctx, recv) })
		return outer
	}
	p.line = attach(2, func([]byte) {})
	attach(13, func(frame []byte) {
		packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
		if tcp, ok := packet.Layer(layers.LayerTypeTCP).(*layers.TCP); ok {
			p.in <- uint16(tcp.DstPort)
		}
	})
	t.Cleanup(p.end)
	return p
}

func (p *prober) end() {
	p.stop()
	p.wg.Wait()
}

func syn(t testing.TB, port uint16) []byte {
	t.Helper()
	eth := &layers.Ethernet{
		SrcMAC: net.HardwareAddr{2, 0, 0, 0, 1, 2}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 2, 3}, EthernetType: layers.EthernetTypeIPv4,
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{192, 0, 2, 12}, DstIP: net.IP{203, 0, 113, 129}}
	tcp := &layers.TCP{SrcPort: 40000, DstPort: layers.TCPPort(port), SYN: true, Window: 1024}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, tcp); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// probe sends one attempt to port 25 and then one to port 587, which passes in every phase. The attempt to port 25 has passed if it
// arrives before the attempt to port 587.
func (p *prober) probe() (passed bool) {
	p.t.Helper()
	for _, port := range []uint16{25, 587} {
		if err := p.line.Send(syn(p.t, port)); err != nil {
			p.t.Fatal(err)
		}
	}
	for port := range p.in {
		if port == 587 {
			return passed
		}
		passed = true
	}
	return passed
}

// during probes until done is closed, and returns how many attempts were stopped and how many passed.
func (p *prober) during(done <-chan struct{}) (stopped, passed int) {
	for {
		if p.probe() {
			passed++
		} else {
			stopped++
		}
		select {
		case <-done:
			return stopped, passed
		default:
		}
	}
}
