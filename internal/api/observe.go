package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"op25b/internal/auth"
)

// An onlooker counts calls and logs one line for each call. It does not log the contents of requests, so that the mailbox in a
// question never appears in the log.
type onlooker struct {
	log     *zap.Logger
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	streams prometheus.Gauge
}

func newOnlooker(log *zap.Logger, r prometheus.Registerer) *onlooker {
	o := &onlooker{
		log: log,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_api_calls_total", Help: "Ended calls of the northbound API, by code.",
		}, []string{"procedure", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "op25b_api_call_seconds", Help: "Duration of unary calls.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9), // the largest bucket is 65 s
		}, []string{"procedure"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "op25b_api_streams", Help: "Open streams of the northbound API."}),
	}
	r.MustRegister(o.calls, o.seconds, o.streams)
	return o
}

// WrapUnary counts and logs unary calls.
func (o *onlooker) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		began := time.Now()
		answer, err := next(ctx, req)
		took := time.Since(began)
		if _, known := verbs[req.Spec().Procedure]; known {
			o.seconds.WithLabelValues(req.Spec().Procedure).Observe(took.Seconds())
		}
		o.ended(req.Spec().Procedure, req.Peer(), caller(ctx), took, err)
		return answer, err
	}
}

// WrapStreamingHandler counts and logs streams.
func (o *onlooker) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		o.streams.Inc()
		defer o.streams.Dec()
		began := time.Now()
		err := next(ctx, conn)
		o.ended(conn.Spec().Procedure, conn.Peer(), caller(ctx), time.Since(began), err)
		return err
	}
}

// WrapStreamingClient returns next unchanged, because the interceptor is for servers only.
func (o *onlooker) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (o *onlooker) ended(procedure string, peer connect.Peer, id auth.Caller, took time.Duration, err error) {
	code := "ok"
	if err != nil {
		code = connect.CodeOf(err).String()
	}
	o.calls.WithLabelValues(procedure, code).Inc()
	fields := []zap.Field{
		zap.String("call", procedure), zap.String("code", code), zap.Duration("took", took), zap.String("peer", peer.Addr),
		zap.String("protocol", peer.Protocol), zap.String("who", id.Who), zap.String("role", string(id.Role)), zap.String("by", string(id.By)),
	}
	if err != nil && !verbs[procedure].Private {
		fields = append(fields, zap.String("error", message(err)))
	}
	if code := connect.CodeOf(err); err != nil && (code == connect.CodeInternal || code == connect.CodeUnknown || code == connect.CodeDataLoss) {
		o.log.Error("call", fields...)
		return
	}
	o.log.Info("call", fields...)
}

// message returns the text of an error without its code.
func message(err error) string {
	var e *connect.Error
	if errors.As(err, &e) {
		return e.Message()
	}
	return err.Error()
}

// A recoverer converts a panic to an error and logs its stack.
type recoverer struct{ log *zap.Logger }

func (r *recoverer) catch(procedure string, err *error) {
	switch x := recover(); x {
	case nil:
	case http.ErrAbortHandler:
		panic(x)
	default:
		r.log.Error("panic", zap.String("call", procedure), zap.Any("panic", x), zap.ByteString("stack", debug.Stack()))
		*err = connect.NewError(connect.CodeInternal, fmt.Errorf("%s failed because of a bug in op25b; the log of the controller has the stack", procedure))
	}
}

// WrapUnary recovers from panics in unary calls.
func (r *recoverer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (_ connect.AnyResponse, err error) {
		defer r.catch(req.Spec().Procedure, &err)
		return next(ctx, req)
	}
}

// WrapStreamingHandler recovers from panics in streams.
func (r *recoverer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		defer r.catch(conn.Spec().Procedure, &err)
		return next(ctx, conn)
	}
}

// WrapStreamingClient returns next unchanged, because the interceptor is for servers only.
func (r *recoverer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// A limiter ends calls that exceed their time limit.
type limiter struct{}

func (limiter) within(ctx context.Context, procedure string) (context.Context, context.CancelFunc) {
	if most := verbs[procedure].Within; most > 0 {
		return context.WithTimeoutCause(ctx, most, fmt.Errorf("%w: the limit of %s is %v", context.DeadlineExceeded, procedure, most))
	}
	return ctx, func() {}
}

// WrapUnary limits unary calls.
func (l limiter) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		ctx, cancel := l.within(ctx, req.Spec().Procedure)
		defer cancel()
		return next(ctx, req)
	}
}

// WrapStreamingHandler limits the streams that have a time limit.
func (l limiter) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		ctx, cancel := l.within(ctx, conn.Spec().Procedure)
		defer cancel()
		return next(ctx, conn)
	}
}

// WrapStreamingClient returns next unchanged, because the interceptor is for servers only.
func (limiter) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

var (
	_ connect.Interceptor = (*onlooker)(nil)
	_ connect.Interceptor = (*recoverer)(nil)
	_ connect.Interceptor = limiter{}
)
