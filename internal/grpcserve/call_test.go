package grpcserve

import (
	"context"
	"net/http/httptest"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

type streamOf struct {
	grpc.ServerStream
	ctx context.Context
}

func (s streamOf) Context() context.Context { return s.ctx }

// If the client hangs up at once and the host is busy, the goroutine of a handler may start after the end of the HTTP request.
// The handler must then not run, and the server must not count the end of the call twice.
func TestHandlerAfterItsRequest(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p4v1.RegisterP4RuntimeServer(s, &echo{})
	over := func() context.Context {
		ctx, cancel := context.WithCancel(t.Context())
		c := newCall(ctx, s, &connection{}, httptest.NewRecorder())
		if !s.begin() {
			t.Fatal("the server is closed")
		}
		s.calls.Add(1)
		cancel()
		c.over()
		s.leave(c)
		return context.WithValue(ctx, callKey{}, c)
	}
	handle := unary(func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
		t.Error("the handler of a method ran")
		return nil, nil
	})
	_, err = handle(nil, over(), nil, nil)
	wantStatus(t, err, codes.Canceled, "the request has ended")
	err = s.stream(nil, streamOf{ctx: over()}, nil, func(any, grpc.ServerStream) error {
		t.Error("the handler of a stream ran")
		return nil
	})
	wantStatus(t, err, codes.Canceled, "the request has ended")
	if n := s.calls.Load(); n != 0 {
		t.Errorf("%d calls in progress", n)
	}
	s.Close()
}
