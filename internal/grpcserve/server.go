package grpcserve

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// Limits of the HTTP/2 transport.
const (
	// streamsPerConnection is the limit on streams of one connection: more than a controller or collector opens.
	streamsPerConnection = 100
	// connWindow and streamWindow limit the unread data in bytes: at a round trip of 10 ms a connection carries 400 Mb/s.
	connWindow   = 512 << 10
	streamWindow = 512 << 10
	// maxHeaders is the limit on a request's headers in bytes.
	maxHeaders = 16 << 10
	// headersWithin limits the TLS handshake and the connection preface.
	headersWithin = 10 * time.Second
	// idleFor is the time after which a connection without streams is closed.
	idleFor = 30 * time.Minute
	// deadAfter is the time after which a peer that does not answer pings is disconnected.
	deadAfter = time.Minute
)

// Options configure a Server. The zero value is valid.
type Options struct {
	Name   string           // name of the service in the log
	TLS    *tls.Config      // nil for plain text
	Limits Limits           // zero values mean the defaults
	Budget *Budget          // nil means a separate budget for this server
	Now    func() time.Time // time.Now if nil
	Logger *zap.Logger      // may be nil
	// GRPC contains further options, such as interceptors. Interceptors only receive messages within the limits.
	GRPC []grpc.ServerOption
}

// A Server serves gRPC services on one listener. Close must be called when the server is no longer needed.
type Server struct {
	name   string
	limits Limits
	budget *Budget
	tls    *tls.Config
	now    func() time.Time
	log    *zap.Logger
	grpc   *grpc.Server
	http   *http.Server
	stats  counters

	room     chan struct{}   // holds a token for each connection
	lasting  map[string]bool // streaming methods; true if the client streams; filled by RegisterService, before Serve
	calls    atomic.Int64
	working  sync.WaitGroup
	lastLine atomic.Int64 // time of the last log line about a refusal

	mu     sync.Mutex // guards closed; no call begins after closed is set
	closed bool
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

type counters struct{ refused, turnedAway atomic.Uint64 }

// Stats contains the counts since New.
type Stats struct {
	Refused    uint64 // calls and messages beyond a limit, or with a refused certificate
	TurnedAway uint64 // connections beyond the limit
}

// New returns a server without services. It returns ErrOptions for a negative limit.
func New(o Options) (*Server, error) {
	if err := o.Limits.complete(); err != nil {
		return nil, err
	}
	s := &Server{name: o.Name, limits: o.Limits, budget: o.Budget, tls: o.TLS, now: o.Now, log: o.Logger, lasting: map[string]bool{}}
	s.room = make(chan struct{}, s.limits.Connections)
	if s.budget == nil {
		s.budget = NewBudget(0)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	with := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.limits.Message), grpc.ForceServerCodecV2(newCodec()), grpc.ChainStreamInterceptor(s.stream), grpc.WaitForHandlers(true),
	}
	s.grpc = grpc.NewServer(append(with, o.GRPC...)...)
	var protocols http.Protocols
	protocols.SetHTTP2(o.TLS != nil)
	protocols.SetUnencryptedHTTP2(o.TLS == nil)
	protocols.SetHTTP1(o.TLS == nil) // every request is refused, but a client that tries TLS gets a clear error
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.serveCall), Protocols: &protocols,
		ReadHeaderTimeout: headersWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHeaders,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: streamsPerConnection, MaxReceiveBufferPerConnection: connWindow, MaxReceiveBufferPerStream: streamWindow,
			SendPingTimeout: deadAfter, PingTimeout: deadAfter / 2, WriteByteTimeout: deadAfter,
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, &connection{net: c, born: s.now()})
		},
		ErrorLog: log.New(io.Discard, "", 0), // clients can cause any number of these lines
	}
	return s, nil
}

// RegisterService registers a service, as grpc.Server does, and applies the limits to the messages of its methods.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	own := *desc
	own.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, m := range desc.Methods {
		own.Methods[i] = grpc.MethodDesc{MethodName: m.MethodName, Handler: unary(m.Handler)}
	}
	for _, st := range desc.Streams {
		s.lasting["/"+desc.ServiceName+"/"+st.StreamName] = st.ClientStreams
	}
	s.grpc.RegisterService(&own, impl)
}

