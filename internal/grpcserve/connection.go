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

// A connection is what is known of one client's connection.
type connection struct {
	net  net.Conn
	born time.Time

	// mu guards what follows.
	mu       sync.Mutex
	verified time.Time // when its certificate was last found good
	failed   error     // what was wrong with it, for good
}

type connectionKey struct{}

// between is how long a verification of a connection's certificate is good for, so that not every call costs one.
const between = time.Second

// accepted checks whether the connection may still be used: its age, and its client's certificate if it showed one. An error is a status.
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
			break // an intermediate: another chain may do
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

// verify checks a client's certificate by the authorities that are in force now.
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
		return errors.New("the server has no authorities to verify it by")
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

// old says whether the client should open a new connection.
func (s *Server) old(c *connection) bool {
	return s.limits.ConnectionAge > 0 && s.now().Sub(c.born) >= s.limits.ConnectionAge
}

// guard checks a stream's connection again and again for as long as the stream lives.
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

// nextCheck is the time to the next moment at which accepted may say something else.
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

// A limited listener closes connections beyond a number at once.
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
