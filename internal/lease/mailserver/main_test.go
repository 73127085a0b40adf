package mailserver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"op25b/internal/clientfile/clientfiletest"
	"op25b/internal/lease"
	"op25b/internal/lease/login"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedEnv); dir != "" {
		killedProcess(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

const secret = "a secret of weakforced"

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// clientsOf writes a file of clients with the file of a secret beside it, and returns its path.
func clientsOf(t testing.TB, list string) string {
	t.Helper()
	return clientfiletest.Write(t, Kind, list, secret)
}

// good is a file with a client of each kind.
func good() string {
	return fmt.Sprintf("  - {name: pop-1, sha256: %s}\n  - {name: pop-2, commonName: pop-2.isp.example}\n  - {name: wforce-1, sha256: %s, secretFile: secret}\n",
		clientfiletest.Hash("token of pop-1"), clientfiletest.Hash("token of wforce-1"))
}

// leases records the logins, and refuses some of them.
type leases struct {
	mu      sync.Mutex // guards the fields below
	logins  []string
	refused []string
	err     error
}

var errRefused = errors.New("refused by the policy")

func (l *leases) Login(_ context.Context, source string, remote netip.Addr, tls bool, at time.Time) (lease.Lease, lease.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logins = append(l.logins, fmt.Sprint(source, " ", remote, " ", tls, " ", at.Unix()))
	return lease.Lease{}, lease.Granted, l.err
}

func (l *leases) Refuse(source string, why login.Refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = append(l.refused, fmt.Sprint(source, " ", why))
}

func (l *leases) Refused(err error) bool { return errors.Is(err, errRefused) }

// A call is a request of a test.
type call struct {
	method, path, body string
	header             http.Header
	from               string // 192.0.2.25:4711 by default
	cert               string // the common name of the client's certificate
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func basic(user, password string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
}

// signed returns the headers of weakforced's report.
func signed(body, key string) http.Header {
	h := basic("op25b", "token of wforce-1")
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	h.Set(login.SignatureHeader, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}

// do sends a request to a server, and returns the answer.
func (c call) do(s *Server) (code int, body string) {
	if c.method == "" {
		c.method = http.MethodPost
	}
	r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
	r.RemoteAddr = "192.0.2.25:4711"
	if c.from != "" {
		r.RemoteAddr = c.from
	}
	for name, values := range c.header {
		r.Header[name] = values
	}
	if c.cert != "" {
		cert := &x509.Certificate{Subject: pkix.Name{CommonName: c.cert}}
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	b, _ := io.ReadAll(w.Body)
	return w.Code, strings.TrimSpace(string(b))
}
