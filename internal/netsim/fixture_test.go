package netsim

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"op25b/e2e/longform"
	"op25b/internal/wire"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	goleak.VerifyTestMain(m)
}

// patience limits each wait for an event that should happen at once, so that a fault fails the test
// instead of blocking it.
const patience = 30 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func config(name string, number byte) HostConfig {
	return HostConfig{
		Name: name,
		MAC:  net.HardwareAddr{0x02, 0, 0, 0, 0, number},
		IPv4: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, number}), 24)},
		IPv6: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: number}), 64)},
	}
}

func start(t *testing.T, link wire.Link, c HostConfig) *Host {
	t.Helper()
	h, err := NewHost(link, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("closing %s: %v", c.Name, err)
		}
	})
	return h
}

// pair returns two hosts connected by a wire. Their addresses are 192.0.2.1 and 2001:db8::1, and
// 192.0.2.2 and 2001:db8::2.
func pair(t *testing.T) (client, server *Host) {
	t.Helper()
	a, b := wire.Pipe("client", "server")
	return start(t, a, config("client", 1)), start(t, b, config("server", 2))
}

// A bridge forwards each frame from one port to all other ports, unless the filter drops the frame.
type bridge struct {
	ports  []wire.Link
	filter func(in int, frame []byte) bool // returns whether to forward the frame; each port calls it from a goroutine of its own
	serve  sync.WaitGroup
}

// newBridge starts a bridge and returns the far ends of its links.
func newBridge(t *testing.T, ports int, filter func(in int, frame []byte) bool) []wire.Link {
	t.Helper()
	far, _ := bridgeOf(t, ports, filter)
	return far
}

func bridgeOf(t *testing.T, ports int, filter func(in int, frame []byte) bool) (far []wire.Link, b *bridge) {
	t.Helper()
	b = &bridge{filter: filter}
	far = make([]wire.Link, ports)
	for i := range ports {
		var near wire.Link
		near, far[i] = wire.Pipe("bridge", "host")
		b.ports = append(b.ports, near)
	}
	ctx, stop := context.WithCancel(context.Background())
	for i, port := range b.ports {
		b.serve.Go(func() {
			_ = port.Serve(ctx, func(frame []byte) {
				if b.filter != nil && !b.filter(i, frame) {
					return
				}
				for j, other := range b.ports {
					if j != i {
						_ = other.Send(frame)
					}
				}
			})
		})
	}
	t.Cleanup(func() {
		stop()
		b.serve.Wait()
	})
	return far, b
}

// families lists the two address families for subtests.
var families = []struct {
	name string
	v6   bool
}{{"IPv4", false}, {"IPv6", true}}

// at returns the host's address in the given family, with a port.
func at(t *testing.T, h *Host, v6 bool, port uint16) string {
	t.Helper()
	addr, ok := h.Addr(v6)
	if !ok {
		t.Fatalf("host %s has no address, IPv6 %t", h.Name(), v6)
	}
	return netip.AddrPortFrom(addr, port).String()
}

// quiesce waits until the hosts have no more frames to send and all their frames have arrived.
func quiesce(t *testing.T, hosts ...*Host) {
	t.Helper()
	for _, h := range hosts {
		if err := h.Quiesce(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range hosts {
		for _, to := range hosts {
			for _, f := range families {
				if addr, ok := to.Addr(f.v6); ok && to != from {
					if err := from.Ping(within(t), addr); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
