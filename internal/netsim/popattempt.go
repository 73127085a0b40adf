package netsim

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/textproto"
	"strings"
	"time"
)

// ErrPOP3 is wrapped by the error of an attempt that the server answered with -ERR or not as RFC 1939 says.
var ErrPOP3 = errors.New("POP3")

// A ReadAttempt is an attempt to read the newest message of a mailbox over POP3.
type ReadAttempt struct {
	Server             netip.AddrPort
	TLS                bool // whether the connection begins inside TLS, as on port 995
	Username, Password string
	ServerName         string         // the name that the server's certificate must have; unused without TLS
	Trust              *x509.CertPool // the accepted issuers of the certificate; nil means the issuers that the machine trusts

	ConnectTimeout, AnswerTimeout time.Duration // 0 means the default, DefaultConnectTimeout or DefaultAnswerTimeout
}

// ReadAttempt returns an attempt to read a mailbox on this server, inside TLS if tls is set, and over IPv6 if v6 is set and over IPv4
// otherwise. The caller must set Username and Password.
func (s *MailServer) ReadAttempt(tls, v6 bool) (ReadAttempt, error) {
	port := uint16(PortPOP3)
	if tls {
		port = PortPOP3S
	}
	server, err := s.at(port, v6)
	return ReadAttempt{Server: server, TLS: tls, ServerName: s.Hostname(), Trust: s.Trust()}, err
}

// Read makes the attempt. The message id in the result is that of the newest message. When Read returns, the connection has been closed
// gracefully if the mailbox was read, and aborted otherwise. Use Quiesce to wait for the last segments.
func Read(ctx context.Context, from *Host, a ReadAttempt) Result {
	a.ConnectTimeout, a.AnswerTimeout = cmp.Or(a.ConnectTimeout, DefaultConnectTimeout), cmp.Or(a.AnswerTimeout, DefaultAnswerTimeout)
	r, what := Result{Stage: "connect"}, "pop3"
	if a.TLS {
		what = "pop3s"
	}
	try(ctx, from, a.Server, a.ConnectTimeout, what, &r, func(conn *Conn) error { return a.converse(ctx, conn, &r) })
	return r
}

// converse reads the newest message over the connection and records each stage in r. It aborts the connection on any error.
func (a *ReadAttempt) converse(ctx context.Context, conn *Conn, r *Result) (err error) {
	defer context.AfterFunc(ctx, conn.Abort)()
	defer func() {
		if err != nil {
			conn.Abort()
		}
	}()
	patient := patientConn{conn, a.AnswerTimeout}
	var inside net.Conn = patient
	if a.TLS {
		config := &tls.Config{ServerName: a.ServerName, RootCAs: a.Trust, MinVersion: tls.VersionTLS12}
		if inside, err = startTLS(ctx, patient, config, r); err != nil {
			return err
		}
	}
	c := popClient{textproto.NewConn(inside), patient}
	r.Stage = "greeting"
	if _, err := c.answer(); err != nil {
		return err
	}
	r.Stage = "auth"
	if _, err := c.ask("USER " + a.Username); err != nil {
		return err
	}
	if _, err := c.ask("PASS " + a.Password); err != nil {
		return err
	}
	r.Stage = "retr"
	if r.MessageID, err = c.newest(); err != nil {
		return err
	}
	r.Stage = "quit"
	// The mailbox has been read, so an error while closing the connection does not change the outcome.
	if _, err := c.ask("QUIT"); err != nil || inside.Close() != nil {
		conn.Abort()
	}
	return nil
}

// A popClient asks a POP3 server. Each answer has its own deadline.
type popClient struct {
	*textproto.Conn
	conn patientConn
}

func (c popClient) ask(line string) (string, error) {
	if strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("%w: a command has a line break", ErrPOP3)
	}
	if err := c.PrintfLine("%s", line); err != nil {
		return "", err
	}
	return c.answer()
}

// answer returns the text behind +OK.
func (c popClient) answer() (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(c.conn.timeout)); err != nil {
		return "", err
	}
	line, err := c.ReadLine()
	if err != nil {
		return "", err
	}
	text, ok := strings.CutPrefix(line, "+OK")
	if !ok {
		return "", fmt.Errorf("%w: the server answered %q, want +OK", ErrPOP3, line)
	}
	return strings.TrimSpace(text), nil
}

// newest returns the Message-ID of the newest message, without angle brackets, or "" if the mailbox is empty.
func (c popClient) newest() (string, error) {
	text, err := c.ask("STAT")
	if err != nil {
		return "", err
	}
	var messages, size int
	if _, err := fmt.Sscan(text, &messages, &size); err != nil {
		return "", fmt.Errorf("%w: the server answered STAT with %q, want two numbers", ErrPOP3, text)
	}
	if messages == 0 {
		return "", nil
	}
	if _, err := c.ask(fmt.Sprint("RETR ", messages)); err != nil {
		return "", err
	}
	data, err := c.ReadDotBytes()
	if err != nil {
		return "", err
	}
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	return strings.Trim(m.Header.Get("Message-ID"), "<> "), nil
}
