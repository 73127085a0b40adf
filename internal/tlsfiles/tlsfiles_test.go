package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/internal/tlsfiles/tlstest"
)

// A meeting is the result of one connection between a client and a server.
type meeting struct {
	client, server error
	shown          *x509.Certificate // certificate of the server; nil if the handshake failed
	state          tls.ConnectionState
}

// meet makes a client connect to a server by name and read one byte from it.
func meet(t *testing.T, client, server *tls.Config, name string) meeting {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		secure := tls.Server(conn, server)
		if err := secure.Handshake(); err != nil {
			served <- err
			return
		}
		_, err = secure.Write([]byte{1})
		served <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	config := client.Clone()
	if config.ServerName == "" {
		config.ServerName = name
	}
	secure := tls.Client(conn, config)
	var m meeting
	if _, m.client = io.ReadFull(secure, make([]byte, 1)); m.client == nil {
		m.state = secure.ConnectionState()
		m.shown = m.state.PeerCertificates[0]
	}
	conn.Close()
	m.server = <-served
	return m
}

func must(t *testing.T) func(*tls.Config, error) *tls.Config {
	return func(c *tls.Config, err error) *tls.Config {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

func TestMutual(t *testing.T) {
	us := tlstest.New(t)
	d := us.Dir(t, "switch.example")
	server := must(t)(Server(Files{CA: d.CA, Cert: d.Cert, Key: d.Key}, true))
	client := must(t)(Client(Files{CA: d.CA, Cert: d.Cert, Key: d.Key}))
	m := meet(t, client, server, "switch.example")
	if m.client != nil || m.server != nil {
		t.Fatalf("client %v, server %v", m.client, m.server)
	}
	if m.state.Version != tls.VersionTLS13 {
		t.Errorf("version %s, want TLS 1.3", tls.VersionName(m.state.Version))
	}
	if got := meet(t, client, server, "other.example"); got.client == nil || !strings.Contains(got.client.Error(), "not other.example") {
		t.Errorf("another name: %v", got.client)
	}
}

// Each side refuses a peer without a valid certificate, and the error contains the reason.
func TestRefusals(t *testing.T) {
	us, others := tlstest.New(t), tlstest.New(t)
	d := us.Dir(t, "switch.example")
	stranger := others.Dir(t, "switch.example")
	expiredCert, expiredKey := us.Issue(t, "switch.example", time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC))
	expired, err := tls.X509KeyPair(expiredCert, expiredKey)
	if err != nil {
		t.Fatal(err)
	}
	mutual := must(t)(Server(Files{CA: d.CA, Cert: d.Cert, Key: d.Key}, true))
	optional := must(t)(Server(Files{CA: d.CA, Cert: d.Cert, Key: d.Key}, false))
	plain := must(t)(Server(Files{Cert: d.Cert, Key: d.Key}, false))
	anonymous := must(t)(Client(Files{CA: d.CA}))
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	for _, tt := range []struct {
		name           string
		client, server *tls.Config
		want           string // expected part of the client's error; empty means that no error is expected
	}{
		{"no client certificate", anonymous, mutual, "tls: certificate required"},
		{"a client certificate is not needed", anonymous, optional, ""},
		{"nor asked for", anonymous, plain, ""},
		{"client of another authority", must(t)(Client(Files{CA: d.CA, Cert: stranger.Cert, Key: stranger.Key})), mutual, "tls: unknown certificate authority"},
		{"and where it is not needed", must(t)(Client(Files{CA: d.CA, Cert: stranger.Cert, Key: stranger.Key})), optional, "tls: unknown certificate authority"},
		{"server of another authority", must(t)(Client(Files{CA: stranger.CA})), plain, "failed to verify certificate: x509: certificate signed by unknown authority"},
		{"the system's authorities", must(t)(Client(Files{})), plain, "failed to verify certificate: x509: certificate signed by unknown authority"},
		{"server expired", anonymous, &tls.Config{Certificates: []tls.Certificate{expired}}, "failed to verify certificate: x509: certificate has expired or is not yet valid"},
		{"TLS 1.1", old, plain, "protocol version not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := meet(t, tt.client, tt.server, "switch.example")
			if tt.want == "" {
				if m.client != nil || m.server != nil {
					t.Errorf("client %v, server %v", m.client, m.server)
				}
				return
			}
			if m.client == nil || !strings.Contains(m.client.Error(), tt.want) {
				t.Errorf("client %v, want %q", m.client, tt.want)
			}
		})
	}
}

// crypto/tls passes a dialed name to VerifyConnection, but not a dialed IP address.
func TestServerByAddress(t *testing.T) {
	us := tlstest.New(t)
	d := us.Dir(t, "192.0.2.1")
	server := must(t)(Server(Files{Cert: d.Cert, Key: d.Key}, false))
	if m := meet(t, must(t)(Client(Files{CA: d.CA, ServerName: "192.0.2.1"})), server, ""); m.client != nil {
		t.Errorf("the address it is for: %v", m.client)
	}
	if m := meet(t, must(t)(Client(Files{CA: d.CA, ServerName: "192.0.2.2"})), server, ""); m.client == nil || !strings.Contains(m.client.Error(), "not 192.0.2.2") {
		t.Errorf("another address: %v", m.client)
	}
	if m := meet(t, must(t)(Client(Files{CA: d.CA})), server, "192.0.2.1"); m.client == nil || !strings.Contains(m.client.Error(), "no name to verify") {
		t.Errorf("no name: %v", m.client)
	}
}

