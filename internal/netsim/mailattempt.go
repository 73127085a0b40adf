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
	// DefaultConnectTimeout is how long an attempt waits for the connection. It allows one SYN without retransmissions. Time during which
	// the machine did not run this process does not count.
	DefaultConnectTimeout = time.Second
	// DefaultAnswerTimeout is how long a connected attempt waits for each answer. It is longer than DefaultConnectTimeout because the
	// servers share the machine's processors: a slow answer does not mean that a filter blocked it.
	DefaultAnswerTimeout = 10 * time.Second
)

// A Mode is how a message is submitted.
type Mode int

const (
	MX         Mode = iota // plain text, as between servers and from customers to their relay
	Submission             // STARTTLS and AUTH PLAIN, as from a mail program to its provider
)

// String returns "mx" or "submission".
func (m Mode) String() string {
	if m == Submission {
		return "submission"
	}
	return "mx"
}

// A MailAttempt is an attempt to send one message from a host to a server.
type MailAttempt struct {
	Server   netip.AddrPort
	Mode     Mode
	From, To string // sender and recipient, in both the envelope and the header

	Username, Password string         // credentials, for Submission
	ServerName         string         // for Submission: the name that the server's certificate must have
	Trust              *x509.CertPool // for Submission: the accepted issuers of the certificate; nil means the machine's issuers

	// Holds reports whether the server has the message with an id. If Holds is nil, the server's answer counts as proof of delivery.
	Holds func(messageID string) bool

	ConnectTimeout, AnswerTimeout time.Duration // 0 means the default
}

// Attempt returns an attempt at this server over IPv6 or IPv4. After sending, the attempt checks that the server has stored the message.
// The caller sets From and To, and for Submission Username and Password.
func (s *MailServer) Attempt(mode Mode, v6 bool) (MailAttempt, error) {
	addr, ok := s.host.Addr(v6)
	if !ok {
		return MailAttempt{}, fmt.Errorf("mail server %s: host %q has no address of the family (IPv6: %t)", s.config.Hostname, s.host.config.Name, v6)
	}
	port := uint16(PortSMTP)
	if mode == Submission {
		port = PortSubmission
	}
	return MailAttempt{Server: netip.AddrPortFrom(addr, port), Mode: mode, ServerName: s.Hostname(), Trust: s.Trust(), Holds: s.Holds}, nil
}

// An AttemptOutcome is how an attempt ended.
type AttemptOutcome int

const (
	Failed    AttemptOutcome = iota // neither Delivered nor Blocked: the server refused, or a component is broken. A filter never causes it
	Delivered                       // the server has the message
	Blocked                         // the path is blocked: no answer in time, or an ICMP error
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

// A Result is an attempt's outcome with its details.
type Result struct {
	Outcome   AttemptOutcome
	MessageID string // id of the message, without angle brackets
	Stage     string // the last stage: "connect", "greeting", "starttls", "auth", "mail", "rcpt", "data", "store", "quit"
	Err       error  // why the message was not delivered; nil if delivered
}

// Send makes the attempt. When Send returns, the connection has been closed in order (Delivered) or aborted. Use Quiesce to wait for the
// last segments.
func Send(ctx context.Context, from *Host, a MailAttempt) Result {
	a.setDefaults()
	r := Result{MessageID: rand.Text() + "@" + from.Name(), Stage: "connect"}
	connectCtx, cancel := withPatience(ctx, a.ConnectTimeout, time.Now)
	defer cancel()
	conn, err := from.DialContext(connectCtx, "tcp", a.Server.String())
	if err == nil {
		err = a.converse(ctx, conn.(*Conn), from.Name(), &r)
	}
	switch {
	case err == nil:
		r.Outcome = Delivered
	case ctx.Err() != nil:
		// The caller gave up. That does not mean that the path is blocked.
		r.Outcome = Failed
	case errors.Is(err, ErrProhibited), isTimeout(err):
		r.Outcome = Blocked
	}
	if err != nil {
		r.Err = fmt.Errorf("host %q: %s to %v: %s: %w", from.Name(), a.Mode, a.Server, r.Stage, err)
	}
	return r
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
	c, err := a.open(conn, helo, r)
	if err != nil {
		return err
	}
	if a.Mode == Submission {
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
	// The message is delivered. An error while closing the connection does not change that.
	if c.Quit() != nil {
		conn.Abort()
	}
	return nil
}

// open starts the SMTP session. For Submission it also starts TLS.
func (a *MailAttempt) open(conn *Conn, helo string, r *Result) (*smtp.Client, error) {
	patient := patientConn{conn, a.AnswerTimeout}
	if a.Mode == MX {
		c := smtp.NewClient(patient)
		return c, c.Hello(helo)
	}
	r.Stage = "starttls"
	c, err := smtp.NewClientStartTLS(patient, &tls.Config{ServerName: a.ServerName, RootCAs: a.Trust, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	return c, c.Hello(helo)
}

// A patientConn limits the wait for each answer. go-smtp sets deadlines for commands, but not always the ones required here.
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

// Close ends the connection in order: it sends FIN, reads the peer's remaining data, such as TLS's close_notify, and then closes. If Close
// did not read first, the stack would answer every later segment with a reset, and the time of the last reset would be unknown.
func (c patientConn) Close() error {
	err := c.CloseWrite()
	if err == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(farewell))
		_, _ = io.Copy(io.Discard, c.Conn) // the peer may close or reset
	}
	return errors.Join(err, c.Conn.Close())
}

func (a *MailAttempt) message(id string) []byte {
	return []byte(strings.Join([]string{
		"From: <" + a.From + ">", "To: <" + a.To + ">", "Date: " + time.Now().Format(time.RFC1123Z),
		"Message-ID: <" + id + ">", "Subject: " + a.Mode.String(), "", "Sent to " + a.Server.String() + ".", "",
	}, "\r\n"))
}
