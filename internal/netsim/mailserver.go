package netsim

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"go.uber.org/zap"
)

// The TCP ports for mail.
const (
	PortSMTP        = 25  // RFC 5321: to the server of the recipient's domain, or to the sender's own relay
	PortPOP3        = 110 // RFC 1939: from a mail program to its mailbox
	PortSubmissions = 465 // RFC 8314: from a mail program to its provider, inside TLS
	PortSubmission  = 587 // RFC 6409: from a mail program to its provider
	PortPOP3S       = 995 // RFC 8314: from a mail program to its mailbox, inside TLS
)

// MaxMessage is the largest message, in bytes, that a MailServer accepts.
const MaxMessage = 1 << 20

// idle is how long a MailServer waits for a command, although RFC 5321 section 4.5.3.2.7 requires 5 minutes. It limits how long a
// connection stays open after its client has stopped sending.
const idle = 30 * time.Second

// A MailConfig configures the name of a mail server and the messages that it accepts.
type MailConfig struct {
	Hostname string            // the name in the greeting and the certificate, such as "mx.carrier.example"; required
	Domains  []string          // the domains whose mail is accepted on port 25 from any client
	RelayFor []netip.Prefix    // the clients that may send to any domain on port 25
	Accounts map[string]string // the passwords of the users that may submit to any domain on port 587; nil disables that port
	// Mailboxes states that users can also submit on port 465, and read the messages to their names in Domains on ports 110 and 995.
	Mailboxes bool
	// LoggedIn, if not nil, is called for each login to a mailbox with the right password, before the client receives the answer. tls is whether
	// the connection is inside TLS.
	LoggedIn func(client netip.Addr, tls bool)
	Log      *zap.Logger // may be nil
}

// A Message is a message that a MailServer has stored.
type Message struct {
	ID     string     // the Message-ID header field (RFC 5322 section 3.6.4), without angle brackets
	Client netip.Addr // the client's address
	Port   uint16     // PortSMTP, PortSubmission or PortSubmissions
	User   string     // the authenticated user; empty on PortSMTP
	From   string     // the envelope's sender
	To     []string   // the envelope's recipients
	Data   []byte     // the header and the body
}

// A MailServer is a mail server on all addresses of a host. It accepts plain SMTP on port 25. If it has accounts, it also accepts
// submission with STARTTLS and AUTH on port 587. If it has mailboxes, it accepts submission inside TLS with AUTH on port 465, and serves the
// mailboxes over POP3, on port 110 in plain text and on port 995 inside TLS.
type MailServer struct {
	host        *Host
	config      MailConfig
	certificate *x509.Certificate
	servers     []*smtp.Server
	listeners   []net.Listener
	serve       sync.WaitGroup // waits for the goroutines that accept connections, and for those that serve POP3

	mu       sync.Mutex // guards the fields below
	messages []Message
	ids      map[string]struct{}
	conns    map[*serverConn]struct{}
	closed   bool
}

// NewMailServer starts a mail server on a host. It generates a certificate for config.Hostname.
func NewMailServer(h *Host, config MailConfig) (*MailServer, error) {
	if config.Hostname == "" {
		return nil, fmt.Errorf("mail server on host %q: Hostname is empty, want a name such as mx.example.net", h.config.Name)
	}
	if config.Log == nil {
		config.Log = zap.NewNop()
	}
	s := &MailServer{host: h, config: config, ids: map[string]struct{}{}, conns: map[*serverConn]struct{}{}}
	pair, err := selfSigned(config.Hostname, time.Now())
	if err != nil {
		return nil, fmt.Errorf("mail server %s: %w", config.Hostname, err)
	}
	s.certificate = pair.Leaf
	ports := []uint16{PortSMTP}
	if config.Accounts != nil {
		ports = append(ports, PortSubmission)
	}
	if config.Mailboxes {
		ports = append(ports, PortSubmissions, PortPOP3, PortPOP3S)
	}
	for _, port := range ports {
		serve := s.servePOP3
		if port != PortPOP3 && port != PortPOP3S {
			server := s.newServer(port, pair)
			s.servers = append(s.servers, server)
			serve = func(l net.Listener) { _ = server.Serve(l) } // Serve returns an error once the listener is closed
		}
		for _, any := range h.anyAddresses() {
			l, err := h.Listen("tcp", netip.AddrPortFrom(any, port).String())
			if err != nil {
				return nil, errors.Join(fmt.Errorf("mail server %s: %w", config.Hostname, err), s.Close())
			}
			s.listeners = append(s.listeners, l)
			l = serverListener{l, s}
			if port == PortSubmissions || port == PortPOP3S {
				l = tls.NewListener(l, tlsConfig(pair))
			}
			s.serve.Go(func() { serve(l) })
		}
	}
	return s, nil
}

