package api

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"op25b/internal/auth"
	"op25b/internal/tlsfiles/tlstest"
	op25bv1 "op25b/proto/op25b/v1"
)

// I12: removing a token from the access file ends the streams that were opened with the token.
func TestStreamsEndWithTheToken(t *testing.T) {
	path := accessFile(t, make(map[string]string), "")
	tokens := make(map[string]string)
	content, err := os.ReadFile(accessFile(t, tokens, ""))
	if err != nil {
		t.Fatal(err)
	}
	tlstest.Replace(t, path, content)
	access, err := auth.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(d *Deps) { d.Auth.Access = access })
	ctx := metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens["viewer"])
	stream, err := op25bv1.NewFleetServiceClient(w.dial()).WatchSwitches(ctx, &op25bv1.WatchSwitchesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	content, err = os.ReadFile(accessFile(t, make(map[string]string), ""))
	if err != nil {
		t.Fatal(err)
	}
	tlstest.Replace(t, path, content)
	if _, err := stream.Recv(); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "the bearer token is not in the access file") {
		t.Errorf("%v", err)
	}
}

// I12: a client certificate that expires, or whose CA is removed, is refused on open connections, and its open streams end.
func TestAuthorityOfCertificatesEnds(t *testing.T) {
	for name, end := range map[string]struct {
		lives time.Duration
		do    func(us, others *tlstest.Authority, server tlstest.Dir)
		want  string
	}{
		"expired":             {3 * time.Second, func(*tlstest.Authority, *tlstest.Authority, tlstest.Dir) {}, "the client certificate of viewer.noc.example expired at "},
		"authority taken out": {time.Hour, func(_, others *tlstest.Authority, server tlstest.Dir) { tlstest.Replace(t, server.CA, others.CAPem) }, "signed by unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			us, others := tlstest.New(t), tlstest.New(t)
			server := us.Dir(t, "localhost")
			access, err := auth.Open(accessFile(t, make(map[string]string), ""), nil)
			if err != nil {
				t.Fatal(err)
			}
			var deps Deps
			newWorld(t, func(d *Deps) { d.Auth.Access = access; deps = *d })
			deps.Metrics = nil
			addr := serve(t, Listening{Addr: "127.0.0.1:0", Cert: server.Cert, Key: server.Key, ClientCA: server.CA}, New(deps))
			certPEM, keyPEM := us.Issue(t, "viewer.noc.example", time.Now().Add(end.lives))
			pair, err := tls.X509KeyPair(certPEM, keyPEM)
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(us.CAPem)
			conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{pair}})))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			fleet := op25bv1.NewFleetServiceClient(conn)
			stream, err := fleet.WatchSwitches(within(t), &op25bv1.WatchSwitchesRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			end.do(us, others, server)
			if _, err := stream.Recv(); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), end.want) {
				t.Errorf("the stream: %v", err)
			}
			if _, err := fleet.ListSwitches(within(t), &op25bv1.ListSwitchesRequest{}); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), end.want) {
				t.Errorf("a call: %v", err)
			}
		})
	}
}

// When a connection reaches its maximum age, its streams end with an error that asks the caller to call again, and other calls move to a
// new connection without an error.
func TestConnectionsAge(t *testing.T) {
	var deps Deps
	newWorld(t, func(d *Deps) { deps = *d })
	deps.Metrics = nil
	l, err := Listen(Listening{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	all := l.(*listener).all
	all.maxAge = 100 * time.Millisecond
	addr := serveOn(t, l, New(deps))
	w := &world{t: t, addr: addr}
	fleet := op25bv1.NewFleetServiceClient(w.dial())
	stream, err := fleet.WatchSwitches(within(t), &op25bv1.WatchSwitchesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "the connection has reached its maximum age: call again") {
		t.Errorf("%v", err)
	}
	open := func() (all2 []*trackedConn) {
		all.mu.Lock()
		defer all.mu.Unlock()
		for c := range all.open {
			all2 = append(all2, c)
		}
		return all2
	}
	before := open()
	for range 2 {
		if _, err := fleet.ListSwitches(within(t), &op25bv1.ListSwitchesRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range open() {
		if len(before) == 1 && c == before[0] && len(open()) == 1 {
			t.Error("the connection stands")
		}
	}
}
