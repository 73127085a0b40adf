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

// ErrListen is returned by Listen for options under which nobody should be served.
var ErrListen = errors.New("the API cannot be served so")

// A Listening says where the API is served, and how it is secured.
type Listening struct {
	// Addr is host:port; a port of 0 takes any that is free. Without a host it is every address of the machine.
	Addr string
	// Cert and Key are the PEM files of the server's certificate, ClientCA has the authorities of clients' certificates. Without the first two
	// it is plaintext, which is for loopback alone. All are taken up again when they change.
	Cert, Key, ClientCA string
	// RequireClientCert refuses connections without a client certificate; otherwise bearer tokens do, too.
	RequireClientCert bool
	// Insecure serves plaintext on other addresses than loopback, too: tokens and intent can be read on the way.
	Insecure bool
	// OnError, if not nil, is told of changed files that cannot be taken up.
	OnError func(error)
}

// Listen opens the listener. It returns ErrListen with what is missing, or what is wrong with the address or the files.
func Listen(o Listening) (net.Listener, error) {
	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("%w: address %q: must be host:port, such as 127.0.0.1:2525", ErrListen, o.Addr)
	}
	secured := o.Cert != "" || o.Key != ""
	switch {
	case secured && o.Insecure:
		return nil, fmt.Errorf("%w: there are a certificate and --insecure: leave one of them out", ErrListen)
	case !secured && (o.ClientCA != "" || o.RequireClientCert):
		return nil, fmt.Errorf("%w: clients' certificates want TLS: give the server's certificate and key, too", ErrListen)
	case o.RequireClientCert && o.ClientCA == "":
		return nil, fmt.Errorf("%w: client certificates are required, and there is no authority to verify them by", ErrListen)
	case !secured && !o.Insecure && !tlsfiles.Loopback(host):
		return nil, fmt.Errorf("%w: %s can be reached from other machines, and without TLS tokens and intent could be read on the way: "+
			"give a certificate and its key, listen on 127.0.0.1, or add --insecure", ErrListen, o.Addr)
	}
	var secure *tls.Config
	var authorities func() *x509.CertPool
	if secured {
		if o.ClientCA != "" {
			if authorities, err = tlsfiles.Authorities(o.ClientCA); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrListen, err)
			}
		}
		if secure, err = tlsfiles.Server(tlsfiles.Files{CA: o.ClientCA, Cert: o.Cert, Key: o.Key, OnError: o.OnError}, o.RequireClientCert); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrListen, err)
		}
	}
	l, err := grpcserve.Listen("API", o.Addr)
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

// Bounds of connections.
const (
	// headersWithin is how long a client may take to say what it wants.
	headersWithin = 10 * time.Second
	// idleFor is how long a connection without calls stays.
	idleFor = 5 * time.Minute
	// stopWithin is how long calls may go on when the controller stops. Streams end at once: see Deps.Stopping.
	stopWithin = 5 * time.Second
	// maxHeader is the most bytes of a request's header: a token has 50, a client's certificate is not in it.
	maxHeader = 32 << 10
)

// http2Bounds are the bounds of one connection of HTTP/2. What was received and not read is at most a window, whatever a service does.
func http2Bounds() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          100,
		MaxReadFrameSize:              16 << 10,
		MaxDecoderHeaderTableSize:     4 << 10,
		MaxReceiveBufferPerConnection: 128 << 10,
		MaxReceiveBufferPerStream:     128 << 10,        // 64 MiB take a minute at 100 ms there and back
		SendPingTimeout:               30 * time.Second, // a caller that is gone without a word
		PingTimeout:                   15 * time.Second,
		WriteByteTimeout:              30 * time.Second, // a caller that does not read
	}
}

// Serve serves until ctx ends, and then lets calls end that are under way, for a few seconds. It closes the listener. It speaks HTTP/1.1 and
// HTTP/2, in plaintext with prior knowledge, as gRPC clients have.
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
		_ = server.Close() // whoever is not done by now is cut off
	}
	<-served
	return nil
}

// A thinLog logs what net/http says, such as that a TLS handshake failed. Strangers cause it: it is a few lines at once, and then one a minute.
type thinLog struct {
	log  *zap.Logger
	thin *thinner
}

// Write logs one line.
func (t *thinLog) Write(line []byte) (int, error) {
	if missed, ok := t.thin.tell(); ok {
		t.log.Warn(brief(strings.TrimSpace(string(line))), zap.Int("missed", missed))
	}
	return len(line), nil
}
