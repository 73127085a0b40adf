package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"op25b/internal/grpcserve"
	"op25b/internal/tlsfiles"
)

// ErrListen is the error that Listen returns for invalid or insecure options. The caller names the listener.
var ErrListen = errors.New("invalid listener")

// Listening holds the options for the API's address and transport security.
type Listening struct {
	// Addr is the address to listen on, as host:port. Port 0 selects a free port. An empty host means all addresses of this host.
	Addr string
	// Cert and Key are the PEM files of the server certificate. ClientCA is the PEM file with the CAs for client certificates. Without Cert
	// and Key, the API is plain text, which is allowed only on loopback addresses unless Insecure is set. A file that changes is read again.
	Cert, Key, ClientCA string
	// RequireClientCert refuses connections without a client certificate. If it is false, callers may use bearer tokens instead.
	RequireClientCert bool
	// Insecure allows plain text on addresses other than loopback, where tokens and the intent can be read on the network.
	Insecure bool
	// OnError, if not nil, is called when a changed file cannot be used.
	OnError func(error)
	// Ends, if not nil, provides the times at which the certificates of the listener end.
	Ends *tlsfiles.Ends
}

// Secure checks the options and returns the TLS configuration of the listener, or nil for plain text. It returns ErrListen if the options are
// invalid or insecure.
func (o Listening) Secure() (*tls.Config, error) {
	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("%w: address %q: must be host:port, such as 127.0.0.1:2525", ErrListen, o.Addr)
	}
	secured := o.Cert != "" || o.Key != ""
	switch {
	case secured && o.Insecure:
		return nil, fmt.Errorf("%w: a certificate and --insecure: give only one of them", ErrListen)
	case !secured && (o.ClientCA != "" || o.RequireClientCert):
		return nil, fmt.Errorf("%w: client certificates require TLS: give the server's certificate and key, too", ErrListen)
	case o.RequireClientCert && o.ClientCA == "":
		return nil, fmt.Errorf("%w: client certificates are required, but no CA for them is given", ErrListen)
	case !secured && !o.Insecure && !tlsfiles.Loopback(host):
		return nil, fmt.Errorf("%w: %s can be reached from other hosts, and without TLS tokens and intent can be read on the network: "+
			"give a certificate and its key, listen on 127.0.0.1, or add --insecure", ErrListen, o.Addr)
	}
	if !secured {
		return nil, nil
	}
	secure, err := tlsfiles.Server(tlsfiles.Files{CA: o.ClientCA, Cert: o.Cert, Key: o.Key, OnError: o.OnError, Ends: o.Ends}, o.RequireClientCert)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrListen, err)
	}
	return secure, nil
}

// Listen opens the listener. It returns ErrListen if the options are invalid or insecure, or the error of net.Listen.
func Listen(o Listening) (net.Listener, error) {
	secure, err := o.Secure()
	if err != nil {
		return nil, err
	}
	var authorities func() *x509.CertPool
	if o.ClientCA != "" {
		if authorities, err = tlsfiles.Authorities(o.ClientCA); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrListen, err)
		}
	}
	l, err := grpcserve.Listen("listener", o.Addr)
	if err != nil {
		return nil, err
	}
	all := newConnections(MaxConnections, MaxPerAddress)
	all.authorities = authorities
	l = bounded{l, all}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	return &listener{l, all}, nil
}

// Limits on connections.
const (
	// headersWithin is the limit on the time that a client may take to send a request header.
	headersWithin = 10 * time.Second
	// idleFor is the time after which an idle connection is closed.
	idleFor = 5 * time.Minute
	// stopWithin is the time that calls in progress have to finish when the controller stops. Streams end immediately; see Deps.Stopping.
	stopWithin = 5 * time.Second
	// maxHeader is the limit on the size of a request header, in bytes. A token has 50 bytes.
	maxHeader = 32 << 10
)

// http2Bounds returns the limits for each HTTP/2 connection. The unread data of a connection never exceeds one window.
func http2Bounds() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          100,
		MaxReadFrameSize:              16 << 10,
		MaxDecoderHeaderTableSize:     4 << 10,
		MaxReceiveBufferPerConnection: 128 << 10,
		MaxReceiveBufferPerStream:     128 << 10,        // with a round trip of 100 ms, 64 MiB take a minute
		SendPingTimeout:               30 * time.Second, // detects clients that no longer exist
		PingTimeout:                   15 * time.Second,
		WriteByteTimeout:              30 * time.Second, // disconnects clients that do not read
	}
}

// Serve serves h on l until ctx ends, and then gives calls in progress up to stopWithin to finish. Serve closes the listener. It supports
// HTTP/1.1 and HTTP/2. In plain text, HTTP/2 requires prior knowledge, which gRPC clients have.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *zap.Logger) error {
	if log == nil {
		log = zap.NewNop()
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: h, Protocols: &protocols, ReadHeaderTimeout: headersWithin, IdleTimeout: idleFor,
		ErrorLog: stdlog.New(&thinLog{log, newThinner(time.Now)}, "", 0), MaxHeaderBytes: maxHeader, HTTP2: http2Bounds(), ConnContext: track,
	}
	if own, ok := l.(*listener); ok {
		if d, ok := h.(*door); ok {
			own.served(d.doorLog)
		}
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if server.Shutdown(stopping) != nil {
		_ = server.Close() // ends the calls that are still in progress
	}
	<-served
	return nil
}

// A thinLog logs the errors of net/http, such as failed TLS handshakes. Because strangers can cause any number of errors, a thinner limits
// the log lines.
type thinLog struct {
	log  *zap.Logger
	thin *thinner
}

// Write logs a line unless the thinner omits it.
func (t *thinLog) Write(line []byte) (int, error) {
	if missed, ok := t.thin.tell(); ok {
		t.log.Warn(brief(strings.TrimSpace(string(line))), zap.Int("missed", missed))
	}
	return len(line), nil
}
