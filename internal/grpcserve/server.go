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
	// streamsPerConnection is the maximum number of streams on a connection. It is more than a controller or collector opens.
	streamsPerConnection = 100
	// connWindow and streamWindow are the maximum sizes in bytes of the unread data on a connection and on a stream. With a round trip of
	// 10 ms, they allow a connection to carry 400 Mb/s.
	connWindow   = 512 << 10
	streamWindow = 512 << 10
	// maxHeaders is the maximum size of a request's headers in bytes.
	maxHeaders = 16 << 10
	// headersWithin is the time limit for the TLS handshake and the connection preface.
	headersWithin = 10 * time.Second
	// idleFor is how long a connection without streams stays open.
	idleFor = 30 * time.Minute
	// deadAfter is the time after which a peer that does not answer pings is disconnected.
	deadAfter = time.Minute
)

// Options configures a Server. The zero value is valid.
type Options struct {
	Name   string           // name of the service in the server's log
	TLS    *tls.Config      // TLS configuration; nil means plain text
	Limits Limits           // limits; a zero value means the default
	Budget *Budget          // nil means that the server has its own budget
	Now    func() time.Time // nil means time.Now
	Logger *zap.Logger      // nil means no logging
	// Admit authenticates a call by its header, before anything of its messages is read. The call gets the returned context, which must
	// descend from the request's. The error is a gRPC status, and the caller's answer. Admit counts and logs refusals itself; nil admits
	// every call.
	Admit func(r *http.Request) (context.Context, error)
	// GRPC contains further options, such as interceptors. Interceptors receive only messages that are within the limits.
	GRPC []grpc.ServerOption
}

// A Server serves gRPC services on one listener. The caller must call Close when the server is no longer needed.
type Server struct {
	name   string
	limits Limits
	budget *Budget
	tls    *tls.Config
	now    func() time.Time
	log    *zap.Logger
	admit  func(r *http.Request) (context.Context, error)
	grpc   *grpc.Server
	http   *http.Server
	stats  counters

	room     chan struct{}   // contains a token for each open connection
	lasting  map[string]bool // streaming methods; the value is true if the client streams; filled by RegisterService before Serve
	calls    atomic.Int64
	working  sync.WaitGroup
	lastLine atomic.Int64 // time at which a refusal was last logged

	mu     sync.Mutex // guards closed; no call starts after closed is set
	closed bool
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

type counters struct{ refused, turnedAway atomic.Uint64 }

// Stats contains the numbers of refusals since New.
type Stats struct {
	Refused    uint64 // number of calls and messages that exceeded a limit, and of calls whose certificate was refused
	TurnedAway uint64 // number of connections above the limit
}

// New returns a server without services. It returns ErrOptions if a limit is negative.
func New(o Options) (*Server, error) {
	if err := o.Limits.complete(); err != nil {
		return nil, err
	}
	s := &Server{name: o.Name, limits: o.Limits, budget: o.Budget, tls: o.TLS, now: o.Now, log: o.Logger, admit: o.Admit, lasting: map[string]bool{}}
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
	protocols.SetHTTP1(o.TLS == nil) // HTTP/1 requests are refused, but a client that tries TLS gets a clear error
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
		ErrorLog: log.New(io.Discard, "", 0), // net/http's log is discarded, because clients can cause any number of lines
	}
	return s, nil
}

// RegisterService registers a service like grpc.Server, and applies the limits to the messages of its methods.
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

// unary returns a handler for a unary method. It decodes messages with a decoder that weighs them first. Interceptors run within handle,
// after the decoding.
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
			err = c.answers(answer) // the answer's share of the budget is held until the HTTP request ends
		}
		return answer, c.own(err)
	}
}

// own converts the error of a handler. If the server has ended the call, own returns the server's status. Otherwise, own shortens the
// error.
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

// A stream is the stream that the handler of a streaming method receives.
type stream struct {
	grpc.ServerStream
	call *call
}

// RecvMsg receives a message and releases the previous message's share of the budget. A handler that keeps messages must therefore limit
// their memory itself.
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

// serveCall checks whether a call is within the limits and passes the call to gRPC.
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
		w.Header().Set("Connection", "close") // makes net/http send GOAWAY over HTTP/2; calls in progress continue
	}
	if err := s.accepted(conn, r.TLS); err != nil {
		s.refuse(w, c, err)
		return
	}
	if n > int64(s.limits.Calls) {
		s.refuse(w, c, errCalls(s.limits.Calls))
		return
	}
	if s.admit != nil {
		ctx, err := s.admit(r)
		if err != nil {
			answer(w, err)
			return
		}
		r = r.WithContext(ctx)
	}
	clientStreams, lasts := s.lasting[r.URL.Path]
	if lasts {
		s.guard(c, r.TLS)
	}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	r.Body = newBody(r.Body, c, !clientStreams)
	s.grpc.ServeHTTP(w, r)
}

// begin reports whether a call may start, and counts the call if so.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.working.Add(1)
	return true
}

// leave removes one user of a call. When the last user has left, the call has ended.
func (s *Server) leave(c *call) {
	if c.leave() {
		s.calls.Add(-1)
		s.working.Done()
	}
}

// refuse answers a call with a status only ("Trailers-Only" in gRPC over HTTP/2).
func (s *Server) refuse(w http.ResponseWriter, c *call, err error) {
	s.refused(c, err)
	answer(w, err)
}

// answer writes a status as the answer to a call whose messages are not read.
func answer(w http.ResponseWriter, err error) {
	st := status.Convert(err)
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(int(st.Code())))
	h.Set("Grpc-Message", url.PathEscape(st.Message()))
	w.WriteHeader(http.StatusOK)
}

// refused counts a refusal and logs it. At most one line is logged per second.
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

// Stats returns the current numbers of refusals.
func (s *Server) Stats() Stats {
	return Stats{Refused: s.stats.refused.Load(), TurnedAway: s.stats.turnedAway.Load()}
}

// Serve serves on l until Close is called, and closes l.
func (s *Server) Serve(l net.Listener) {
	l = &limited{Listener: l, server: s, room: s.room}
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("service failed", zap.String("service", s.name), zap.Error(err))
	}
}

// Close ends all calls and waits until their handlers have returned.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	s.grpc.Stop()
	s.working.Wait()
}
