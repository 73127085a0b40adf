package p4rt

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"

	"op25b/internal/softswitch"
	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
)

// startSecured starts an embedded switch that is reached through TLS.
func startSecured(t *testing.T, secure *tls.Config) Config {
	t.Helper()
	sw, err := softswitch.New(softswitch.Options{DeviceID: testDevice})
	if err != nil {
		t.Fatal(err)
	}
	services, err := sw.ListenTLS(softswitch.Addrs{P4Runtime: "127.0.0.1:0"}, secure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sw.Close()
		services.Close()
	})
	return Config{Addr: services.Addrs.P4Runtime, DeviceID: testDevice, ElectionID: testElection}
}

func secured(t *testing.T) func(*tls.Config, error) *tls.Config {
	return func(c *tls.Config, err error) *tls.Config {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// Certificates are rotated while a controller and a switch run. Existing connections continue, and new connections use
// the new certificates.
func TestTLSRotation(t *testing.T) {
	us := tlstest.New(t)
	of, ours := us.Dir(t, "127.0.0.1"), us.Dir(t, "controller.example")
	cfg := startSecured(t, secured(t)(tlsfiles.Server(tlsfiles.Files{CA: of.CA, Cert: of.Cert, Key: of.Key}, true)))
	client := secured(t)(tlsfiles.Client(tlsfiles.Files{CA: ours.CA, Cert: ours.Cert, Key: ours.Key}))
	var mu sync.Mutex
	var serials []string // serial numbers of the switch's certificates
	verify := client.VerifyConnection
	client.VerifyConnection = func(state tls.ConnectionState) error {
		mu.Lock()
		defer mu.Unlock()
		serials = append(serials, state.PeerCertificates[0].SerialNumber.String())
		return verify(state)
	}
	cfg.TLS = client
	old := dialed(t, cfg)
	info, program := sessionProgram(t)
	if err := old.Push(t.Context(), info, program, 1); err != nil {
		t.Fatal(err)
	}

	them := tlstest.New(t)
	for _, d := range []tlstest.Dir{of, ours} {
		tlstest.Replace(t, d.CA, them.CAPem)
	}
	if _, err := DialReader(t.Context(), cfg); !errors.Is(err, ErrTLS) {
		t.Errorf("certificates of the old authority: %v, want ErrTLS", err)
	}
	them.Renew(t, of, "127.0.0.1")
	them.Renew(t, ours, "controller.example")
	dialedReader(t, cfg)
	if err := old.Write(t.Context(), updatesOf(p4v1.Update_INSERT, route(1, 2))); err != nil {
		t.Errorf("the session from before: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(serials) != 3 || serials[0] != serials[1] || serials[1] == serials[2] {
		t.Errorf("the switch showed %v, want the old, the old, a new one", serials)
	}
}

// Every failure of TLS is reported as ErrTLS, with the switch and the reason on one line.
func TestTLSErrors(t *testing.T) {
	us, others := tlstest.New(t), tlstest.New(t)
	of, ours := us.Dir(t, "127.0.0.1"), us.Dir(t, "controller.example")
	stranger, elsewhere := others.Dir(t, "controller.example"), us.Dir(t, "192.0.2.9")
	pair := func(cert, key []byte) tls.Certificate {
		t.Helper()
		c, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	longAgo := time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC)
	expired := pair(us.Issue(t, "127.0.0.1", longAgo))
	expiredClient := secured(t)(tlsfiles.Client(tlsfiles.Files{CA: ours.CA}))
	was := pair(us.Issue(t, "controller.example", longAgo))
	expiredClient.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &was, nil }

	mutual := startSecured(t, secured(t)(tlsfiles.Server(tlsfiles.Files{CA: of.CA, Cert: of.Cert, Key: of.Key}, true)))
	good := tlsfiles.Files{CA: ours.CA, Cert: ours.Cert, Key: ours.Key}
	for _, tt := range []struct {
		name   string
		at     Config
		client *tls.Config
		want   string
	}{
		{"no client certificate", mutual, secured(t)(tlsfiles.Client(tlsfiles.Files{CA: ours.CA})), "by the switch: tls: certificate required"},
		{"client of another authority", mutual, secured(t)(tlsfiles.Client(tlsfiles.Files{CA: ours.CA, Cert: stranger.Cert, Key: stranger.Key})), "by the switch: tls: unknown certificate authority"},
		{"client expired", mutual, expiredClient, "by the switch: tls: expired certificate"},
		{"switch of another authority", mutual, secured(t)(tlsfiles.Client(tlsfiles.Files{CA: stranger.CA, Cert: ours.Cert, Key: ours.Key})), "tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"switch expired", startSecured(t, &tls.Config{Certificates: []tls.Certificate{expired}}), secured(t)(tlsfiles.Client(good)), "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"},
		{"switch of another name", startSecured(t, secured(t)(tlsfiles.Server(tlsfiles.Files{Cert: elsewhere.Cert, Key: elsewhere.Key}, false))), secured(t)(tlsfiles.Client(good)), "tls: failed to verify certificate: x509: certificate is valid for 192.0.2.9, not 127.0.0.1"},
		{"switch in plain text", startSecured(t, nil), secured(t)(tlsfiles.Client(good)), "tls: first record does not look like a TLS handshake"},
		{"without tlsfiles", mutual, &tls.Config{}, "tls: failed to verify certificate: x509: certificate signed by unknown authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.at
			cfg.TLS, cfg.DialTimeout = tt.client, time.Minute
			want := cfg.Addr + " device 7: connect: TLS refused: " + tt.want
			for range 20 { // repeat, because the alert of TLS 1.3 races with the client's first data
				_, err := Dial(t.Context(), cfg)
				if !errors.Is(err, ErrTLS) || errors.Is(err, ErrUnreachable) || !strings.HasPrefix(err.Error(), want) {
					t.Fatalf("session:\n%v\nwant\n%s", err, want)
				}
				_, err = DialReader(t.Context(), cfg)
				if !errors.Is(err, ErrTLS) || !strings.HasPrefix(err.Error(), want) {
					t.Fatalf("reader:\n%v\nwant\n%s", err, want)
				}
			}
		})
	}

	plain := mutual
	plain.DialTimeout = time.Minute
	if _, err := DialReader(t.Context(), plain); !errors.Is(err, ErrUnreachable) {
		t.Errorf("plain text to a switch with TLS: %v, want ErrUnreachable", err)
	}

	// Other failures are not reported as ErrTLS, even if TLS is configured.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Addr: silent.Addr().String(), TLS: secured(t)(tlsfiles.Client(good)), DialTimeout: 20 * time.Millisecond}
	if _, err := DialReader(t.Context(), cfg); !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrTLS) {
		t.Errorf("a listener that says nothing: %v, want ErrUnreachable", err)
	}
	silent.Close()
	if _, err := DialReader(t.Context(), cfg); !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrTLS) {
		t.Errorf("nobody listens: %v, want ErrUnreachable", err)
	}
}

