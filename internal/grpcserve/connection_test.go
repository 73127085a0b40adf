package grpcserve

import (
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"

	"op25b/internal/tlsfiles/tlstest"
)

// opened returns a stream on which one message was sent and one was received.
func opened(t *testing.T, client p4v1.P4RuntimeClient) p4v1.P4Runtime_StreamChannelClient {
	t.Helper()
	stream, err := client.StreamChannel(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&p4v1.StreamMessageRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	return stream
}

// When a client certificate expires, open streams end, and later calls on the same connection fail.
func TestExpiredCertificate(t *testing.T) {
	end := time.Now().Add(time.Hour)
	_, server, client := certificates(t, tlstest.New(t), end)
	c := &clock{}
	r := serve(t, Options{TLS: server, Now: c.now, Limits: Limits{Recheck: 10 * time.Millisecond}}, &echo{})
	conn := r.dial(client)
	stream := opened(t, conn)
	c.advance(30 * time.Minute)
	if _, err := conn.Write(bounded(t), updates(1)); err != nil {
		t.Fatalf("while it is valid: %v", err)
	}
	c.advance(31 * time.Minute)
	_, err := stream.Recv()
	wantStatus(t, err, codes.Unauthenticated, "the client certificate expired at "+end.UTC().Format("2006-01-02T15:04"))
	_, err = conn.Write(bounded(t), updates(1))
	wantStatus(t, err, codes.Unauthenticated, "the client certificate expired at")
}

// When a CA is removed, open streams of its certificates end.
func TestWithdrawnAuthority(t *testing.T) {
	files, server, client := certificates(t, tlstest.New(t), time.Now().Add(time.Hour))
	c := &clock{}
	r := serve(t, Options{TLS: server, Now: c.now, Limits: Limits{Recheck: 10 * time.Millisecond}}, &echo{})
	conn := r.dial(client)
	stream := opened(t, conn)
	tlstest.Replace(t, files.CA, tlstest.New(t).CAPem)
	c.advance(2 * between)
	_, err := stream.Recv()
	wantStatus(t, err, codes.Unauthenticated, "the client certificate is no longer accepted: x509: certificate signed by unknown authority")
	_, err = conn.Write(bounded(t), updates(1))
	wantStatus(t, err, codes.Unauthenticated, "no longer accepted")
}

// When a connection reaches its maximum age, it is closed gracefully. New calls use a new connection, and open
// streams have time to end.
func TestConnectionAge(t *testing.T) {
	c := &clock{}
	r := serve(t, Options{Now: c.now, Limits: Limits{ConnectionAge: time.Hour, ConnectionGrace: time.Minute}}, &echo{})
	conn := r.dial(nil)
	stream := opened(t, conn)
	c.advance(time.Hour)
	for range 10 {
		if _, err := conn.Write(bounded(t), updates(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Send(&p4v1.StreamMessageRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatalf("within the grace: %v", err)
	}
	if n := len(r.room()); n != 2 {
		t.Errorf("%d connections, want the old one and a new one", n)
	}
}

// After the grace period, a stream is ended with the reason.
func TestConnectionAgeEndsStreams(t *testing.T) {
	r := serve(t, Options{Limits: Limits{ConnectionAge: time.Millisecond, ConnectionGrace: 300 * time.Millisecond}}, &echo{})
	stream := opened(t, r.dial(nil))
	_, err := stream.Recv()
	wantStatus(t, err, codes.Unavailable, "the connection has reached its maximum age of 1ms: connect again")
	for range 10 { // use another connection
		if _, err := r.dial(nil).Write(bounded(t), updates(1)); err != nil {
			t.Fatal(err)
		}
	}
}

// room returns the channel that contains a token for each open connection.
func (r *rig) room() chan struct{} { return r.server.room }
