package openid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"op25b/internal/tlsfiles"
)

// Limits on the requests to the provider.
const (
	// Within is the time limit of one request, including its response body.
	Within = 10 * time.Second
	// maxBody is the limit on a decompressed response body, in bytes. A discovery document has 5 kB, and a set of 100 RSA keys has 50 kB.
	maxBody = 256 << 10
	// maxHeaders is the limit on the headers of a response, in bytes.
	maxHeaders = 64 << 10
	// maxConns is the limit on the connections to a host of the provider.
	maxConns = 8
)

// newClient returns an HTTP client for one provider. Its requests end when life ends. The caller must call release when the client is no longer
// used for new requests.
func newClient(life context.Context, issuer, ca string, within time.Duration) (client *http.Client, release func(), err error) {
	files := tlsfiles.Files{CA: ca}
	if u, err := url.Parse(issuer); err == nil {
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			files.ServerName = u.Hostname()
		}
	}
	secure, err := tlsfiles.Client(files)
	if err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure, ForceAttemptHTTP2: true, TLSHandshakeTimeout: within,
		MaxResponseHeaderBytes: maxHeaders, MaxConnsPerHost: maxConns, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
	}
	stop := context.AfterFunc(life, transport.CloseIdleConnections)
	client = &http.Client{
		Transport: &boundedTransport{life, transport}, Timeout: within,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return fmt.Errorf("it redirects to %s, and redirects are not followed", brief(r.URL.Redacted()))
		},
	}
	return client, func() { stop(); transport.CloseIdleConnections() }, nil
}

// A boundedTransport limits the size of response bodies, and ends requests when life ends.
type boundedTransport struct {
	life context.Context
	next *http.Transport
}

var _ http.RoundTripper = (*boundedTransport)(nil)

// RoundTrip sends a request. The body of the response returns an error after maxBody bytes.
func (t *boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(t.life, func() { cancel(context.Cause(t.life)) })
	end := func() { stop(); cancel(nil) }
	res, err := t.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		end()
		return nil, err
	}
	res.Body = &boundedBody{res.Body, maxBody, end}
	return res, nil
}

// errLarge is returned for a response body that is too large.
var errLarge = errors.New("the response is too large")

// A boundedBody is a response body with a limit.
type boundedBody struct {
	io.ReadCloser
	left int64
	end  func()
}

// Read returns errLarge after the limit.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		if n, err := b.ReadCloser.Read(make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, fmt.Errorf("%w: it has more than %d bytes", errLarge, maxBody)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// Close ends the request.
func (b *boundedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// brief shortens a text from outside for an error.
func brief(text string) string {
	const most = 300
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
