// Package client connects the command line to a controller. It handles the controller's address, TLS, credentials and errors.
//
// It wraps the generated clients of the API. It does not format output.
package client

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"connectrpc.com/connect"

	"op25b/internal/tlsfiles"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// DefaultServer is the default address of a controller.
const DefaultServer = "127.0.0.1:2525"

// maxMessage is the maximum size of an answer in bytes. All files of an intent take at most 64 MiB, and the rest is for the
// other parts of the message.
const maxMessage = 80 << 20

// A Config contains the address of the controller and the credentials of the caller.
type Config struct {
	// Server is host:port or a URL without a path. host:port means http if the host is a loopback address and TLS is empty;
	// otherwise it means https. It may be several of them, separated by commas: see dialer.
	Server string
	// OnOther, if not nil, is called when a controller that is not the first of Server is used, with the reasons why those before it are not.
	OnOther func(server string, before []error)
	// TokenFile is the path of the file that contains the caller's bearer token. It may be empty.
	TokenFile string
	// TLS contains the paths of the TLS files. All of them may be empty. ServerName defaults to the host of Server.
	TLS tlsfiles.Files
}

// A Client contains one generated client for each service of the API.
type Client struct {
	Intent     op25bv1connect.IntentServiceClient
	Phase      op25bv1connect.PhaseServiceClient
	Portal     op25bv1connect.PortalServiceClient
	Fleet      op25bv1connect.FleetServiceClient
	Check      op25bv1connect.CheckServiceClient
	Audit      op25bv1connect.AuditServiceClient
	Store      op25bv1connect.StoreServiceClient
	Telemetry  op25bv1connect.TelemetryServiceClient
	Abuse      op25bv1connect.AbuseServiceClient
	Subscriber op25bv1connect.SubscriberServiceClient
	Lease      op25bv1connect.LeaseServiceClient
	Exemption  op25bv1connect.ExemptionServiceClient
	Rollout    op25bv1connect.RolloutServiceClient

	transport *http.Transport
}

// idleConns is the number of connections that stay open without TLS, where HTTP/1.1 needs one for each call at the same time. The customers'
// portal makes many calls at once.
const idleConns = 64

