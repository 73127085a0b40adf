package netsim

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// open connects a client to a server, which keeps the connection open, and returns both ends.
func open(t *testing.T, client *Host, l net.Listener) (near, far net.Conn) {
	t.Helper()
	type accepted struct {
		conn net.Conn
		err  error
	}
	came := make(chan accepted, 1)
	go func() {
		c, err := l.Accept()
		came <- accepted{c, err}
	}()
	near, err := client.DialContext(within(t), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a := <-came
	if a.err != nil {
		t.Fatal(a.err)
	}
	return near, a.conn
}

func TestQuiesceWaitsForOpenConnections(t *testing.T) {
	links := newBridge(t, 3, nil)
	server := start(t, links[0], config("server", 1))
	keeps, leaves := start(t, links[1], config("keeps", 2)), start(t, links[2], config("leaves", 3))
	l, err := server.Listen("tcp", "192.0.2.1:7")
	if err != nil {
		t.Fatal(err)
	}
	open(t, keeps, l)
	near, far := open(t, leaves, l)
	if err := errors.Join(near.Close(), far.Close()); err != nil {
		t.Fatal(err)
	}
	own, _ := leaves.Addr(false)
	if err := errors.Join(leaves.Quiesce(within(t)), server.QuiesceWith(within(t), own)); err != nil {
		t.Errorf("the connection that was closed: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, wait := range []func(context.Context) error{
		server.Quiesce,
		func(ctx context.Context) error {
			other, _ := keeps.Addr(false)
			return server.QuiesceWith(ctx, other)
		},
	} {
		err := wait(over)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `host "server" still has the connection 192.0.2.1:7 to 192.0.2.2:`) || !strings.Contains(err.Error(), "ESTABLISHED") {
			t.Errorf("with a connection that is kept: %v", err)
		}
	}
	keeps.Abort()
	quiesce(t, keeps, server, leaves)
	silent(t, keeps, server, leaves)
}

// TestQuiesceWithLeavesOtherHandshakes verifies that QuiesceWith does not drop a handshake that
// another peer has begun.
func TestQuiesceWithLeavesOtherHandshakes(t *testing.T) {
	dead := func(in int, frame []byte) bool {
		return in != 0 || len(frame) < 58 || frame[12] != 8 || frame[13] != 0 || frame[23] != 6
	}
	links := newBridge(t, 2, dead) // drops all TCP frames from the server
	server, client := start(t, links[0], config("server", 1)), start(t, links[1], config("client", 2))
	l, err := server.Listen("tcp", "192.0.2.1:7")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	dialled := make(chan error, 1)
	go func() {
		_, err := client.DialContext(ctx, "tcp", "192.0.2.1:7")
		dialled <- err
	}()
	embryos := func() (n int) {
		for _, e := range server.stack.RegisteredEndpoints() {
			if e.(*tcp.Endpoint).EndpointState() == tcp.StateSynRecv {
				n++
			}
		}
		return n
	}
	for embryos() == 0 { // a ping arrives after the SYN that was sent before it
		if err := client.Ping(within(t), l.Addr().(*net.TCPAddr).AddrPort().Addr()); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.QuiesceWith(within(t), l.Addr().(*net.TCPAddr).AddrPort().Addr()); err != nil || embryos() != 1 {
		t.Errorf("QuiesceWith another peer: %v, and %d handshakes are left of 1", err, embryos())
	}
	own, _ := client.Addr(false)
	if err := server.QuiesceWith(within(t), own); err != nil || embryos() != 0 {
		t.Errorf("QuiesceWith the peer: %v, and %d handshakes are left of 0", err, embryos())
	}
	cancel()
	if err := <-dialled; !errors.Is(err, context.Canceled) {
		t.Errorf("DialContext: %v", err)
	}
}
