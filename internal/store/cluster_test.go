package store

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// TestClusterLosesMembers stops one of three members at an arbitrary time. Changes, ownerships and watches must
// continue. When a second member stops, requests must fail with ErrNoQuorum.
func TestClusterLosesMembers(t *testing.T) {
	c := startCluster(t, 3, nil)
	s := open(t, Config{Endpoints: c.endpoints, Timeout: 10 * time.Second})
	rs := s.Revisions()
	watch := rs.Watch(t.Context(), 0)
	o := must(s.TryOwn(within(t), "switch", "access-1", "noc-1"))(t)
	put(t, rs, 0, docs("a", "0"))

	// The leader is stopped while changes are made. Each change must be made exactly once.
	done := make(chan error)
	const changes = 50
	half := make(chan struct{})
	go func() {
		for i := uint64(1); i < changes; i++ {
			if i == changes/2 {
				close(half)
			}
			r, err := rs.Put(within(t), Change{Base: i, Author: "a", Reason: "r", Documents: docs("a", fmt.Sprint(i))}, AuditRecord{Who: "a", Verb: "apply"})
			if err == nil && r.Number != i+1 {
				err = fmt.Errorf("revision %d on %d", r.Number, i)
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	<-half
	first := c.leader()
	c.kill(first)
	if err := receive(t, "the changes", done); err != nil {
		t.Fatal(err)
	}
	for r := range watch {
		if r.Number == changes {
			break
		}
	}
	if head := must(s.Audit().Verify(within(t)))(t); head.Seq != changes-1 {
		t.Errorf("%d changes are recorded, want %d", head.Seq, changes-1)
	}
	if !o.Held() {
		t.Error("the ownership was lost with the leader")
	}
	must(JSON[string](s, "status").PutIf(within(t), "access-1", 0, "up", o))(t)

	c.kill((first + 1) % 3)
	lone := open(t, Config{Endpoints: c.endpoints, Timeout: 200 * time.Millisecond})
	for name, call := range map[string]func() error{
		"read intent": func() error {
			_, err := lone.Revisions().Put(within(t), Change{Base: changes, Author: "a", Reason: "r", Documents: docs("a", "x")})
			return err
		},
		"write status": func() error {
			_, err := JSON[string](lone, "status").PutIf(within(t), "access-1", AnyVersion, "down")
			return err
		},
		"grant lease": func() error { _, err := lone.TryOwn(within(t), "switch", "access-2", "noc-2"); return err },
		"ready":       func() error { return lone.Ready(within(t)) },
	} {
		wantError(t, call(), ErrNoQuorum, fmt.Sprintf("etcd at %s: %s: no quorum: ", strings.Join(c.endpoints, ", "), name))
	}
	wantError(t, lone.Ready(within(t)), ErrNoQuorum, " has no leader")
	wantError(t, lone.Ready(within(t)), ErrNoQuorum, " does not answer: ")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := lone.Own(ctx, "switch", "access-2", "noc-2")
	wantError(t, err, ErrNoQuorum, "no quorum")
	wantError(t, err, context.DeadlineExceeded, "own switch")
	closed(t, "an ownership without a quorum", o.Lost())
}

// TestTLS connects to a cluster that requires client certificates and whose certificate is signed by a private
// CA.
func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	certFile, keyFile := ca.issue(t, "server")
	c := startCluster(t, 1, func(cfg *embed.Config) {
		cfg.ListenClientUrls[0].Scheme, cfg.AdvertiseClientUrls[0].Scheme = "https", "https"
		cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile = certFile, keyFile
		cfg.ClientTLSInfo.TrustedCAFile, cfg.ClientTLSInfo.ClientCertAuth = ca.file, true
	})
	client := must(tls.LoadX509KeyPair(ca.issue(t, "client")))(t)
	for _, endpoint := range []string{c.endpoints[0], strings.TrimPrefix(c.endpoints[0], "https://")} {
		s := open(t, Config{Endpoints: []string{endpoint}, TLS: &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{client}}})
		must(s.TryOwn(within(t), "switch", endpoint, "noc-1"))(t)
	}
	for _, bad := range []struct {
		name string
		cfg  *tls.Config
		want string
	}{
		{"no certificate", &tls.Config{RootCAs: ca.pool}, " does not answer: "}, // the server's TLS alert may arrive too late to be read
		{"an unknown authority", &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{client}}, "certificate signed by unknown authority"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			s := open(t, Config{Endpoints: c.endpoints, TLS: bad.cfg, Timeout: 200 * time.Millisecond})
			wantError(t, s.Ready(within(t)), ErrNoQuorum, bad.want)
		})
	}
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	file string
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t), dir: t.TempDir(), pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))(t)
	a.cert = must(x509.ParseCertificate(der))(t)
	a.pool.AddCert(a.cert)
	a.file = a.write(t, "ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) issue(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))(t)
	return a.write(t, name+".pem", "CERTIFICATE", der), a.write(t, name+".key", "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(key))(t))
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