func tlsConfig(pair *tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*pair}, MinVersion: tls.VersionTLS12}
}

// anyAddresses returns the unspecified address of each family in which the host has an address.
func (h *Host) anyAddresses() []netip.Addr {
	var all []netip.Addr
	if len(h.config.IPv4) > 0 {
		all = append(all, netip.IPv4Unspecified())
	}
	if len(h.config.IPv6) > 0 {
		all = append(all, netip.IPv6Unspecified())
	}
	return all
}

func (s *MailServer) newServer(port uint16, pair *tls.Certificate) *smtp.Server {
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		client, err := netip.ParseAddrPort(c.Conn().RemoteAddr().String())
		if err != nil {
			return nil, err
		}
		return &mailSession{server: s, port: port, client: client.Addr()}, nil
	}))
	server.Domain = s.config.Hostname
	server.MaxMessageBytes = MaxMessage
	server.MaxRecipients = 100
	server.ReadTimeout, server.WriteTimeout = idle, idle
	server.ErrorLog = zap.NewStdLog(s.config.Log.With(zap.String("server", s.config.Hostname), zap.Uint16("port", port)))
	if port == PortSubmission {
		server.TLSConfig = tlsConfig(pair)
	}
	return server
}

// Hostname returns the name in the server's certificate.
func (s *MailServer) Hostname() string { return s.config.Hostname }

// Trust returns a pool that contains only the server's certificate.
func (s *MailServer) Trust() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.certificate)
	return pool
}

// Messages returns the stored messages, oldest first.
func (s *MailServer) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

// Holds reports whether the server has stored a message with the given Message-ID, without angle brackets.
func (s *MailServer) Holds(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.ids[id]
	return ok
}

func (s *MailServer) keep(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	s.ids[m.ID] = struct{}{}
}

// isUser reports whether a user has the password.
func (s *MailServer) isUser(user, password string) bool {
	want, ok := s.config.Accounts[user]
	return subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 1 && ok
}

// accepts reports whether the recipient is in one of the server's domains.
func (s *MailServer) accepts(recipient string) bool {
	_, domain, _ := strings.Cut(recipient, "@")
	for _, own := range s.config.Domains {
		if strings.EqualFold(domain, own) {
			return true
		}
	}
	return false
}

// relaysFor reports whether the client may send to any domain.
func (s *MailServer) relaysFor(client netip.Addr) bool {
	for _, p := range s.config.RelayFor {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

// Close stops the server and aborts its connections. Messages can still be called afterwards. Close may be called more than once.
func (s *MailServer) Close() error {
	s.mu.Lock()
	s.closed = true
	open := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	for _, c := range open {
		c.Abort()
	}
	s.serve.Wait()
	for _, server := range s.servers {
		// Shutdown waits for the connections' goroutines. They end at once, because the connections were aborted.
		if err := server.Shutdown(context.Background()); !errors.Is(err, smtp.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// A serverListener registers each connection with the server, so that Close can abort it. go-smtp registers a connection only some time
// after accepting it.
type serverListener struct {
	net.Listener
	server *MailServer
}

// Accept implements net.Listener.
func (l serverListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &serverConn{c.(*Conn), l.server}
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	if l.server.closed {
		conn.Abort()
		return nil, net.ErrClosed
	}
	l.server.conns[conn] = struct{}{}
	return conn, nil
}

// A serverConn is a connection that removes itself from its server when it is closed.
type serverConn struct {
	*Conn
	server *MailServer
}

// Close implements net.Conn.
func (c *serverConn) Close() error {
	c.server.mu.Lock()
	delete(c.server.conns, c)
	c.server.mu.Unlock()
	return c.Conn.Close()
}
