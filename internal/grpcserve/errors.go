package grpcserve

import (
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrOptions is returned by New if an option is invalid.
var ErrOptions = errors.New("invalid options")

// The following functions return the errors that a client receives.

func errBusy(need, budget int64) error {
	return status.Errorf(codes.ResourceExhausted, "the messages in progress use up the server's budget of %d bytes, and this one needs %d: try again, with smaller messages", budget, need)
}

func errElements(limit int) error {
	return status.Errorf(codes.ResourceExhausted, "the message has more than %d elements: send it in parts", limit)
}

func errMemory(limit int64) error {
	return status.Errorf(codes.ResourceExhausted, "the decoded message needs more than %d bytes of memory: send it in parts", limit)
}

func errDepth() error {
	return status.Errorf(codes.InvalidArgument, "the message is nested more than %d levels deep", maxDepth)
}

func errSlow(within time.Duration) error {
	return status.Errorf(codes.DeadlineExceeded, "the message was not complete after %v", within)
}

func errCalls(limit int) error {
	return status.Errorf(codes.ResourceExhausted, "%d calls are in progress, which is the server's limit: try again", limit)
}

func errExpired(at time.Time) error {
	return status.Errorf(codes.Unauthenticated, "the client certificate expired at %s: connect again with a current one", at.UTC().Format(time.RFC3339))
}

func errUnverified(err error) error {
	return status.Errorf(codes.Unauthenticated, "the client certificate is no longer accepted: %v", err)
}

func errAge(age time.Duration) error {
	return status.Errorf(codes.Unavailable, "the connection has reached its maximum age of %v: connect again", age)
}

func errOver() error { return status.Error(codes.Canceled, "the request has ended") }

func errStopping() error { return status.Error(codes.Unavailable, "the server is shutting down") }