// unary returns the handler of a unary method, with a decoder that weighs messages. Interceptors run within it, after decoding.
func unary(handle grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		c := callOf(ctx)
		if err := c.enter(); err != nil {
			return nil, err
		}
		defer c.server.leave(c)
		answer, err := handle(srv, ctx, func(m any) error {
			p := pending{call: c, into: m}
			if err := decode(&p); err != nil {
				return err
			}
			return p.err
		}, interceptor)
		if err == nil {
			err = c.answers(answer) // the share is held until the HTTP request ends
		}
		return answer, c.own(err)
	}
}

// own returns the status with which the server has ended the call instead of the resulting error. Other errors are shortened.
func (c *call) own(err error) error {
	if reason := c.reason(); reason != nil && err != nil {
		return reason
	}
	return shorten(err)
}

// stream is the outermost interceptor of streams.
func (s *Server) stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	c := callOf(ss.Context())
	if err := c.enter(); err != nil {
		return err
	}
	defer s.leave(c)
	return c.own(handle(srv, &stream{ServerStream: ss, call: c}))
}

// A stream is the stream of a streaming method's handler.
type stream struct {
	grpc.ServerStream
	call *call
}

// RecvMsg receives a message and releases the budget share of the previous message. A handler that keeps messages must limit their memory
// itself.
func (s *stream) RecvMsg(m any) error {
	s.call.another()
	p := pending{call: s.call, into: m}
	if err := s.ServerStream.RecvMsg(&p); err != nil {
		if errors.Is(err, io.EOF) {
			return err
		}
		return s.call.own(err)
	}
	return p.err
}

// serveCall admits one call and passes it to gRPC.
func (s *Server) serveCall(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		return
	}
	conn := connectionOf(r.Context())
	c := newCall(r.Context(), s, conn, w)
	n := s.calls.Add(1)
	defer s.leave(c)
	defer c.over()
	if s.old(conn) {
		w.Header().Set("Connection", "close") // over HTTP/2, net/http sends GOAWAY, and calls in progress continue
	}
	if err := s.accepted(conn, r.TLS); err != nil {
		s.refuse(w, c, err)
		return
	}
	if n > int64(s.limits.Calls) {
		s.refuse(w, c, errCalls(s.limits.Calls))
		return
	}
	clientStreams, lasts := s.lasting[r.URL.Path]
	if lasts {
		s.guard(c, r.TLS)
	}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	r.Body = newBody(r.Body, c, !clientStreams)
	s.grpc.ServeHTTP(w, r)
}

// begin reports whether a call may begin.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.working.Add(1)
	return true
}

// leave removes one user of a call.
func (s *Server) leave(c *call) {
	if c.leave() {
		s.calls.Add(-1)
		s.working.Done()
	}
}

// refuse answers a call with only a status (gRPC over HTTP/2, "Trailers-Only").
func (s *Server) refuse(w http.ResponseWriter, c *call, err error) {
	s.refused(c, err)
	st := status.Convert(err)
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(int(st.Code())))
	h.Set("Grpc-Message", url.PathEscape(st.Message()))
	w.WriteHeader(http.StatusOK)
}

// refused counts a refusal and logs at most one line a second.
func (s *Server) refused(c *call, err error) {
	n := s.stats.refused.Add(1)
	s.line("call refused", c.conn.net.RemoteAddr(), zap.Uint64("refused", n), zap.String("reason", status.Convert(err).Message()))
}

func (s *Server) turnedAway(c net.Conn) {
	n := s.stats.turnedAway.Add(1)
	s.line("connection refused", c.RemoteAddr(), zap.Uint64("refused", n), zap.Int("limit", s.limits.Connections))
}

func (s *Server) line(what string, peer net.Addr, fields ...zap.Field) {
	const every = time.Second
	now, last := s.now().UnixNano(), s.lastLine.Load()
	if now-last >= int64(every) && s.lastLine.CompareAndSwap(last, now) {
		s.log.Warn(what, append([]zap.Field{zap.String("service", s.name), zap.Stringer("peer", peer)}, fields...)...)
	}
}

// Stats returns the current counts.
func (s *Server) Stats() Stats {
	return Stats{Refused: s.stats.refused.Load(), TurnedAway: s.stats.turnedAway.Load()}
}

// Serve serves until Close, and closes the listener.
func (s *Server) Serve(l net.Listener) {
	l = &limited{Listener: l, server: s, room: s.room}
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("service failed", zap.String("service", s.name), zap.Error(err))
	}
}

// Close ends all calls. It returns after their handlers have returned.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	s.grpc.Stop()
	s.working.Wait()
}
