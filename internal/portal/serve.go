package portal

import (
	"context"
	stdlog "log"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Limits on connections and requests.
const (
	// MaxConnections is the limit on open connections. A connection takes about 40 kB, with TLS and HTTP/2 up to 100 kB.
	MaxConnections = 4096
	maxHeader      = 16 << 10
	headersWithin  = 10 * time.Second
	bodyWithin     = 20 * time.Second
	answerWithin   = 30 * time.Second
	idleFor        = time.Minute
	stopWithin     = 5 * time.Second
)

// Serve serves a handler until ctx ends, and then gives requests in progress up to five seconds. It closes the listener.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *zap.Logger) error {
	if log == nil {
		log = zap.NewNop()
	}
	open := &connections{most: MaxConnections, waiting: map[net.Conn]time.Time{}}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headersWithin, ReadTimeout: bodyWithin, WriteTimeout: answerWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHeader,
		ErrorLog: stdlog.New(silent{}, "", 0), ConnState: open.changed,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 100, MaxReadFrameSize: 16 << 10, MaxReceiveBufferPerConnection: 128 << 10, MaxReceiveBufferPerStream: 64 << 10, WriteByteTimeout: answerWithin},
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
		_ = server.Close()
	}
	<-served
	log.Info("portal down")
	return nil
}

// silent discards the messages of net/http, because they contain the addresses of visitors.
type silent struct{}

// Write discards a message.
func (silent) Write(b []byte) (int, error) { return len(b), nil }

// connections bounds the number of open connections. When a connection is opened beyond the limit, the one that has waited longest for a request
// is closed. If all of them are being served, the new one is closed. Idle connections therefore cannot lock out visitors.
type connections struct {
	most int

	mu      sync.Mutex // guards the fields below
	open    int
	waiting map[net.Conn]time.Time // the connections without a request, and since when
}

// changed follows the state of a connection.
func (x *connections) changed(c net.Conn, state http.ConnState) {
	var out net.Conn
	x.mu.Lock()
	switch state {
	case http.StateNew:
		x.open++
		if x.open > x.most {
			out = c
			first := time.Time{}
			for other, since := range x.waiting {
				if first.IsZero() || since.Before(first) {
					out, first = other, since
				}
			}
			delete(x.waiting, out) // another one must not choose it again
		}
		if out != c {
			x.waiting[c] = time.Now()
		}
	case http.StateIdle:
		x.waiting[c] = time.Now()
	case http.StateActive:
		delete(x.waiting, c)
	case http.StateClosed, http.StateHijacked:
		delete(x.waiting, c)
		x.open--
	}
	x.mu.Unlock()
	if out != nil {
		_ = out.Close()
	}
}