// The configuration itself offers HTTP/2, so that this does not depend on gRPC or the HTTP server.
func TestServerOffersHTTP2(t *testing.T) {
	d := tlstest.New(t).Dir(t, "switch.example")
	server := must(t)(Server(Files{Cert: d.Cert, Key: d.Key}, false))
	client := must(t)(Client(Files{CA: d.CA}))
	client.NextProtos = []string{"h2"}
	if m := meet(t, client, server, "switch.example"); m.client != nil || m.state.NegotiatedProtocol != "h2" {
		t.Errorf("protocol %q, %v", m.state.NegotiatedProtocol, m.client)
	}
}

// If a client supports only TLS 1.2, cipher suites that RFC 9325 calls weak are not negotiated.
func TestTLS12IsAuthenticatedEncryption(t *testing.T) {
	d := tlstest.New(t).Dir(t, "switch.example")
	server := must(t)(Server(Files{Cert: d.Cert, Key: d.Key}, false))
	client := must(t)(Client(Files{CA: d.CA}))
	client.MaxVersion = tls.VersionTLS12
	if m := meet(t, client, server, "switch.example"); m.client != nil || !slices.Contains(base().CipherSuites, m.state.CipherSuite) {
		t.Errorf("suite %s, %v", tls.CipherSuiteName(m.state.CipherSuite), m.client)
	}
	client.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	if m := meet(t, client, server, "switch.example"); m.client == nil {
		t.Errorf("%s was negotiated", tls.CipherSuiteName(m.state.CipherSuite))
	}
}

// A client is verified against the current CAs at every connection, because sessions are never
// resumed.
func TestNoResumption(t *testing.T) {
	d := tlstest.New(t).Dir(t, "switch.example")
	server := must(t)(Server(Files{CA: d.CA, Cert: d.Cert, Key: d.Key}, true))
	client := must(t)(Client(Files{CA: d.CA, Cert: d.Cert, Key: d.Key}))
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 {
		if m := meet(t, client, server, "switch.example"); m.client != nil || m.state.DidResume {
			t.Errorf("resumed %v, %v", m.state.DidResume, m.client)
		}
	}
}

func TestFilesErrors(t *testing.T) {
	us := tlstest.New(t)
	d, other := us.Dir(t, "switch.example"), us.Dir(t, "switch.example")
	garbage := t.TempDir() + "/garbage.pem"
	tlstest.Replace(t, garbage, []byte("garbage"))
	damaged := t.TempDir() + "/damaged.pem"
	tlstest.Replace(t, damaged, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	cert, key := us.Issue(t, "switch.example", time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC))
	expired := tlstest.Dir{Cert: t.TempDir() + "/cert.pem", Key: t.TempDir() + "/key.pem"}
	tlstest.Replace(t, expired.Cert, cert)
	tlstest.Replace(t, expired.Key, key)

	client := func(f Files) error { _, err := Client(f); return err }
	server := func(f Files) error { _, err := Server(f, false); return err }
	required := func(f Files) error { _, err := Server(f, true); return err }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{server(Files{}), "TLS files: a server needs a certificate and its key, and none is given"},
		{required(Files{Cert: d.Cert, Key: d.Key}), "TLS files: client certificates are required, and no authority to verify them by is given"},
		{client(Files{Cert: d.Cert}), "TLS files: certificate " + d.Cert + ": its key is not given"},
		{client(Files{Key: d.Key}), "TLS files: key " + d.Key + ": its certificate is not given"},
		{client(Files{CA: "/none/ca.pem"}), "TLS files: authority /none/ca.pem: no such file or directory"},
		{server(Files{CA: "/none/ca.pem", Cert: d.Cert, Key: d.Key}), "TLS files: client authority /none/ca.pem: no such file or directory"},
		{server(Files{Cert: "/none/cert.pem", Key: d.Key}), "TLS files: certificate /none/cert.pem: no such file or directory"},
		{server(Files{Cert: d.Cert, Key: "/none/key.pem"}), "TLS files: key /none/key.pem: no such file or directory"},
		{client(Files{CA: t.TempDir()}), ": is a directory"},
		{client(Files{CA: garbage}), "TLS files: authority " + garbage + `: contains no certificate; must be PEM, "-----BEGIN CERTIFICATE-----"`},
		{client(Files{CA: d.Key}), "TLS files: authority " + d.Key + `: contains no certificate; must be PEM, "-----BEGIN CERTIFICATE-----"`},
		{client(Files{CA: damaged}), "TLS files: authority " + damaged + ": x509: malformed certificate"},
		{server(Files{Cert: garbage, Key: d.Key}), "TLS files: certificate " + garbage + `: contains no certificate; must be PEM, "-----BEGIN CERTIFICATE-----"`},
		{server(Files{Cert: d.Cert, Key: garbage}), "TLS files: certificate " + d.Cert + " with key " + garbage + ": tls: failed to find any PEM data in key input"},
		{server(Files{Cert: d.Cert, Key: other.Key}), "TLS files: certificate " + d.Cert + " with key " + other.Key + ": tls: private key does not match public key"},
		{server(Files{Cert: expired.Cert, Key: expired.Key}), "TLS files: certificate " + expired.Cert + ": expired at 2006-10-01T00:00:00Z"},
	} {
		if !errors.Is(tt.err, ErrFiles) || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("error\n%v\nwant\n%s", tt.err, tt.want)
		}
	}
}
