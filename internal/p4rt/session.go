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

// closeTimeout is how long Close waits for the switch to end its side of the stream. Until then the switch may keep
// our election id in use, and would refuse it to the next session.
const closeTimeout = time.Second

// A Session is one stream to one switch and the calls made beside it, from Dial to the loss of the stream or Close. A
// session is not restored after a loss: Keep makes a new one. All methods may be called concurrently.
type Session struct {
	*Reader

	stream  p4v1.P4Runtime_StreamChannelClient
	sending chan struct{} // holds one token; its holder may send on the stream
	kill    context.CancelCauseFunc
	gone    chan struct{} // closed when the receiving goroutine has returned
	inbox   inbox
	record  recording

	// primacy is cancelled, with the cause, when the term as primary or the session ends.
	primacy    context.Context
	endPrimacy context.CancelCauseFunc
	finished   chan struct{} // closed when the session is over

	mu      sync.Mutex    // guards everything below
	status  SessionStatus // as Status returns it
	changed chan struct{} // closed and replaced whenever status changes
	seen    ElectionID    // the highest election id seen in this session or, under Keep, in an earlier session
	fenced  error         // ErrNotPrimary with the reason, after the session has lost the primary role
	over    error         // why the session is over, or nil
}

// Dial connects to cfg.Addr, opens the stream and arbitrates. It returns once the switch has reported whether the
// session is primary. A session that is not primary is not an error: see Primary and WaitPrimary. Dial returns
// ErrConfig if cfg is invalid, ErrUnreachable or ErrTLS if the connection fails, ErrUnknownDevice or
// ErrArbitrationRefused if the switch refuses the session, or the context's error. The context limits only the dial.
// The caller must call Close, even for a session that has ended by itself.
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
	if err := stream.Send(arbitration(cfg)); err != nil && !errors.Is(err, io.EOF) { // on EOF, Recv returns the reason
		return abandon(r.rpcError(dialCtx, op, err))
	}
	s := newSession(r, stream, kill, seen)
	go s.receive()

	for st, changed := s.watch(); st.State == Connecting; st, changed = s.watch() {
		<-changed // the stream ends with life, at the latest when dialCtx does
	}
	if !unwatch() {
		<-s.gone
		return abandon(r.rpcError(dialCtx, op, context.Cause(dialCtx)))
	}
	if err := s.Err(); err != nil {
		<-s.gone
		return abandon(err)
	}
	// A session has one connection. gRPC would make another connection for a request after this one is lost. But the
	// switch may have restarted, and the stream of the session would be missing.
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

// Done returns a channel that is closed when the stream is lost or Close was called. Err returns the reason.
func (s *Session) Done() <-chan struct{} { return s.finished }

// Err returns why the session is over, or nil while it is not.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// Close gives up primacy at once and ends the stream. It returns when the switch has released the election id, or
// after closeTimeout. Calls in progress return ErrClosed. Calling Close again does nothing.
func (s *Session) Close() error {
	s.finish(ErrClosed)
	patience, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	select {
	case <-s.sending: // the token is never returned, so that nothing is sent afterwards
		_ = s.stream.CloseSend() // an error means that the stream has ended already
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

// finish ends the session, once. Afterwards no call begins and nothing is written.
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

// abort ends a session whose switch no longer answers.
func (s *Session) abort(cause error) {
	s.finish(cause)
	s.kill(cause)
}

// streamEnd returns the cause of the session's end for an error of Recv.
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

// send writes one message to the stream. gRPC allows one sender at a time, and a send may block for as long as the
// switch does not read.
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
