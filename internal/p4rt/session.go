package p4rt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// closeTimeout is how long Close waits for the switch to end its side of the stream. Until then, the switch may
// regard the election id as in use and refuse it to the next session.
const closeTimeout = time.Second

// A Session is one stream to one switch, with the calls that are made in addition to the stream. It lasts from Dial
// to the loss of the stream or Close. A lost session is not restored; Keep makes a new one. All methods may be called
// concurrently.
type Session struct {
	*Reader

	stream      p4v1.P4Runtime_StreamChannelClient
	sending     chan struct{} // contains one token; its holder may send on the stream
	kill        context.CancelCauseFunc
	gone        chan struct{} // closed when the goroutine that receives has returned
	inbox       inbox
	clocks      clocks
	frameProbes frameProbes
	record      recording

	// primacy is cancelled with the cause when the session loses the primary role or ends.
	primacy    context.Context
	endPrimacy context.CancelCauseFunc
	finished   chan struct{} // closed when the session has ended

	mu      sync.Mutex    // guards all following fields
	status  SessionStatus // status that the method Status returns
	changed chan struct{} // closed and replaced when status changes
	seen    ElectionID    // the highest election id seen in this session or, under Keep, in an earlier session
	fenced  error         // ErrNotPrimary with the reason, if the session has lost the primary role; otherwise nil
	over    error         // reason why the session has ended, or nil
}

// Dial connects to cfg.Addr, opens the stream and arbitrates. It returns when the switch has reported whether the
// session is primary. It is not an error if the session is not primary: see Primary and WaitPrimary. Dial returns
// ErrConfig if cfg is invalid, ErrUnreachable or ErrTLS if the connection fails, ErrUnknownDevice or
// ErrArbitrationRefused if the switch refuses the session, and the context's cause if ctx ends. ctx limits only the
// dial. The caller must call Close, even if the session has ended by itself.
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	return dial(ctx, cfg, ElectionID{})
}

func dial(ctx context.Context, cfg Config, seen ElectionID) (*Session, error) {
	const op = "connect"
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := cfg.checkElection(); err != nil {
		return nil, err
	}
	r, err := newReader(cfg)
	if err != nil {
		return nil, err
	}
	dialCtx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	life, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	unwatch := context.AfterFunc(dialCtx, func() { kill(context.Cause(dialCtx)) })

	abandon := func(err error) (*Session, error) {
		kill(err)
		r.Close()
		return nil, err
	}
	stream, err := r.client.StreamChannel(life)
	if err != nil {
		return abandon(r.rpcError(dialCtx, op, err))
	}
	if err := stream.Send(arbitration(cfg)); err != nil && !errors.Is(err, io.EOF) { // after io.EOF, Recv returns the reason
		return abandon(r.rpcError(dialCtx, op, err))
	}
	s := newSession(r, stream, kill, seen)
	go s.receive()

	for st, changed := s.watch(); st.State == Connecting; st, changed = s.watch() {
		<-changed // the stream ends when life ends, which is at the latest when dialCtx ends
	}
	if !unwatch() {
		<-s.gone
		return abandon(r.rpcError(dialCtx, op, context.Cause(dialCtx)))
	}
	if err := s.Err(); err != nil {
		<-s.gone
		return abandon(err)
	}
	// A session has only one connection. After its loss, gRPC would open another connection for the next request. But
	// the switch may have restarted, and the new connection would not have the session's stream.
	r.secure.seal(func() {
		s.abort(s.fail("stream", ErrStreamLost, errors.New("the switch is ending the connection")))
	})
	return s, nil
}

func newSession(r *Reader, stream p4v1.P4Runtime_StreamChannelClient, kill context.CancelCauseFunc, seen ElectionID) *Session {
	s := &Session{
		Reader: r, stream: stream, kill: kill,
		sending: make(chan struct{}, 1), gone: make(chan struct{}), finished: make(chan struct{}),
		inbox:   newInbox(r.cfg.QueueSize),
		status:  SessionStatus{State: Connecting, Reason: ReasonDialing, Since: time.Now()},
		changed: make(chan struct{}),
		seen:    seen,
		record:  r.cfg.Recorder.dialed(r.cfg),
	}
	s.sending <- struct{}{}
	s.primacy, s.endPrimacy = context.WithCancelCause(context.Background())
	r.ended = s.Err
	return s
}

// Done returns a channel that is closed when the stream is lost or Close is called. Err then returns the reason.
func (s *Session) Done() <-chan struct{} { return s.finished }

// Err returns the reason why the session has ended, or nil if it has not ended.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// Close gives up the primary role at once and ends the stream. It returns when the switch has released the election
// id, or after closeTimeout. Calls in progress return ErrClosed. Further calls of Close have no effect.
func (s *Session) Close() error {
	s.finish(ErrClosed)
	patience, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	select {
	case <-s.sending: // the token is never returned, so that nothing can be sent afterwards
		_ = s.stream.CloseSend() // an error means that the stream has already ended
	case <-s.gone:
	case <-patience.Done():
	}
	select {
	case <-s.gone:
	case <-patience.Done():
	}
	s.kill(ErrClosed)
	<-s.gone
	return s.Reader.Close()
}

// finish ends the session. Only the first call has an effect. Afterwards no call starts and nothing is written.
func (s *Session) finish(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return
	}
	s.over = cause
	s.setLocked(Disconnected, reasonOf(cause), cause, s.status.Leader)
	s.endPrimacy(cause)
	close(s.finished)
}

// abort ends the session and its stream at once, without waiting for the switch.
func (s *Session) abort(cause error) {
	s.finish(cause)
	s.kill(cause)
}

// streamEnd converts an error of Recv to the cause of the session's end.
func (s *Session) streamEnd(err error) error {
	const op = "stream"
	if errors.Is(err, io.EOF) {
		return s.fail(op, ErrStreamLost, errors.New("the switch has ended it"))
	}
	s.mu.Lock()
	arbitrated := s.status.State != Connecting
	s.mu.Unlock()
	code := status.Code(err)
	switch {
	case code == codes.NotFound:
		return s.fail(op, ErrUnknownDevice, err)
	case code == codes.InvalidArgument, !arbitrated && (code == codes.ResourceExhausted || code == codes.FailedPrecondition):
		return s.fail(op, ErrArbitrationRefused, err)
	case !arbitrated && transportKind(code) != nil:
		return s.rpcError(context.Background(), "connect", err)
	case !arbitrated && code != codes.Canceled:
		return s.fail(op, ErrArbitrationRefused, err)
	default:
		return s.fail(op, ErrStreamLost, err)
	}
}

// send sends one message on the stream. gRPC allows one sender at a time. A send may block while the switch does not
// read the stream.
func (s *Session) send(ctx context.Context, op string, m *p4v1.StreamMessageRequest) error {
	select {
	case <-s.sending:
	case <-s.finished:
		return s.fail(op, nil, s.Err())
	case <-ctx.Done():
		return s.fail(op, nil, context.Cause(ctx))
	}
	err := s.stream.Send(m)
	s.sending <- struct{}{}
	if err != nil {
		return s.fail(op, ErrStreamLost, fmt.Errorf("send: %w", err))
	}
	return nil
}
