package p4rt

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A Reader reads from one switch. It does not take part in the arbitration, opens no stream and changes nothing. So
// any number of Readers may be used in addition to the primary (section 13: a read requires neither an election id
// nor a stream). If the connection is lost, it is restored automatically. Calls in the meantime return ErrUnreachable
// or ErrTLS. All methods may be called concurrently.
type Reader struct {
	cfg    Config
	secure *security
	conn   *grpc.ClientConn
	client p4v1.P4RuntimeClient
	log    *zap.Logger
	closed atomic.Bool
	ended  func() error // returns the reason why all calls must fail, or nil
}

// DialReader connects to cfg.Addr and returns when the switch has answered. It returns ErrConfig if cfg is invalid,
// ErrUnreachable or ErrTLS if the connection fails, and the context's cause if ctx ends. ElectionID is not used. ctx
// limits only the dial; the Reader lives until Close.
func DialReader(ctx context.Context, cfg Config) (*Reader, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r, err := newReader(cfg)
	if err != nil {
		return nil, err
	}
	dialCtx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	if err := r.probe(dialCtx, "connect"); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func newReader(cfg Config) (*Reader, error) {
	secure := newSecurity(cfg.TLS, cfg.Addr)
	conn, err := connect(cfg, secure)
	if err != nil {
		return nil, fmt.Errorf("%w: address %q: %w", ErrConfig, cfg.Addr, err)
	}
	r := &Reader{cfg: cfg, secure: secure, conn: conn, client: p4v1.NewP4RuntimeClient(conn), log: cfg.Logger}
	r.ended = func() error {
		if r.closed.Load() {
			return ErrClosed
		}
		return nil
	}
	return r, nil
}

// Close closes the connection. Calls in progress and later calls return ErrClosed. Further calls of Close have no
// effect.
func (r *Reader) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	return r.conn.Close()
}

// Addr returns the address as configured.
func (r *Reader) Addr() string { return r.cfg.Addr }

// DeviceID returns the device id as configured.
func (r *Reader) DeviceID() uint64 { return r.cfg.DeviceID }

// Probe checks whether the switch's P4Runtime server is alive, by a Capabilities request. It returns ErrUnreachable
// if the server does not answer within ProbeTimeout. A server that is too old for this request counts as alive if it
// answers with an error. gRPC's keepalive pings must not be used for this purpose: see Config.DialOptions.
func (r *Reader) Probe(ctx context.Context) error {
	if err := r.ended(); err != nil {
		return r.fail("probe", nil, err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.ProbeTimeout)
	defer cancel()
	return r.probe(ctx, "probe")
}

func (r *Reader) probe(ctx context.Context, op string) error {
	_, err := r.client.Capabilities(ctx, &p4v1.CapabilitiesRequest{DeviceId: r.cfg.DeviceID})
	if status.Code(err) == codes.Unimplemented {
		return nil
	}
	return r.rpcError(ctx, op, err)
}

// Version returns the P4Runtime API version that the switch reports, such as "1.5.0".
func (r *Reader) Version(ctx context.Context) (string, error) {
	const op = "capabilities"
	if err := r.ended(); err != nil {
		return "", r.fail(op, nil, err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CallTimeout)
	defer cancel()
	answer, err := r.client.Capabilities(ctx, &p4v1.CapabilitiesRequest{DeviceId: r.cfg.DeviceID})
	if err != nil {
		return "", r.rpcError(ctx, op, err)
	}
	return answer.GetP4RuntimeApiVersion(), nil
}

func (r *Reader) fail(op string, kind, err error) error {
	return &Error{Addr: r.cfg.Addr, DeviceID: r.cfg.DeviceID, Op: op, Kind: kind, Err: err}
}

func (r *Reader) rpcError(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	b := r.classify(ctx, err)
	return r.fail(op, b.kind, b.err)
}

// classify returns an RPC's error and its kind. ctx is the context of the call. If ctx has ended, its cause is used,
// because it is more specific than gRPC's error.
func (r *Reader) classify(ctx context.Context, err error) because {
	if ended := r.ended(); ended != nil && status.Code(err) == codes.Canceled && ctx.Err() == nil {
		return because{nil, ended} // Close ended the connection during the call
	}
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		if errors.Is(cause, context.DeadlineExceeded) {
			return because{ErrUnreachable, fmt.Errorf("no answer in time: %w", cause)}
		}
		return because{nil, cause}
	}
	if refused := r.secure.refusal(); refused != nil && status.Code(err) == codes.Unavailable {
		return because{ErrTLS, refusedByTLS{refused, err}}
	}
	kind := transportKind(status.Code(err))
	if status.Code(err) == codes.FailedPrecondition {
		kind = ErrNoPipeline // the RPCs that this package uses have no other precondition: sections 12, 13 and 15
	}
	return because{kind, err}
}

// A stall cancels a call if the next message takes too long.
type stall struct {
	timer *time.Timer
	after time.Duration
}

// newStall returns a context that is cancelled if neither alive nor rest is called for the time d. cancel releases
// the context.
func newStall(ctx context.Context, d time.Duration) (_ context.Context, _ *stall, cancel func()) {
	ctx, end := context.WithCancelCause(ctx)
	s := &stall{after: d}
	s.timer = time.AfterFunc(d, func() {
		end(fmt.Errorf("nothing received for %v: %w", d, context.DeadlineExceeded))
	})
	return ctx, s, func() { s.timer.Stop(); end(context.Canceled) }
}

// rest stops the timer until the next call of alive.
func (s *stall) rest() { s.timer.Stop() }

func (s *stall) alive() { s.timer.Reset(s.after) }
