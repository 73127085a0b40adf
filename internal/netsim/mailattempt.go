package netsim

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const (
	// DefaultConnectTimeout is how long an attempt waits for the connection. Within this time, the host sends one SYN and no
	// retransmission. Time in which the machine did not run this process does not count.
	DefaultConnectTimeout = time.Second
	// DefaultAnswerTimeout is how long a connected attempt waits for each reply. It is longer than DefaultConnectTimeout because the
	// servers share the machine's processors, so a slow reply does not mean that a filter blocked it.
	DefaultAnswerTimeout = 10 * time.Second
)

// A Mode is the way in which a message is submitted.
type Mode int

const (
	MX          Mode = iota // plain text, as between servers, and from customers to their ISP's relay
	Submission              // STARTTLS and AUTH PLAIN, as from a mail program to its provider
	Submissions             // AUTH PLAIN inside TLS
)

// String returns "mx", "submission" or "submissions".
func (m Mode) String() string {
	switch m {
	case Submission:
		return "submission"
	case Submissions:
		return "submissions"
	}
	return "mx"
}

// Port returns the port on which servers accept messages in this way.
func (m Mode) Port() uint16 {
	switch m {
	case Submission:
		return PortSubmission
	case Submissions:
		return PortSubmissions
	}
	return PortSMTP
}

// A MailAttempt is an attempt to send one message from a host to a server.
type MailAttempt struct {
	Server   netip.AddrPort
	Mode     Mode
	From, To string // the sender and the recipient, in both the envelope and the header

	Username, Password string         // the credentials, unless the mode is MX
	ServerName         string         // the name that the server's certificate must have, unless the mode is MX
	Trust              *x509.CertPool // the accepted issuers of the certificate; nil means the issuers that the machine trusts

	// Holds reports whether the server has stored the message with the given id. If Holds is nil, the server's reply is taken as proof of
	// delivery.
	Holds func(messageID string) bool

	ConnectTimeout, AnswerTimeout time.Duration // 0 means the default, DefaultConnectTimeout or DefaultAnswerTimeout
}

// Attempt returns an attempt to send a message to this server, over IPv6 if v6 is set and over IPv4 otherwise. After sending, the attempt
// checks that the server has stored the message. The caller must set From and To, and unless the mode is MX also Username and Password.
func (s *MailServer) Attempt(mode Mode, v6 bool) (MailAttempt, error) {
	server, err := s.at(mode.Port(), v6)
	return MailAttempt{Server: server, Mode: mode, ServerName: s.Hostname(), Trust: s.Trust(), Holds: s.Holds}, err
}

// at returns the server's address in a family, with a port.
func (s *MailServer) at(port uint16, v6 bool) (netip.AddrPort, error) {
	addr, ok := s.host.Addr(v6)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("mail server %s: host %q has no address of the family (IPv6: %t)", s.config.Hostname, s.host.config.Name, v6)
	}
	return netip.AddrPortFrom(addr, port), nil
}

// An AttemptOutcome states how an attempt ended.
type AttemptOutcome int

const (
	Failed    AttemptOutcome = iota // the server refused, or a component is broken; a filter never causes this outcome
	Delivered                       // the server has stored the message, or has sent the mailbox
	Blocked                         // the path is blocked: no reply arrived in time, or an ICMP error arrived
)

// String returns "failed", "delivered" or "blocked".
func (o AttemptOutcome) String() string {
	switch o {
	case Delivered:
		return "delivered"
	case Blocked:
		return "blocked"
	}
	return "failed"
}

// A Result contains the outcome of an attempt and its details.
type Result struct {
	Outcome   AttemptOutcome
	MessageID string // the message id, without angle brackets; empty for a mailbox without messages
	// Stage is the last stage of the attempt: "connect", "tls", "greeting", "starttls", "auth", "mail", "rcpt", "data", "store" or "quit". For a
	// mailbox, "retr" stands in place of the stages from "mail" to "store".
	Stage string
	Err   error // the reason why the message was not delivered, or the mailbox not read; nil if it was
}

// Send makes the attempt. When Send returns, the connection has been closed gracefully if the message was delivered, and aborted
// otherwise. Use Quiesce to wait for the last segments.
func Send(ctx context.Context, from *Host, a MailAttempt) Result {
	a.setDefaults()
	r := Result{MessageID: rand.Text() + "@" + from.Name(), Stage: "connect"}
	try(ctx, from, a.Server, a.ConnectTimeout, a.Mode.String(), &r, func(conn *Conn) error { return a.converse(ctx, conn, from.Name(), &r) })
	return r
}

