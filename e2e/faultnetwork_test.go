package e2e

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A network connects the controllers to one switch. A test can disturb the network and observe its traffic.
type network struct {
	ln   net.Listener
	to   string
	tap  *tap
	work sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	changed *sync.Cond
	weather weather
	links   map[*link]struct{}
	closed  bool
}

// A weather determines what happens to the bytes of all connections.
type weather string

const (
	fair  weather = "fair"
	stall weather = "stalled"  // connections can be opened, but no bytes pass
	drip  weather = "dripping" // only a few bytes pass at a time
	cut   weather = "cut"      // each connection is reset as soon as it is opened
)

// A link is one connection through a network.
type link struct {
	near, far *net.TCPConn // the connections to the controller and to the switch
}

func newNetwork(t testing.TB, to string) *network {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{ln: ln, to: to, tap: newTap(), weather: fair, links: map[*link]struct{}{}}
	n.changed = sync.NewCond(&n.mu)
	n.work.Go(n.accept)
	t.Cleanup(func() {
		n.mu.Lock()
		n.closed = true
		n.changed.Broadcast()
		n.mu.Unlock()
		_ = ln.Close()
		n.reset()
		n.work.Wait()
	})
	return n
}

func (n *network) addr() string { return n.ln.Addr().String() }

func (n *network) accept() {
	for {
		near, err := n.ln.Accept()
		if err != nil {
			return
		}
		n.work.Go(func() { n.connect(near.(*net.TCPConn)) })
	}
}

func (n *network) connect(near *net.TCPConn) {
	far, err := net.Dial("tcp", n.to)
	l := &link{near: near}
	if err == nil {
		l.far = far.(*net.TCPConn)
	}
	n.mu.Lock()
	refused := err != nil || n.closed || n.weather == cut
	if !refused {
		n.links[l] = struct{}{}
	}
	n.mu.Unlock()
	if refused {
		l.reset()
		return
	}
	heard := n.tap.link()
	var both sync.WaitGroup
	both.Go(func() { n.pump(l, l.near, l.far, heard.up) })
	both.Go(func() { n.pump(l, l.far, l.near, heard.down) })
	both.Wait()
	heard.end()
	n.mu.Lock()
	delete(n.links, l)
	n.mu.Unlock()
	_ = l.near.Close()
	_ = l.far.Close()
}

// pump copies one direction. The tap sees bytes before they are sent, so it never sees a reply before the
// request.
func (n *network) pump(l *link, from, to *net.TCPConn, heard func([]byte)) {
	buf := make([]byte, 64<<10)
	for {
		count, err := from.Read(buf)
		for chunk := buf[:count]; len(chunk) > 0; {
			k := n.pass(len(chunk))
			if k == 0 {
				return
			}
			heard(chunk[:k])
			if _, werr := to.Write(chunk[:k]); werr != nil {
				l.reset()
				return
			}
			chunk = chunk[k:]
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = to.CloseWrite()
			return
		case err != nil:
			l.reset()
			return
		}
	}
}

// pass waits until at least some of the bytes may pass, and returns how many. It returns 0 if the network is
// closed.
func (n *network) pass(bytes int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	for !n.closed && n.weather == stall {
		n.changed.Wait()
	}
	switch {
	case n.closed:
		return 0
	case n.weather == drip:
		n.mu.Unlock()
		time.Sleep(time.Millisecond) // limits the rate of a dripping network
		n.mu.Lock()
		return min(bytes, 16)
	}
	return bytes
}

// be changes the network's weather.
func (n *network) be(w weather) {
	n.mu.Lock()
	n.weather = w
	n.changed.Broadcast()
	n.mu.Unlock()
	if w == cut {
		n.reset()
	}
}

func (n *network) each(do func(*link)) []*link {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []*link
	for l := range n.links {
		do(l)
		all = append(all, l)
	}
	return all
}

// reset resets all connections on both sides.
func (n *network) reset() {
	for _, l := range n.each(func(*link) {}) {
		l.reset()
	}
}

// halfClose ends one direction of all connections and leaves the other direction open.
func (n *network) halfClose(towardsSwitch bool) {
	n.each(func(l *link) {
		if towardsSwitch {
			_ = l.far.CloseWrite()
			return
		}
		_ = l.near.CloseWrite()
	})
}

func (l *link) reset() {
	for _, c := range []*net.TCPConn{l.near, l.far} {
		if c != nil {
			_ = c.SetLinger(0)
			_ = c.Close()
		}
	}
}
