package grpcserve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"
)

// A connection holds the state of one client's connection.
type connection struct {
	net  net.Conn
	born time.Time

	// mu guards all following fields.
	mu       sync.Mutex
	verified time.Time // time of the last successful verification of the client's certificate
	failed   error     // error of a failed verification; a connection that has failed is never accepted again
}

type connectionKey struct{}

// between is how long the result of a successful verification of a connection's certificate is reused.
const between = time.Second

// accepted returns an error if the connection is too old or if its client certificate is no longer valid. The error
// is a gRPC status. A connection without a client certificate is checked only for its age.
func (s *Server) accepted(c *connection, state *tls.ConnectionState) error {
	now := s.now()
	if s.limits.ConnectionAge > 0 && now.Sub(c.born) >= s.limits.ConnectionAge+s.limits.ConnectionGrace {
		return errAge(s.limits.ConnectionAge)
	}
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	for _, cert := range state.PeerCertificates {
		if end := cert.NotAfter; now.After(end) {
			if cert == state.PeerCertificates[0] {
				c.failed = errExpired(end)
				return c.failed
			}
			break // an intermediate certificate has expired, but another chain may be valid
		}
	}
	if since := now.Sub(c.verified); since >= 0 && since < between {
		return nil
	}
	if err := s.verify(state.PeerCertificates, now); err != nil {
		c.failed = errUnverified(err)
		return c.failed
	}
	c.verified = now
	return nil
}

// verify verifies a client's certificate chain against the current CAs.
func (s *Server) verify(chain []*x509.Certificate, now time.Time) error {
	config := s.tls
	if config.GetConfigForClient != nil {
		current, err := config.GetConfigForClient(nil)
		if err != nil {
			return err
		}
		if current != nil {
			config = current
		}
	}
	if config.ClientCAs == nil {
		return errors.New("the server has no CAs to verify it against")
	}
	opts := x509.VerifyOptions{
		Roots: config.ClientCAs, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(opts)
	return err
}

// old reports whether the connection has reached its maximum age, so that the client should open a new connection.
func (s *Server) old(c *connection) bool {
	return s.limits.ConnectionAge > 0 && s.now().Sub(c.born) >= s.limits.ConnectionAge
}

// guard checks the connection of a stream repeatedly until the stream ends. If the connection is no longer accepted,
// guard ends the stream.
func (s *Server) guard(c *call, state *tls.ConnectionState) {
	if state == nil && s.limits.ConnectionAge < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recheck = time.AfterFunc(s.nextCheck(c.conn, state), func() {
		if err := s.accepted(c.conn, state); err != nil {
			s.refused(c, err)
			c.fail(err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.users > 0 {
			c.recheck.Reset(s.nextCheck(c.conn, state))
		}
	})
}

// nextCheck returns the time after which accepted must be called again, because its result may have changed.
func (s *Server) nextCheck(c *connection, state *tls.ConnectionState) time.Duration {
	now := s.now()
	next := 24 * time.Hour
	if s.limits.ConnectionAge > 0 {
		next = min(next, c.born.Add(s.limits.ConnectionAge+s.limits.ConnectionGrace).Sub(now))
	}
	if state != nil && len(state.PeerCertificates) > 0 {
		next = min(next, s.limits.Recheck, state.PeerCertificates[0].NotAfter.Sub(now)+time.Millisecond)
	}
	return max(next, time.Millisecond)
}

// A limited is a listener that closes new connections if the limit on connections is reached.
type limited struct {
	net.Listener
	server *Server
	room   chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.room <- struct{}{}:
			return &counted{Conn: c, leave: sync.OnceFunc(func() { <-l.room })}, nil
		default:
			l.server.turnedAway(c)
			_ = c.Close()
		}
	}
}

type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}