// try connects to a server and has a conversation with it. It completes r. what names the attempt in the error.
func try(ctx context.Context, from *Host, server netip.AddrPort, patience time.Duration, what string, r *Result, converse func(*Conn) error) {
	connectCtx, cancel := withPatience(ctx, patience, time.Now)
	defer cancel()
	conn, err := from.DialContext(connectCtx, "tcp", server.String())
	if err == nil {
		err = converse(conn.(*Conn))
	}
	switch {
	case err == nil:
		r.Outcome = Delivered
	case ctx.Err() != nil:
		// The caller cancelled the attempt, which does not mean that the path is blocked.
		r.Outcome = Failed
	case errors.Is(err, ErrProhibited), isTimeout(err):
		r.Outcome = Blocked
	}
	if err != nil {
		r.Err = fmt.Errorf("host %q: %s to %v: %s: %w", from.Name(), what, server, r.Stage, err)
	}
}

func (a *MailAttempt) setDefaults() {
	if a.ConnectTimeout == 0 {
		a.ConnectTimeout = DefaultConnectTimeout
	}
	if a.AnswerTimeout == 0 {
		a.AnswerTimeout = DefaultAnswerTimeout
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// converse delivers the message over the connection and records each stage in r. It aborts the connection on any error.
func (a *MailAttempt) converse(ctx context.Context, conn *Conn, helo string, r *Result) (err error) {
	defer context.AfterFunc(ctx, conn.Abort)()
	defer func() {
		if err != nil {
			conn.Abort()
		}
	}()
	r.Stage = "greeting"
	c, err := a.open(ctx, conn, helo, r)
	if err != nil {
		return err
	}
	if a.Mode != MX {
		r.Stage = "auth"
		if err := c.Auth(sasl.NewPlainClient("", a.Username, a.Password)); err != nil {
			return err
		}
	}
	r.Stage = "mail"
	if err := c.Mail(a.From, nil); err != nil {
		return err
	}
	r.Stage = "rcpt"
	if err := c.Rcpt(a.To, nil); err != nil {
		return err
	}
	r.Stage = "data"
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(a.message(r.MessageID)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	r.Stage = "store"
	if a.Holds != nil && !a.Holds(r.MessageID) {
		return ErrNotStored
	}
	r.Stage = "quit"
	// The message has been delivered, so an error while closing the connection does not change the outcome.
	if c.Quit() != nil {
		conn.Abort()
	}
	return nil
}

// open starts the SMTP session, and unless the mode is MX also TLS.
func (a *MailAttempt) open(ctx context.Context, conn *Conn, helo string, r *Result) (*smtp.Client, error) {
	patient := patientConn{conn, a.AnswerTimeout}
	config := &tls.Config{ServerName: a.ServerName, RootCAs: a.Trust, MinVersion: tls.VersionTLS12}
	var c *smtp.Client
	switch a.Mode {
	case MX:
		c = smtp.NewClient(patient)
	case Submissions:
		inside, err := startTLS(ctx, patient, config, r)
		if err != nil {
			return nil, err
		}
		c = smtp.NewClient(inside)
	default:
		r.Stage = "starttls"
		var err error
		if c, err = smtp.NewClientStartTLS(patient, config); err != nil {
			return nil, err
		}
	}
	return c, c.Hello(helo)
}

// startTLS makes a connection that begins inside TLS.
func startTLS(ctx context.Context, conn patientConn, config *tls.Config, r *Result) (*tls.Conn, error) {
	r.Stage = "tls"
	ctx, cancel := context.WithTimeout(ctx, conn.timeout)
	defer cancel()
	inside := tls.Client(conn, config)
	if err := inside.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	r.Stage = "greeting"
	return inside, nil
}

// A patientConn limits how long each reply may take. go-smtp sets deadlines for commands, but not always the deadlines required here.
type patientConn struct {
	*Conn
	timeout time.Duration
}

// SetDeadline implements net.Conn.
func (c patientConn) SetDeadline(t time.Time) error {
	if limit := time.Now().Add(c.timeout); !t.IsZero() && t.After(limit) {
		t = limit
	}
	return c.Conn.SetDeadline(t)
}

// farewell is how long Close waits for the peer to end the connection.
const farewell = time.Second

// Close ends the connection gracefully. It sends a FIN, reads the peer's remaining data, such as TLS's close_notify, and then closes.
// Without the read, the stack would answer each late segment with a reset, and nobody would know when the last reset was sent.
func (c patientConn) Close() error {
	err := c.CloseWrite()
	if err == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(farewell))
		_, _ = io.Copy(io.Discard, c.Conn) // ignore the error, because the peer may close or reset the connection
	}
	return errors.Join(err, c.Conn.Close())
}

func (a *MailAttempt) message(id string) []byte {
	return []byte(strings.Join([]string{
		"From: <" + a.From + ">", "To: <" + a.To + ">", "Date: " + time.Now().Format(time.RFC1123Z),
		"Message-ID: <" + id + ">", "Subject: " + a.Mode.String(), "", "Sent to " + a.Server.String() + ".", "",
	}, "\r\n"))
}