// A reader forgets an earlier TLS error when a connection succeeds.
func TestTLSRefusalIsForgotten(t *testing.T) {
	us := tlstest.New(t)
	d := us.Dir(t, "127.0.0.1")
	cfg := startSecured(t, secured(t)(tlsfiles.Server(tlsfiles.Files{CA: d.CA, Cert: d.Cert, Key: d.Key}, true)))
	cfg.TLS = secured(t)(tlsfiles.Client(tlsfiles.Files{CA: d.CA, Cert: d.Cert, Key: d.Key}))
	r := dialedReader(t, cfg)
	r.secure.note(errors.New("as if the handshake before had failed"))
	if err := r.Probe(t.Context()); err != nil || r.secure.refusal() != nil {
		t.Errorf("a connection that stands: error %v, refusal %v", err, r.secure.refusal())
	}
}

// Keep reports ErrTLS as the reason, and tries again after a pause as for other failures.
func TestKeepBacksOffFromTLS(t *testing.T) {
	us, others := tlstest.New(t), tlstest.New(t)
	of, ours := us.Dir(t, "127.0.0.1"), others.Dir(t, "controller.example")
	cfg := startSecured(t, secured(t)(tlsfiles.Server(tlsfiles.Files{CA: of.CA, Cert: of.Cert, Key: of.Key}, true)))
	cfg.TLS = secured(t)(tlsfiles.Client(tlsfiles.Files{CA: of.CA, Cert: ours.Cert, Key: ours.Key}))
	refused := make(chan SessionStatus, 1)
	ctx, cancel := context.WithCancel(t.Context())
	working := make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- Keep(ctx, KeepConfig{
			Config: cfg, Backoff: Backoff{Min: time.Millisecond, Max: 2 * time.Millisecond},
			OnStatus: func(st SessionStatus) {
				if st.Reason == ReasonTLS {
					refused <- st
				}
			},
		}, func(ctx context.Context, _ *Session) error {
			close(working)
			<-ctx.Done()
			return nil
		})
	}()
	if st := <-refused; st.State != Disconnected || !errors.Is(st.Err, ErrTLS) {
		t.Errorf("%v", st)
	}
	us.Renew(t, ours, "controller.example") // after this, the switch accepts the controller, without a restart of either side
	<-working
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A session uses a single connection. If the switch ends the connection, a request is not sent on a new connection,
// which would not have the session's stream. Instead the session ends.
func TestSessionIsOneConnection(t *testing.T) {
	var mu sync.Mutex
	from := map[string]bool{}
	fake := &fakeSwitch{alive: func(ctx context.Context) error {
		p, _ := peer.FromContext(ctx)
		mu.Lock()
		defer mu.Unlock()
		from[p.Addr.String()] = true
		return nil
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// The server sends GOAWAY after a few milliseconds. The stream may continue.
	server := grpc.NewServer(grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 5 * time.Millisecond}))
	p4v1.RegisterP4RuntimeServer(server, fake)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	defer func() { server.Stop(); <-served }()
	s := dialed(t, Config{Addr: ln.Addr().String(), DeviceID: testDevice, ElectionID: testElection})
	for s.Err() == nil {
		_ = s.Probe(t.Context())
	}
	if !errors.Is(s.Err(), ErrStreamLost) || !strings.HasSuffix(s.Err().Error(), "stream: stream lost: the switch is ending the connection") {
		t.Errorf("the session ended with %v", s.Err())
	}
	mu.Lock()
	defer mu.Unlock()
	if len(from) != 1 {
		t.Errorf("%d connections were used", len(from))
	}
}