// New returns a Client for a controller. It does not connect. It returns ErrConfig if c is invalid.
func New(c Config) (*Client, error) {
	all, err := c.urls()
	if err != nil {
		return nil, err
	}
	base, token := all[0], ""
	for _, server := range all {
		if token, err = c.token(server); err != nil {
			return nil, err
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2 = true
	transport.MaxIdleConnsPerHost = idleConns
	var secure *tls.Config // nil for plain text
	if base.Scheme == "https" {
		files := c.TLS
		if files.ServerName == "" {
			files.ServerName = base.Hostname()
		}
		if secure, err = tlsfiles.Client(files); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		transport.TLSClientConfig = secure
	}
	if len(all) > 1 {
		newDialer(c, all, secure).use(transport)
	}
	h := &http.Client{
		Transport:     &reach{transport, strings.Join(names(all), ", "), base.Scheme == "https" && c.TLS.Cert == "", token},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // do not follow redirects, because the token must not reach another server
	}
	opt := connect.WithReadMaxBytes(maxMessage)
	return &Client{
		Intent:     op25bv1connect.NewIntentServiceClient(h, base.String(), opt),
		Phase:      op25bv1connect.NewPhaseServiceClient(h, base.String(), opt),
		Portal:     op25bv1connect.NewPortalServiceClient(h, base.String(), opt),
		Fleet:      op25bv1connect.NewFleetServiceClient(h, base.String(), opt),
		Check:      op25bv1connect.NewCheckServiceClient(h, base.String(), opt),
		Abuse:      op25bv1connect.NewAbuseServiceClient(h, base.String(), opt),
		Subscriber: op25bv1connect.NewSubscriberServiceClient(h, base.String(), opt),
		Lease:      op25bv1connect.NewLeaseServiceClient(h, base.String(), opt),
		Exemption:  op25bv1connect.NewExemptionServiceClient(h, base.String(), opt),
		Rollout:    op25bv1connect.NewRolloutServiceClient(h, base.String(), opt),
		Audit:      op25bv1connect.NewAuditServiceClient(h, base.String(), opt),
		Store:      op25bv1connect.NewStoreServiceClient(h, base.String(), opt),
		Telemetry:  op25bv1connect.NewTelemetryServiceClient(h, base.String(), opt),
		transport:  transport,
	}, nil
}

// At returns the configuration of the same caller for another controller, whose address is host:port. If Server is a URL, the other
// controller is called with the same scheme.
func (c Config) At(addr string) Config {
	if scheme, _, is := strings.Cut(c.Server, "://"); is {
		addr = scheme + "://" + addr
	}
	c.Server, c.TLS.ServerName = addr, ""
	return c
}

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// maxServers is the maximum number of controllers in Server.
const maxServers = 16

// urls returns a URL with the scheme, host and port of each controller. All have the same scheme, because a request is made for one of them before it
// is known which of them answers.
func (c Config) urls() (all []*url.URL, err error) {
	texts := strings.Split(c.Server, ",")
	if len(texts) > maxServers {
		return nil, fmt.Errorf("%w: server has %d controllers; must be at most %d", ErrConfig, len(texts), maxServers)
	}
	for _, text := range texts {
		u, err := c.url(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		if all = append(all, u); u.Scheme != all[0].Scheme {
			return nil, fmt.Errorf("%w: server %q: %s is called by %s and %s by %s; write the same scheme before each", ErrConfig, c.Server, all[0].Host, all[0].Scheme, u.Host, u.Scheme)
		}
	}
	return all, nil
}

func names(all []*url.URL) (names []string) {
	for _, u := range all {
		names = append(names, u.String())
	}
	return names
}

// url returns a URL with a controller's scheme, host and port.
func (c Config) url(text string) (*url.URL, error) {
	given := text
	fail := func(why string) (*url.URL, error) {
		return nil, fmt.Errorf("%w: server %q: %s; must be host:port or a URL, such as %s or https://noc.isp.example:2525", ErrConfig, given, why, DefaultServer)
	}
	secured := c.TLS.CA+c.TLS.Cert+c.TLS.Key != ""
	if !strings.Contains(text, "://") {
		host, port, err := net.SplitHostPort(text)
		if err != nil || port == "" || host == "" {
			return fail("not a host with a port")
		}
		scheme := "https://"
		if !secured && isHere(host) {
			scheme = "http://"
		}
		text = scheme + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fail("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return fail("scheme " + u.Scheme + " is neither http nor https")
	case u.Hostname() == "":
		return fail("no host")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fail("has more than scheme, host and port")
	case u.Scheme == "http" && secured:
		return fail("http cannot use the TLS files that are given")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// token reads the caller's token. It returns an error if the token would be sent in plain text to another host.
func (c Config) token(base *url.URL) (string, error) {
	if c.TokenFile == "" {
		return "", nil
	}
	fail := func(why string) (string, error) {
		return "", fmt.Errorf("%w: token file %s: %s", ErrConfig, c.TokenFile, why)
	}
	data, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return fail(plain(err).Error())
	}
	token := strings.TrimSpace(string(data))
	switch {
	case token == "":
		return fail("empty; must be one token on one line")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fail("not one token; must be one token on one line")
	case base.Scheme == "http" && !isHere(base.Hostname()):
		return fail(fmt.Sprintf("not sent to %s in plain text; use https://%s", base.Hostname(), base.Host))
	}
	return token, nil
}

// isHere reports whether host is "localhost" or a loopback address.
func isHere(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost"
}

// A reach is a RoundTripper that adds the token to requests. If a request is not answered, it returns *Unreachable.
type reach struct {
	next   http.RoundTripper
	server string
	bare   bool
	token  string
}

var _ http.RoundTripper = (*reach)(nil)

// RoundTrip adds the token to a request and sends it.
func (r *reach) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.token != "" {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := r.next.RoundTrip(req)
	if err != nil && req.Context().Err() == nil {
		err = &Unreachable{r.server, r.bare, err}
	}
	return resp, err
}
