package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
)

// Limits on the number of connections.
const (
	// MaxConnections is the limit on open connections. A connection with TLS and HTTP/2 uses about 60 KiB, and up to 128 KiB more for
	// unread data, so 2,048 connections use at most 400 MiB.
	MaxConnections = 2048
	// MaxPerAddress is the limit on open connections from one address. Loopback addresses are exempt.
	MaxPerAddress = MaxConnections / 2
)

var errConnections = errors.New("too many connections")

// connections tracks the open connections of a listener. When a limit is reached, a new connection replaces the oldest connection on which
// no authenticated caller has made a call. Strangers therefore cannot lock out others with idle connections.
type connections struct {
	most, perAddress int
	maxAge           time.Duration
	authorities      func() *x509.CertPool // returns the CAs for client certificates; nil if the listener requests no client certificates

	mu      sync.Mutex // guards the fields below
	open    map[*trackedConn]struct{}
	of      map[netip.Addr]int
	refused func(remote string, err error) // reports a refused connection; nil until Serve runs
}

func newConnections(most, perAddress int) *connections {
	return &connections{most: most, perAddress: perAddress, maxAge: maxAge, open: make(map[*trackedConn]struct{}), of: make(map[netip.Addr]int)}
}

// A trackedConn is one open connection.
type trackedConn struct {
	net.Conn
	all    *connections
	remote netip.Addr
	since  time.Time
	known  atomic.Bool // set when an authenticated caller has made a call

	mu         sync.Mutex     // guards the fields below
	verifiedBy *x509.CertPool // the CAs at the last successful verification of the client certificate
	verified   time.Time      // the time of the last successful verification
}

// add tracks a connection and returns it. If there is no room for the connection, add closes it and returns nil.
func (x *connections) add(c net.Conn) *trackedConn {
	t := &trackedConn{Conn: c, all: x, since: time.Now()}
	if at, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		t.remote = at.Addr().Unmap()
	}
	x.mu.Lock()
	full := len(x.open) >= x.most
	crowded := !t.remote.IsLoopback() && x.of[t.remote] >= x.perAddress
	var out *trackedConn
	if full || crowded {
		out = x.oldestLocked(t.remote, crowded)
	}
	if (full || crowded) && out == nil {
		out = t
	} else {
		x.open[t] = struct{}{}
		x.of[t.remote]++
	}
	refused := x.refused
	x.mu.Unlock()
	if out == nil {
		return t
	}
	err := fmt.Errorf("%w: %d are open, which is the limit", errConnections, x.most)
	if crowded {
		err = fmt.Errorf("%w: %d are open from %s, which is the limit", errConnections, x.perAddress, t.remote)
	}
	if refused != nil {
		refused(out.Conn.RemoteAddr().String(), err)
	}
	if out == t {
		_ = c.Close()
		return nil
	}
	_ = out.Close()
	return t
}

// oldestLocked returns the oldest connection on which no authenticated caller has made a call, or nil if there is none. If ofAddress is
// true, only connections from remote are considered.
func (x *connections) oldestLocked(remote netip.Addr, ofAddress bool) *trackedConn {
	var oldest *trackedConn
	for c := range x.open {
		if c.known.Load() || ofAddress && c.remote != remote {
			continue
		}
		if oldest == nil || c.since.Before(oldest.since) {
			oldest = c
		}
	}
	return oldest
}

// Close closes the connection and stops tracking it.
func (t *trackedConn) Close() error {
	t.all.mu.Lock()
	if _, is := t.all.open[t]; is {
		delete(t.all.open, t)
		if t.all.of[t.remote]--; t.all.of[t.remote] == 0 {
			delete(t.all.of, t.remote)
		}
	}
	t.all.mu.Unlock()
	return t.Conn.Close()
}

// A bounded is a listener that keeps the number of open connections within the limits.
type bounded struct {
	net.Listener
	all *connections
}

// Accept returns the next connection for which there is room.
func (l bounded) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if t := l.all.add(c); t != nil {
			return t, nil
		}
	}
}

// A listener is the listener that Listen returns. It also gives access to the tracked connections below TLS.
type listener struct {
	net.Listener
	all *connections
}

// served makes the listener log refused connections.
func (l *listener) served(log *doorLog) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	l.all.refused = func(remote string, err error) {
		log.add(refusedConnection, "", remote, connect.NewError(connect.CodeResourceExhausted, err))
	}
}

type trackedKey struct{}

// track is the ConnContext function of the http.Server. It adds the tracked connection to the context of all requests on the connection.
func track(ctx context.Context, c net.Conn) context.Context {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	if t, ok := c.(*trackedConn); ok {
		return context.WithValue(ctx, trackedKey{}, t)
	}
	return ctx
}
