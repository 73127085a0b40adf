package northbound

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// callsPerConnection is the largest number of forwarded calls on a connection. An op25b server accepts 100 streams per connection.
const callsPerConnection = 64

// A pool holds the connections to other controllers. A connection is closed when its last call ends.
type pool struct {
	tls  func(host string) (*tls.Config, error) // nil for plain text
	gets chan struct{}                          // contains a token for each forwarded Get in progress

	mu    sync.Mutex // guards conns
	conns map[string][]*shared
}

// A shared is a connection that is used by at least one call.
type shared struct {
	conn  *grpc.ClientConn
	calls int
}

func newPool(secure func(host string) (*tls.Config, error)) *pool {
	return &pool{tls: secure, gets: make(chan struct{}, getsAtOnce), conns: make(map[string][]*shared)}
}

// take returns a connection to another controller's gNMI. The caller must call release at the end of its call. The error is a gRPC status.
func (p *pool) take(addr string) (conn *grpc.ClientConn, release func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var c *shared
	for _, x := range p.conns[addr] {
		if x.calls < callsPerConnection {
			c = x
			break
		}
	}
	if c == nil {
		if c, err = p.connect(addr); err != nil {
			return nil, nil, status.Error(codes.Unavailable, err.Error())
		}
		p.conns[addr] = append(p.conns[addr], c)
	}
	c.calls++
	return c.conn, func() { p.leave(addr, c) }, nil
}

func (p *pool) leave(addr string, c *shared) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.calls--; c.calls > 0 {
		return
	}
	var left []*shared
	for _, x := range p.conns[addr] {
		if x != c {
			left = append(left, x)
		}
	}
	if p.conns[addr] = left; left == nil {
		delete(p.conns, addr)
	}
	_ = c.conn.Close()
}

func (p *pool) connect(addr string) (*shared, error) {
	with := insecure.NewCredentials()
	if p.tls != nil {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("address %q: must be host:port", addr)
		}
		secure, err := p.tls(host)
		if err != nil {
			return nil, err
		}
		with = credentials.NewTLS(secure)
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(with), grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectWithin}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 15 * time.Second}))
	if err != nil {
		return nil, err
	}
	return &shared{conn: conn}, nil
}
