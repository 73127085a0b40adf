package e2e

import (
	"io"
	"net/netip"
	"sync"
	"testing"

	mailserver "github.com/emersion/go-smtp"
)

// A mailbox is a mail server on the kernel's stack in a namespace. It listens on ports 25 and 587 of all
// addresses.
type mailbox struct {
	mu   sync.Mutex // guards the fields below
	mail []netip.AddrPort
}

func openMailbox(t *testing.T, n *namespace) (*mailbox, error) {
	box := &mailbox{}
	server := mailserver.NewServer(box)
	server.Domain, server.ReadTimeout, server.WriteTimeout = "server", mailPatience, mailPatience
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	for _, port := range []uint16{25, 587} {
		l, err := n.listen(port)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = l.Close() })
		serving.Go(func() { _ = server.Serve(l) })
	}
	return box, nil
}

// NewSession implements mailserver.Backend.
func (b *mailbox) NewSession(c *mailserver.Conn) (mailserver.Session, error) {
	at, err := netip.ParseAddrPort(c.Conn().LocalAddr().String())
	return &letter{b, netip.AddrPortFrom(at.Addr().Unmap(), at.Port())}, err
}

// count returns the number of messages received at an address and port.
func (b *mailbox) count(port uint16, addr netip.Addr) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, at := range b.mail {
		if at == netip.AddrPortFrom(addr, port) {
			n++
		}
	}
	return n
}

// A letter is one connection to a mailbox.
type letter struct {
	box *mailbox
	at  netip.AddrPort
}

var _ mailserver.Session = (*letter)(nil)

// Mail implements mailserver.Session.
func (*letter) Mail(string, *mailserver.MailOptions) error { return nil }

// Rcpt implements mailserver.Session.
func (*letter) Rcpt(string, *mailserver.RcptOptions) error { return nil }

// Data implements mailserver.Session.
func (l *letter) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	l.box.mu.Lock()
	defer l.box.mu.Unlock()
	l.box.mail = append(l.box.mail, l.at)
	return nil
}

// Reset implements mailserver.Session.
func (*letter) Reset() {}

// Logout implements mailserver.Session.
func (*letter) Logout() error { return nil }
