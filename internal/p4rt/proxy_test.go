package p4rt

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// A proxy is a network between a session and its switch that a test can spoil.
type proxy struct {
	ln   net.Listener
	to   string
	how  spoilt
	work sync.WaitGroup

	mu     sync.Mutex // guards everything below
	opened *sync.Cond // a connection has come
	links  []*link
	closed bool
}

// A spoilt network is so from the first byte.
type spoilt int

const (
	sound spoilt = iota
	deaf         // connections are frozen
	drip         // connections pass byte by byte
)

// A link is one connection through the proxy.
type link struct {
	near, far *net.TCPConn // to the session and to the switch

	mu      sync.Mutex // guards everything below
	changed *sync.Cond
	frozen  bool   // bytes of the session are read, kept, and not passed on
	held    []byte // those bytes
	seen    int    // bytes of the session so far
}

// through starts a proxy before the switch of cfg and returns the configuration that goes through it.
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

// link returns the n-th connection, from 0, when it has come.
func (p *proxy) link(n int) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.links) <= n {
		p.opened.Wait()
	}
	return p.links[n]
}

// up passes on what the session sends.
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

// freeze stops passing on what the session sends, as a network or a stopped process does.
func (l *link) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = true
}

// thaw passes on what was held, and what comes.
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

// await waits until the session has sent that many bytes more into a frozen link.
func (l *link) await(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.held) < bytes {
		l.changed.Wait()
	}
}

// reset cuts the connection with RST on both sides.
func (l *link) reset() {
	for _, c := range []*net.TCPConn{l.near, l.far} {
		_ = c.SetLinger(0)
		c.Close()
	}
}
