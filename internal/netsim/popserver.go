package netsim

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// longestCommand is the largest length of a POP3 command in bytes, with its line end (RFC 2449 section 4).
	longestCommand = 255
	// attempts is how many passwords a POP3 client may try on one connection.
	attempts = 3
)

// errEnd ends a POP3 connection.
var errEnd = errors.New("the connection ends")

// servePOP3 serves each connection until the listener is closed.
func (s *MailServer) servePOP3(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s.serve.Go(func() {
			p := &popSession{server: s, conn: conn, w: textproto.NewWriter(bufio.NewWriter(conn))}
			p.serve()
			_ = conn.Close() // the client may have closed it
		})
	}
}

// mailbox returns the messages to a user of the server's domains, oldest first.
func (s *MailServer) mailbox(user string) []Message {
	all := s.Messages()
	return slices.DeleteFunc(all, func(m Message) bool {
		return !slices.ContainsFunc(m.To, func(to string) bool {
			name, _, _ := strings.Cut(to, "@")
			return name == user && s.accepts(to)
		})
	})
}

// A popSession is one client's connection to a mailbox (RFC 1939). The mailbox is read-only: DELE is refused.
type popSession struct {
	server *MailServer
	conn   net.Conn
	w      *textproto.Writer
	user   string    // the name in USER
	in     bool      // whether the password was right
	box    []Message // the mailbox at login; a message's number is its index plus 1
	failed int       // how many passwords were wrong
}

func (p *popSession) serve() {
	r := bufio.NewReaderSize(p.conn, longestCommand)
	err := p.ok("POP3 server ready")
	for err == nil {
		if err = p.conn.SetDeadline(time.Now().Add(idle)); err != nil {
			return
		}
		var line []byte
		if line, err = r.ReadSlice('\n'); err != nil {
			return // the client has gone, or the command is too long
		}
		verb, argument, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
		err = p.command(strings.ToUpper(verb), argument)
	}
}

func (p *popSession) ok(text string) error { return p.w.PrintfLine("+OK %s", text) }

func (p *popSession) refuse(text string) error { return p.w.PrintfLine("-ERR %s", text) }

// command answers one command. It returns an error if the connection ends.
func (p *popSession) command(verb, argument string) error {
	switch {
	case verb == "QUIT":
		return errors.Join(p.ok("bye"), errEnd)
	case verb == "USER" && !p.in:
		p.user = argument
		return p.ok("and the password?")
	case verb == "PASS" && !p.in:
		return p.login(argument)
	case !p.in:
		return p.refuse("log in first")
	}
	switch verb {
	case "NOOP", "RSET":
		return p.ok("")
	case "STAT":
		return p.ok(fmt.Sprintf("%d %d", len(p.box), octets(p.box...)))
	case "LIST":
		return p.list()
	case "RETR":
		return p.retrieve(argument)
	}
	return p.refuse("not supported")
}

func (p *popSession) login(password string) error {
	if p.server.isUser(p.user, password) {
		p.in, p.box = true, p.server.mailbox(p.user)
		if p.server.config.LoggedIn != nil {
			client, err := netip.ParseAddrPort(p.conn.RemoteAddr().String())
			if err != nil {
				return err
			}
			_, inside := p.conn.(*tls.Conn)
			p.server.config.LoggedIn(client.Addr(), inside)
		}
		return p.ok("logged in")
	}
	if p.failed++; p.failed == attempts {
		return errors.Join(p.refuse("wrong password, too often"), errEnd)
	}
	return p.refuse("wrong name or password")
}

// list answers LIST. The argument, which selects one message, is ignored: no client here uses it.
func (p *popSession) list() error {
	if err := p.ok(fmt.Sprintf("%d messages", len(p.box))); err != nil {
		return err
	}
	w := p.w.DotWriter()
	for i, m := range p.box {
		if _, err := fmt.Fprintf(w, "%d %d\n", i+1, octets(m)); err != nil {
			return err
		}
	}
	return w.Close()
}

func (p *popSession) retrieve(argument string) error {
	n, err := strconv.Atoi(argument)
	if err != nil || n < 1 || n > len(p.box) {
		return p.refuse("no such message")
	}
	if err := p.ok("the message follows"); err != nil {
		return err
	}
	w := p.w.DotWriter()
	if _, err := w.Write(p.box[n-1].Data); err != nil {
		return err
	}
	return w.Close()
}

func octets(messages ...Message) (n int) {
	for _, m := range messages {
		n += len(m.Data)
	}
	return n
}
