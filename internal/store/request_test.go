package store

import (
	"context"
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestTransient verifies that a request is repeated only after errors that the next attempt may avoid.
func TestTransient(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{status.Error(codes.Unavailable, "connection refused"), true},
		{rpctypes.ErrNoLeader, true},
		{rpctypes.ErrTooManyRequests, true},
		{context.DeadlineExceeded, true},
		{status.Error(codes.Unknown, "unexpected HTTP status code received from server: 200 (OK); malformed header: missing HTTP content-type"), true},
		{status.Error(codes.Unknown, "unexpected HTTP status code received from server: 404 (Not Found)"), false},
		{status.Error(codes.Unknown, "anything else"), false},
		{rpctypes.ErrNoSpace, false},
		{rpctypes.ErrPermissionDenied, false},
		{errors.New("anything else"), false},
	} {
		if got := transient(c.err); got != c.want {
			t.Errorf("transient(%v) is %v, want %v", c.err, got, c.want)
		}
	}
}
