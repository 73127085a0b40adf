package netsim

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"op25b/internal/wire"
)

// echo accepts one connection at a time and sends back what it receives, until the listener is
// closed.
func echo(t *testing.T, h *Host, addr string) {
	t.Helper()
	l, err := h.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

func TestEchoOverPipe(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			client, server := pair(t)
			addr := at(t, server, f.v6, 7)
			echo(t, server, addr)
			talk(t, client, addr, 300_000)
			quiesce(t, client, server)
			if got, want := client.Sent(nil), server.Received(nil); got != want || got.Packets == 0 {
				t.Errorf("client sent %+v, server received %+v, want the same and some", got, want)
			}
			if got, want := server.Sent(nil), client.Received(nil); got != want || got.Packets == 0 {
				t.Errorf("server sent %+v, client received %+v, want the same and some", got, want)
			}
		})
	}
}

// talk sends random bytes and verifies that the same bytes come back.
func talk(t *testing.T, h *Host, addr string, size int) {
	t.Helper()
	c, err := h.DialContext(within(t), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	want := make([]byte, size)
	_, _ = rand.Read(want)
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(want)
		wrote <- errors.Join(err, c.(*Conn).CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err := errors.Join(err, <-wrote); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes came back, not the %d that were sent", len(got), len(want))
	}
}

func TestOnlySubnetsWithTheirVLAN(t *testing.T) {
	t.Parallel()
	links := newBridge(t, 3, nil)
	tagged := func(name string, number byte, vlan uint16) HostConfig {
		c := config(name, number)
		c.VLAN = vlan
		return c
	}
	client := start(t, links[0], tagged("client", 1, 100))
	same := start(t, links[1], tagged("same", 2, 100))
	other := start(t, links[2], tagged("other", 3, 200))
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			echo(t, same, at(t, same, f.v6, 7))
			echo(t, other, at(t, other, f.v6, 7))
			talk(t, client, at(t, same, f.v6, 7), 1000)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := client.DialContext(ctx, "tcp", at(t, other, f.v6, 7)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("dialling into another VLAN: %v, want no answer", err)
			}
		})
	}
	if got := other.Received(nil); got != (Count{}) {
		t.Errorf("the host in VLAN 200 received %+v of VLAN 100", got)
	}
}

func TestRefusedAndNoNeighbour(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			client, server := pair(t)
			if _, err := client.DialContext(within(t), "tcp", at(t, server, f.v6, 9)); !errors.Is(err, ErrRefused) {
				t.Errorf("a port without listener: %v, want %v", err, ErrRefused)
			}
			nobody := "192.0.2.99:25"
			if f.v6 {
				nobody = "[2001:db8::99]:25"
			}
			if _, err := client.DialContext(within(t), "tcp", nobody); !errors.Is(err, ErrNoNeighbour) {
				t.Errorf("an address without host: %v, want %v", err, ErrNoNeighbour)
			}
			quiesce(t, client, server)
		})
	}
}

func TestBadHostConfig(t *testing.T) {
	good := config("home", 1)
	for name, tc := range map[string]struct {
		change func(*HostConfig)
		want   string
	}{
		"no name":        {func(c *HostConfig) { c.Name = "" }, `invalid host "": Name "", want a name`},
		"no MAC":         {func(c *HostConfig) { c.MAC = nil }, `invalid host "home": MAC , want a unicast address of 6 bytes`},
		"multicast MAC":  {func(c *HostConfig) { c.MAC = net.HardwareAddr{1, 0, 0, 0, 0, 1} }, `invalid host "home": MAC 01:00:00:00:00:01, want a unicast address of 6 bytes`},
		"VLAN":           {func(c *HostConfig) { c.VLAN = 4095 }, `invalid host "home": VLAN 4095, want 0 for untagged or 1 to 4094`},
		"no address":     {func(c *HostConfig) { c.IPv4, c.IPv6 = nil, nil }, `invalid host "home": IPv4 and IPv6 [], want an address`},
		"IPv6 as IPv4":   {func(c *HostConfig) { c.IPv4 = c.IPv6 }, `invalid host "home": IPv4 2001:db8::1/64, want addresses such as 192.0.2.1/24`},
		"IPv4 as IPv6":   {func(c *HostConfig) { c.IPv6 = c.IPv4 }, `invalid host "home": IPv6 192.0.2.1/24, want addresses such as 2001:db8::1/64`},
		"invalid prefix": {func(c *HostConfig) { c.IPv4 = []netip.Prefix{{}} }, `invalid host "home": IPv4 invalid Prefix, want addresses such as 192.0.2.1/24`},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			tc.change(&c)
			a, _ := wire.Pipe("a", "b")
			if _, err := NewHost(a, c); !errors.Is(err, ErrConfig) || err.Error() != tc.want {
				t.Errorf("NewHost: %v\nwant: %s", err, tc.want)
			}
		})
	}
}

func TestBadAddresses(t *testing.T) {
	client, _ := pair(t)
	for _, tc := range []struct{ network, addr, want string }{
		{"tcp", "mx.example:25", `address "mx.example:25": want an IP address and a port`},
		{"tcp6", "192.0.2.1:25", `network "tcp6" does not fit address "192.0.2.1:25"`},
		{"udp", "192.0.2.1:25", `network "udp" does not fit`},
	} {
		if _, err := client.DialContext(within(t), tc.network, tc.addr); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("DialContext(%s, %s): %v, want %s", tc.network, tc.addr, err, tc.want)
		}
		if _, err := client.Listen(tc.network, tc.addr); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Listen(%s, %s): %v, want %s", tc.network, tc.addr, err, tc.want)
		}
	}
	if _, err := client.Listen("tcp", "192.0.2.77:25"); err == nil {
		t.Error("listening on an address of somebody else succeeded")
	}
	echo(t, client, "192.0.2.1:25")
	if _, err := client.Listen("tcp", "192.0.2.1:25"); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("listening on a port in use: %v", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	client, server := pair(t)
	l, err := server.Listen("tcp", at(t, server, false, 7))
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		if err == nil {
			_, err = l.Accept()
		}
		accepted <- err
	}()
	c, err := client.DialContext(within(t), "tcp", at(t, server, false, 7))
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	for _, h := range []*Host{server, client} {
		before := h.Sent(nil)
		if err := h.Close(); err != nil {
			t.Errorf("closing %s: %v", h.Name(), err)
		}
		if got := h.Sent(nil); got != before {
			t.Errorf("%s sent %+v while it was closed", h.Name(), got.Minus(before))
		}
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept of a closed host: %v, want %v", err, net.ErrClosed)
	}
	if err := <-read; err == nil {
		t.Error("Read of a closed host succeeded")
	}
	if _, err := client.DialContext(within(t), "tcp", "192.0.2.2:7"); !errors.Is(err, ErrClosed) {
		t.Errorf("DialContext of a closed host: %v, want %v", err, ErrClosed)
	}
	if _, err := client.Listen("tcp", "192.0.2.1:7"); err == nil {
		t.Error("Listen of a closed host succeeded")
	}
}
