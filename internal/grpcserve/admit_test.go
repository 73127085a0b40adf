package grpcserve

import (
	"context"
	"net/http"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type whoKey struct{}

// Admit decides by the header of a call, before a message is read. An admitted call has the context that Admit returned.
func TestAdmit(t *testing.T) {
	read := make(chan string, 8) // who made each call that reached the service
	r := serve(t, Options{
		Admit: func(r *http.Request) (context.Context, error) {
			who := r.Header.Get("Who")
			if who == "" {
				return nil, status.Error(codes.Unauthenticated, "say who you are")
			}
			return context.WithValue(r.Context(), whoKey{}, who), nil
		},
		GRPC: []grpc.ServerOption{
			grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
				who, _ := ctx.Value(whoKey{}).(string)
				read <- who
				return handle(ctx, req)
			}),
		},
	}, &echo{})
	c := r.dial(nil)
	if _, err := c.Capabilities(bounded(t), &p4v1.CapabilitiesRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a stranger: %v", err)
	}
	// The stranger sends no message, and the answer does not wait for one.
	stream, err := c.StreamChannel(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantStatus(t, err, codes.Unauthenticated, "say who you are")
	if n := r.server.Stats().Refused; n != 0 {
		t.Errorf("%d refusals were counted, and Admit counts its own", n)
	}
	if _, err := c.Capabilities(metadata.AppendToOutgoingContext(bounded(t), "who", "noc"), &p4v1.CapabilitiesRequest{}); status.Code(err) == codes.Unauthenticated {
		t.Errorf("a known caller: %v", err)
	}
	if who := <-read; who != "noc" {
		t.Errorf("%q reached the service first, want noc", who)
	}
}
