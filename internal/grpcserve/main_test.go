package grpcserve

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience limits the wait for events that should occur immediately, so that a failing test does
// not hang.
const patience = 30 * time.Second

// A rig is a server on a loopback address.
type rig struct {
	t      *testing.T
	server *Server
	addr   string
}

func serve(t *testing.T, o Options, service *echo) *rig {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p4v1.RegisterP4RuntimeServer(s, service)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return &rig{t, s, l.Addr().String()}
}

func (r *rig) dial(secure *tls.Config, options ...grpc.DialOption) p4v1.P4RuntimeClient {
	r.t.Helper()
	creds := insecure.NewCredentials()
	if secure != nil {
		creds = credentials.NewTLS(secure)
	}
	conn, err := grpc.NewClient(r.addr, append(options, grpc.WithTransportCredentials(creds))...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return p4v1.NewP4RuntimeClient(conn)
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func wantStatus(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if st := status.Convert(err); st.Code() != code || !strings.Contains(st.Message(), text) {
		t.Fatalf("got %v: %q, want %v: %q", st.Code(), st.Message(), code, text)
	}
}

// A clock is a wall clock that a test can set forward.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// certificates returns a server's configuration with the files from which it is read, and a
// client's configuration. The files can be replaced.
func certificates(t *testing.T, authority *tlstest.Authority, clientEnd time.Time) (files tlstest.Dir, server, client *tls.Config) {
	t.Helper()
	files = authority.Dir(t, "127.0.0.1")
	server, err := tlsfiles.Server(tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key}, true)
	if err != nil {
		t.Fatal(err)
	}
	own := authority.Dir(t, "controller")
	cert, key := authority.Issue(t, "controller", clientEnd)
	tlstest.Replace(t, own.Key, key)
	tlstest.Replace(t, own.Cert, cert)
	client, err = tlsfiles.Client(tlsfiles.Files{CA: own.CA, Cert: own.Cert, Key: own.Key, ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return files, server, client
}
