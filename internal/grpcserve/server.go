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

// Bounds of the HTTP/2 transport.
const (
	// streamsPerConnection is the number of streams that one connection may have: all that a controller or collector opens, and more.
	streamsPerConnection = 100
	// connWindow and streamWindow are the unread data in bytes: at 10 ms of round trip a connection carries 400 Mb/s.
	connWindow   = 512 << 10
	streamWindow = 512 << 10
	// maxHeaders is the size of a request's headers in bytes.
	maxHeaders = 16 << 10
	// headersWithin bounds the TLS handshake and the connection preface.
	headersWithin = 10 * time.Second
	// idleFor is how long a connection without streams stays.
	idleFor = 30 * time.Minute
	// deadAfter is how long a peer that does not answer is believed to be there.
	deadAfter = time.Minute
)

// Options are what a Server takes from its surroundings. The zero value is ready for use.
type Options struct {
	Name   string           // what is served, in the log
	TLS    *tls.Config      // nil for plain text
	Limits Limits           // zero values are the defaults
	Budget *Budget          // of its own if nil
	Now    func() time.Time // time.Now if nil
	Logger *zap.Logger      // may be nil
	// GRPC are further options: interceptors. They see messages that have passed the limits.
	GRPC []grpc.ServerOption
}

// A Server serves gRPC services on one listener. Close must be called when it is no longer needed.
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

	room     chan struct{}   // a token for each connection
	lasting  map[string]bool // methods that may last, and whether their clients stream; filled by RegisterService, before Serve
	calls    atomic.Int64
	working  sync.WaitGroup
	lastLine atomic.Int64 // when a refusal was last logged

	mu     sync.Mutex // guards closed, and that no call begins after it is set
	closed bool
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

type counters struct{ refused, turnedAway atomic.Uint64 }

// Stats count since New.
type Stats struct {
	Refused    uint64 // calls and messages beyond a limit, or without authority
	TurnedAway uint64 // connections beyond the limit
}

// New returns a server without services. It returns ErrOptions for a limit that is negative.
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
	protocols.SetHTTP1(o.TLS == nil) // every request is refused, but a client that tries TLS learns that this is not
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
		ErrorLog: log.New(io.Discard, "", 0), // what clients do wrong: it would have no bound
	}
	return s, nil
}

// RegisterService registers a service, as grpc.Server does; the messages of its methods are held to the limits.
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

// unary is the handler of a unary method, with a decoder that weighs. Interceptors run within it, after decoding.
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
			err = c.answers(answer) // until the HTTP request is over
		}
		return answer, c.own(err)
	}
}

// own returns the reason for which the server has ended the call in place of the error that followed from it, and shortens others.
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

// A stream is what a handler of a streaming method receives from.
type stream struct {
	grpc.ServerStream
	call *call
}

// RecvMsg gives up what the message before took of the budget: a handler that keeps a message keeps it within its own limits.
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

// serveCall admits one call and hands it to gRPC.
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
		w.Header().Set("Connection", "close") // HTTP/2: GOAWAY, and the calls under way go on
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

// begin says whether a call may begin.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.working.Add(1)
	return true
}

// leave ends one user's part in a call.
func (s *Server) leave(c *call) {
	if c.leave() {
		s.calls.Add(-1)
		s.working.Done()
	}
}

// refuse answers a call with a status alone, by gRPC over HTTP/2 "Trailers-Only".
func (s *Server) refuse(w http.ResponseWriter, c *call, err error) {
	s.refused(c, err)
	st := status.Convert(err)
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(int(st.Code())))
	h.Set("Grpc-Message", url.PathEscape(st.Message()))
	w.WriteHeader(http.StatusOK)
}

// refused counts a refusal and logs one a second at most.
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

// Stats returns the counts so far.
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

// Close ends every call, and returns when their handlers have.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	s.grpc.Stop()
	s.working.Wait()
}
