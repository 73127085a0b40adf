package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// dialWithin is how long a controller may take to accept a connection, if there are others to try.
const dialWithin = 3 * time.Second

// A dialer connects to the first of several controllers that accepts a connection.
//
// It chooses when a connection is made, before a request is sent. This is safe for every request: nothing is sent twice. If a connection is lost
// after a request was sent, the request fails as with a single controller, and a change asks for its outcome by its request id, over a new connection
// that another controller may accept.
type dialer struct {
	servers []*url.URL
	tls     *tls.Config // nil for plain text
	onOther func(server string, before []error)

	mu   sync.Mutex // guards told
	told string     // the server for which onOther was called last
}

func newDialer(c Config, servers []*url.URL, secure *tls.Config) *dialer {
	return &dialer{servers: servers, tls: secure, onOther: c.OnOther}
}

// use makes a transport connect by the dialer.
func (d *dialer) use(t *http.Transport) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) }
	if d.tls == nil {
		t.DialContext = dial
		return
	}
	t.DialTLSContext = dial
}

// dial connects to the controllers in turn.
func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	var failed []error
	for _, server := range d.servers {
		conn, err := d.dialOne(ctx, server)
		if err == nil {
			d.tell(server, failed)
			return conn, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", server.Host, plain(err)))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, refusals(failed)
}

// refusals are the reasons why each of several controllers does not accept a connection, on one line.
type refusals []error

func (r refusals) Error() string {
	texts := make([]string, len(r))
	for i, err := range r {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns all reasons.
func (r refusals) Unwrap() []error { return r }

// dialOne connects to a controller, with TLS if it is in use. The certificate must be for the controller's own host, unless the caller has given a
// name.
func (d *dialer) dialOne(ctx context.Context, server *url.URL) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address(server))
	if err != nil || d.tls == nil {
		return conn, err
	}
	config := d.tls.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	if config.ServerName == d.servers[0].Hostname() {
		config.ServerName = server.Hostname()
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// address returns the host and port of a controller.
func address(server *url.URL) string {
	port := server.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[server.Scheme]
	}
	return net.JoinHostPort(server.Hostname(), port)
}

// tell reports the use of another controller than the first, once in a row.
func (d *dialer) tell(server *url.URL, before []error) {
	d.mu.Lock()
	again := d.told == server.Host
	d.told = server.Host
	d.mu.Unlock()
	if !again && len(before) > 0 && d.onOther != nil {
		d.onOther(server.Host, before)
	}
}
