// Package accounting receives the accounting requests of access servers over RADIUS (RFC 2866).
//
// It decodes the requests to events, and answers a request when the event has been taken. It keeps nothing: an access server repeats a request
// that is not answered.
package accounting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"op25b/internal/subscriber"
)

// Limits of the server.
const (
	// maxRequests is the largest number of requests in progress. Further requests are dropped, and the access servers repeat them.
	maxRequests = 512
	// requestWithin is how long a request may take. Access servers repeat a request after 2 to 5 seconds.
	requestWithin = 10 * time.Second
	// receiveBuffer is the requested size of the kernel's buffer in bytes. It holds the requests of several thousand sessions that begin at once.
	receiveBuffer = 4 << 20
	// complainEvery is the shortest time between two log lines about the same kind of failure.
	complainEvery = time.Minute
)

// A Config configures a Server.
type Config struct {
	// Clients are the access servers that may send requests.
	Clients *Clients
	// Report takes an event. The server answers the request if Report returns no error. switches are the client's Switches.
	Report func(ctx context.Context, e subscriber.Event, switches []string) (subscriber.Outcome, error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Registerer registers the metrics; nil means no metrics.
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// A Server receives accounting requests on one UDP socket.
type Server struct {
	cfg     Config
	log     *zap.Logger
	conn    *net.UDPConn
	slots   chan struct{} // holds a token for each request in progress
	results *prometheus.CounterVec

	mu       sync.Mutex // guards the fields below
	progress map[request]struct{}
	said     map[string]time.Time // when the log last complained, by the kind of failure
}

// A request identifies a request and its repetitions (RFC 2865 section 3).
type request struct {
	from          netip.AddrPort
	identifier    byte
	authenticator [16]byte
}

// The results of datagrams, which are labels of a metric.
const (
	resultAnswered  = "answered"
	resultStranger  = "unknown-client"
	resultForged    = "not-authentic"
	resultMalformed = "malformed"
	resultRepeated  = "in-progress"
	resultBusy      = "busy"
	resultFailed    = "not-stored"
)

// Listen opens the socket for accounting requests.
func Listen(addr string, cfg Config) (*Server, error) {
	at, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q for RADIUS: %w; give HOST:PORT, such as 192.0.2.10:1813", addr, err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, fmt.Errorf("listen on %q for RADIUS: %w", addr, err)
	}
	_ = conn.SetReadBuffer(receiveBuffer) // the kernel may allow less
	s := &Server{
		cfg: cfg, log: cfg.Logger, conn: conn, slots: make(chan struct{}, maxRequests), progress: make(map[request]struct{}), said: make(map[string]time.Time),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_radius_datagrams_total", Help: "Datagrams on the port for RADIUS accounting, by what became of them.",
		}, []string{"result"}),
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.cfg.Now == nil {
		s.cfg.Now = time.Now
	}
	for _, result := range []string{resultAnswered, resultStranger, resultForged, resultMalformed, resultRepeated, resultBusy, resultFailed} {
		s.results.WithLabelValues(result)
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(s.results)
	}
	return s, nil
}

// Addr returns the address on which the server listens.
func (s *Server) Addr() net.Addr { return s.conn.LocalAddr() }

// Close closes the socket.
func (s *Server) Close() error { return s.conn.Close() }

// Serve answers requests until ctx ends, and then closes the socket. It returns an error if the socket fails.
func (s *Server) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var work sync.WaitGroup
	defer func() { work.Wait(); _ = s.conn.Close() }()
	buffer := make([]byte, radius.MaxPacketLength+1)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buffer)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("RADIUS: %w", err)
			}
			continue // such as an ICMP error about an earlier answer
		}
		from = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
		client := s.cfg.Clients.by[from.Addr()]
		if client == nil {
			s.result(resultStranger, "datagrams from addresses that are no RADIUS clients are ignored") // the address may be a subscriber's
			continue
		}
		packet, err := parse(buffer[:n], client.secret)
		if err != nil {
			s.refuse(client, err)
			continue
		}
		s.start(ctx, &work, packet, client, from)
	}
}

// refuse counts a datagram of a client that was ignored.
func (s *Server) refuse(client *Client, err error) {
	result := resultMalformed
	if errors.Is(err, errAuthentic) {
		result = resultForged
	}
	s.result(result, "a datagram of a RADIUS client was ignored", zap.String("client", client.Name), zap.Error(err))
}

// result counts a datagram, and logs the message, but at most once in complainEvery for each result.
func (s *Server) result(result, message string, fields ...zap.Field) {
	s.results.WithLabelValues(result).Inc()
	if message == "" {
		return
	}
	s.mu.Lock()
	now := time.Now()
	again := now.Sub(s.said[result]) < complainEvery
	if !again {
		s.said[result] = now
	}
	s.mu.Unlock()
	if !again {
		s.log.Warn(message, fields...)
	}
}

// start begins the work on a request, unless it is in progress already or there are too many.
func (s *Server) start(ctx context.Context, work *sync.WaitGroup, packet *radius.Packet, client *Client, from netip.AddrPort) {
	id := request{from, packet.Identifier, packet.Authenticator}
	s.mu.Lock()
	_, repeated := s.progress[id]
	s.mu.Unlock()
	if repeated {
		s.result(resultRepeated, "")
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		s.result(resultBusy, "a request was dropped because too many are in progress", zap.Int("requests", maxRequests))
		return
	}
	s.mu.Lock()
	s.progress[id] = struct{}{}
	s.mu.Unlock()
	work.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.progress, id)
			s.mu.Unlock()
			<-s.slots
		}()
		s.serve(ctx, packet, client, from)
	})
}

// serve reports the event of a request and answers it.
func (s *Server) serve(ctx context.Context, packet *radius.Packet, client *Client, from netip.AddrPort) {
	event, ok, err := decode(packet, client, s.cfg.Now())
	if err != nil {
		s.refuse(client, err)
		return
	}
	if ok {
		ctx, cancel := context.WithTimeout(ctx, requestWithin)
		defer cancel()
		if _, err := s.cfg.Report(ctx, event, client.Switches); err != nil {
			s.result(resultFailed, "a session could not be stored, so its request is not answered", zap.String("client", client.Name), zap.Error(err))
			return
		}
	}
	answer := packet.Response(radius.CodeAccountingResponse)
	for _, avp := range packet.Attributes {
		if avp.Type == rfc2865.ProxyState_Type { // must be returned unchanged (RFC 2866 section 5.2)
			answer.Add(avp.Type, avp.Attribute)
		}
	}
	b, err := answer.Encode()
	if err == nil {
		_, err = s.conn.WriteToUDPAddrPort(b, from)
	}
	if err != nil {
		s.log.Debug("an answer was not sent", zap.String("client", client.Name), zap.Error(err))
	}
	s.result(resultAnswered, "")
}
