package netsim

import (
	"bytes"
	"io"
	"net/mail"
	"net/netip"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// A mailSession is one client's connection to a MailServer.
type mailSession struct {
	server *MailServer
	port   uint16
	client netip.Addr
	user   string // the authenticated user, or empty
	from   string
	to     []string
}

var (
	_ smtp.Session     = (*mailSession)(nil)
	_ smtp.AuthSession = (*mailSession)(nil)
)

// submits reports whether the session is on a port for users, who must authenticate.
func (s *mailSession) submits() bool { return s.port == PortSubmission || s.port == PortSubmissions }

// AuthMechanisms implements smtp.AuthSession. go-smtp offers the mechanisms only inside TLS.
func (s *mailSession) AuthMechanisms() []string {
	if !s.submits() {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (s *mailSession) Auth(mechanism string) (sasl.Server, error) {
	if !s.submits() || mechanism != sasl.Plain {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return sasl.NewPlainServer(func(identity, user, password string) error {
		if !s.server.isUser(user, password) || identity != "" && identity != user {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if s.submits() && s.user == "" {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

// Rcpt implements smtp.Session.
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.user == "" && !s.server.accepts(to) && !s.server.relaysFor(s.client) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Relaying denied"}
	}
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session.
func (s *mailSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	parsed, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "Message has no header: " + err.Error()}
	}
	s.server.keep(Message{
		ID:     strings.Trim(parsed.Header.Get("Message-ID"), "<> "),
		Client: s.client, Port: s.port, User: s.user, From: s.from, To: s.to, Data: data,
	})
	return nil
}

// Reset implements smtp.Session.
func (s *mailSession) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (s *mailSession) Logout() error { return nil }
