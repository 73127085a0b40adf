package p4rt

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// A security contains the credentials of a connection and the error of the last TLS handshake. The error is kept
// because gRPC reports only its text.
type security struct {
	credentials.TransportCredentials // credentials for TLS or for plain text
	plain                            bool

	mu      sync.Mutex // guards all following fields
	refused error      // TLS error of the last attempt; nil if the attempt succeeded or did not reach the handshake
	sealed  func()     // called when a further connection is refused; if nil, further connections are permitted
}

var _ credentials.TransportCredentials = (*security)(nil)

func newSecurity(config *tls.Config, addr string) *security {
	if config == nil {
		return &security{TransportCredentials: insecure.NewCredentials(), plain: true}
	}
	config = config.Clone()
	if verify := config.VerifyConnection; verify != nil {
		host, _, _ := net.SplitHostPort(addr) // withDefaults has already checked addr
		name := cmp.Or(config.ServerName, host)
		config.VerifyConnection = func(state tls.ConnectionState) error {
			state.ServerName = cmp.Or(state.ServerName, name) // crypto/tls leaves ServerName empty for an IP address
			return verify(state)
		}
	}
	return &security{TransportCredentials: credentials.NewTLS(config)}
}

// Clone returns s itself, because its state belongs to one connection.
func (s *security) Clone() credentials.TransportCredentials { return s }

// errSealed is returned to gRPC when gRPC tries to open a second connection for a session.
var errSealed = errors.New("the session's connection is lost, and it has but one")

// ClientHandshake performs the TLS handshake on a new connection.
func (s *security) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	s.mu.Lock()
	sealed := s.sealed
	s.mu.Unlock()
	if sealed != nil {
		sealed()
		return nil, nil, errSealed
	}
	conn, info, err := s.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		s.note(tlsRefusal(err))
		return nil, nil, err
	}
	if !s.plain {
		conn = &securedConn{conn, s}
	}
	return conn, info, nil
}

// seal makes s refuse further connections. told is called at every attempt to connect.
func (s *security) seal(told func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = told
}

func (s *security) note(refused error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = refused
}

func (s *security) refusal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// A securedConn detects the alert by which a TLS 1.3 server refuses the client's certificate. The alert arrives after
// the client has finished its handshake.
type securedConn struct {
	net.Conn
	s *security
}

func (c *securedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	var op *net.OpError
	switch {
	case n > 0: // the switch has accepted the client's certificate
		c.s.note(nil)
	case errors.As(err, &op) && op.Op == "remote error":
		c.s.note(tlsRefusal(err))
	}
	return n, err
}

// alertPatience is how long a failed write waits for an alert. An alert that explains the failure has usually arrived
// already.
const alertPatience = 100 * time.Millisecond

func (c *securedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.SetReadDeadline(time.Now().Add(alertPatience)) // changing the deadline does no harm, because the connection is no longer used
		_, _ = c.Read(make([]byte, 1))
	}
	return n, err
}

// tlsRefusal returns the TLS error by which one side refused the other side. It returns nil if the network failed.
func tlsRefusal(err error) error {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "remote error":
		return fmt.Errorf("by the switch: %w", op.Err)
	case errors.As(err, &op) && op.Op != "local error",
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	}
	return err
}

// A refusedByTLS combines an RPC's error with the TLS error that caused it.
type refusedByTLS struct{ reason, rpc error }

func (e refusedByTLS) Error() string   { return e.reason.Error() }
func (e refusedByTLS) Unwrap() []error { return []error{e.reason, e.rpc} }
