// Package tlsfiles makes TLS configurations from PEM files and takes new files up when they change.
//
// There is no goroutine and no timer: each handshake looks at the files (modification time, size and inode), and reads
// them if they are others than before. A file that is broken, missing or expired leaves what was good in force.
// Connections that stand are not touched. It knows nothing of who uses the configurations, and makes no certificates.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// Files are the names of PEM files, and what goes with them.
type Files struct {
	// CA has the authorities that the other side's certificate must come from. For a client, empty means the system's;
	// for a server, that it asks for no certificate.
	CA string
	// Cert has the own certificate, followed by its intermediates, and Key its private key. A client may go without
	// both.
	Cert, Key string
	// ServerName is the DNS name or IP address that the server's certificate must be for; empty means the one that is
	// dialed. crypto/tls does not tell a verifier the IP address that is dialed: who dials one says so here, or fills in
	// ConnectionState.ServerName before VerifyConnection. A server has no use for it.
	ServerName string
	// OnError, if not nil, is told once of each reason why changed files were not taken up. It runs within a handshake.
	OnError func(error)
}

// Client returns a configuration for the side that dials, or ErrFiles. It does its verification in VerifyConnection,
// with the authorities of that moment, so that InsecureSkipVerify is set and does not mean what it says.
func Client(f Files) (*tls.Config, error) {
	roots, err := f.authorities("")
	if err != nil {
		return nil, err
	}
	own, err := f.pair()
	if err != nil {
		return nil, err
	}
	config := base()
	config.ServerName = f.ServerName
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		name := f.ServerName
		if name == "" {
			name = state.ServerName
		}
		return verifyServer(state.PeerCertificates, name, roots.current())
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if cert := own.current(); cert != nil {
			return cert, nil
		}
		return new(tls.Certificate), nil // none: the server decides whether it goes on
	}
	return config, nil
}

// Server returns a configuration for the side that is dialed, or ErrFiles. With a CA a client's certificate is
// verified if it shows one; with requireClientCert it must show one. It offers HTTP/2 and HTTP/1.1, which is what op25b
// serves.
func Server(f Files, requireClientCert bool) (*tls.Config, error) {
	switch {
	case f.Cert == "" && f.Key == "":
		return nil, fmt.Errorf("%w: a server needs a certificate and its key, and none is given", ErrFiles)
	case requireClientCert && f.CA == "":
		return nil, fmt.Errorf("%w: client certificates are required, and no authority to verify them by is given", ErrFiles)
	}
	clientCAs, err := f.authorities("client ")
	if err != nil {
		return nil, err
	}
	own, err := f.pair()
	if err != nil {
		return nil, err
	}
	config := base()
	config.NextProtos = []string{"h2", "http/1.1"}
	switch {
	case requireClientCert:
		config.ClientAuth = tls.RequireAndVerifyClientCert
	case f.CA != "":
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	config.SessionTicketsDisabled = true // a resumed session would not be verified by new authorities
	perClient := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := perClient.Clone()
		c.Certificates = []tls.Certificate{*own.current()}
		c.ClientCAs = clientCAs.current()
		return c, nil
	}
	return config, nil
}

// Authorities returns the authorities in a file, as they are each time that it is asked, for certificates that were verified by a handshake
// some time ago. A broken file leaves the last good ones; the configuration that has the same file reports that.
func Authorities(ca string) (func() *x509.CertPool, error) {
	pool, err := Files{CA: ca}.authorities("client ")
	if err != nil {
		return nil, err
	}
	return pool.current, nil
}

// base has what RFC 9325 recommends: TLS 1.3 where both have it, and of TLS 1.2 only what has forward secrecy and
// authenticated encryption (sections 3.1.1 and 4.2).
func base() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{ // TLS 1.2 only
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
}

// verifyServer does what crypto/tls does without InsecureSkipVerify, and returns its error.
func verifyServer(chain []*x509.Certificate, name string, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return &tls.CertificateVerificationError{Err: errors.New("the server has shown no certificate")}
	}
	if name == "" {
		return &tls.CertificateVerificationError{
			UnverifiedCertificates: chain, Err: errors.New("no name to verify it for: the server is dialed by IP address, set ServerName"),
		}
	}
	opts := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}
