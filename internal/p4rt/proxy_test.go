package p4rt

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// A proxy is a network between a session and its switch in which a test can cause faults.
type proxy struct {
	ln   net.Listener
	to   string
	how  spoilt
	work sync.WaitGroup

	mu     sync.Mutex // guards all following fields
	opened *sync.Cond // signals that a connection was accepted
	links  []*link
	closed bool
}

// A spoilt is a fault that the network has from the first byte.
type spoilt int

const (
	sound spoilt = iota
	deaf         // data from the session is held
	drip         // data passes byte by byte
)

// A link is one connection through the proxy.
type link struct {
	near, far *net.TCPConn // connections to the session and to the switch

	mu      sync.Mutex // guards all following fields
	changed *sync.Cond
	frozen  bool   // while true, data from the session is kept in held
	held    []byte // data that was held while the link was frozen
	seen    int    // number of bytes received from the session so far
}

// through starts a proxy in front of the switch of cfg. It returns the configuration for a session
// through the proxy.
func through(t *testing.T, cfg Config, how spoilt) (*proxy, Config) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, to: cfg.Addr, how: how}
	p.opened = sync.NewCond(&p.mu)
	p.work.Go(p.accept)
	t.Cleanup(func() {
		ln.Close()
		p.mu.Lock()
		p.closed = true
		links := p.links
		p.mu.Unlock()
		for _, l := range links {
			l.thaw()
			l.near.Close()
			l.far.Close()
		}
		p.work.Wait()
	})
	cfg.Addr = ln.Addr().String()
	return p, cfg
}

func (p *proxy) accept() {
	for {
		near, err := p.ln.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.to)
		if err != nil {
			near.Close()
			continue
		}
		l := &link{near: near.(*net.TCPConn), far: far.(*net.TCPConn), frozen: p.how == deaf}
		l.changed = sync.NewCond(&l.mu)
		p.mu.Lock()
		if p.closed {
			near.Close()
			far.Close()
		}
		p.links = append(p.links, l)
		p.opened.Broadcast()
		p.mu.Unlock()
		up, down := make([]byte, 64<<10), make([]byte, 64<<10)
		if p.how == drip {
			up, down = up[:1], down[:1]
		}
		p.work.Go(func() { l.up(up) })
		p.work.Go(func() {
			_, _ = io.CopyBuffer(struct{ io.Writer }{l.near}, struct{ io.Reader }{l.far}, down)
			_ = l.near.CloseWrite()
		})
	}
}

// link waits until the n-th connection, counted from 0, was accepted, and returns it.
func (p *proxy) link(n int) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.links) <= n {
		p.opened.Wait()
	}
	return p.links[n]
}

// up forwards data from the session to the switch.
func (l *link) up(buf []byte) {
	for {
		n, err := l.near.Read(buf)
		l.mu.Lock()
		l.seen += n
		l.held = append(l.held, buf[:n]...)
		l.changed.Broadcast()
		for l.frozen && errors.Is(err, io.EOF) {
			l.changed.Wait()
		}
		if !l.frozen {
			_, werr := l.far.Write(l.held)
			l.held = nil
			err = errors.Join(err, werr)
		}
		l.mu.Unlock()
		if err != nil {
			_ = l.far.CloseWrite()
			return
		}
	}
}

// freeze stops forwarding data from the session, as a stalled network or a stopped process would.
func (l *link) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = true
}

// thaw forwards the data that was held, and all further data.
func (l *link) thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = false
	if len(l.held) > 0 {
		_, _ = l.far.Write(l.held)
		l.held = nil
	}
	l.changed.Broadcast()
}

// await waits until a frozen link holds at least the given number of bytes from the session.
func (l *link) await(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.held) < bytes {
		l.changed.Wait()
	}
}

// reset resets the connection on both sides (RST).
func (l *link) reset() {
	for _, c := range []*net.TCPConn{l.near, l.far} {
		_ = c.SetLinger(0)
		c.Close()
	}
}
