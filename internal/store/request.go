package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// attemptTimeout is how long a member may take to answer before the request is sent again. It is long enough for a slow disk to sync 1
	// MiB.
	attemptTimeout = 2 * time.Second
	// retryPause is the pause between two attempts. It limits a request to 20 attempts a second, which do not burden a cluster that is
	// electing its leader.
	retryPause = 50 * time.Millisecond
)

// ask sends a request and repeats it until etcd answers. It gives up after the configured timeout, or earlier if no majority has answered
// for some time: see patience. The request must be safe to repeat.
func ask[R any](ctx context.Context, s *Store, op string, request func(context.Context) (R, error)) (R, error) {
	within, cancel := s.within(ctx)
	defer cancel()
	within, stop := context.WithTimeout(within, s.patience())
	defer stop()
	var telling error // the last error that is not a timeout; the first timeout if there is no such error
	made := false     // whether makeRoom was called because the embedded etcd was full
	for {
		attempt, done := context.WithTimeout(within, attemptTimeout)
		r, err := request(attempt)
		done()
		if err == nil {
			return r, nil
		}
		if errors.Is(err, rpctypes.ErrNoSpace) && s.server != nil && !made {
			made = true
			s.makeRoom(within, 0)
			continue
		}
		if !transient(err) {
			return r, s.failure(ctx, op, err)
		}
		if code := codeOf(err); telling == nil || code != codes.DeadlineExceeded && code != codes.Canceled {
			telling = err
		}
		if !Pause(within, retryPause) {
			return r, s.failure(ctx, op, telling)
		}
	}
}

// Pause waits for the duration d. It returns false if ctx ends first.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// failure returns the error that the caller gets for a request that will not be repeated.
func (s *Store) failure(ctx context.Context, op string, err error) error {
	e := &Error{Endpoints: s.endpoints, Op: op, Err: err}
	switch {
	case s.Failure() != nil:
		return fmt.Errorf("%s: %w", op, s.Failure())
	case s.life.Err() != nil:
		return fmt.Errorf("%s: %w", op, ErrClosed)
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	case errors.Is(err, rpctypes.ErrNoSpace):
		e.Kind = ErrFull
		e.Err = fmt.Errorf("%w. %s", err, Space{ReadOnly: true, External: s.server == nil}.wayOut())
	case transient(err):
		e.Kind, e.Err = ErrNoQuorum, s.unanswered(err)
		if ctx.Err() != nil {
			e.Err = fmt.Errorf("%w: %w", context.Cause(ctx), e.Err)
		}
	}
	return e
}

// transient reports whether the next attempt may succeed. This is so if there was no leader or no connection, if a member was stopping, or
// if no answer arrived in time.
func transient(err error) bool {
	switch codeOf(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	case codes.Unknown:
		// With TLS, etcd serves gRPC through net/http. A member that is stopping stops gRPC before HTTP. In between, the member answers
		// each request with an empty response of status 200, which the client reports with this text.
		return strings.Contains(err.Error(), "unexpected HTTP status code received from server: 200")
	default:
		return errors.Is(err, rpctypes.ErrTooManyRequests)
	}
}

// codeOf returns the gRPC code of an error. It recognises errors of etcd, of gRPC and of the context.
func codeOf(err error) codes.Code {
	var etcd rpctypes.EtcdError
	if errors.As(err, &etcd) {
		return etcd.Code()
	}
	if _, ok := status.FromError(err); ok {
		return status.Code(err)
	}
	return status.FromContextError(err).Code()
}
