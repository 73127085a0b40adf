// Package tlsfiles creates TLS configurations from PEM files, and reads the files again when they change. It also checks that plain text
// is used only on loopback addresses.
//
// The package starts neither goroutines nor timers. Instead, each handshake compares the files' modification time, size and inode with
// those of the last read. If a file is invalid, missing or expired, the last valid content stays in use. Open connections are not
// affected. The package does not create certificates.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// Files are the paths of PEM files and the options for their use.
type Files struct {
	// CA is the path of a file with the CAs that verify the peer's certificate. If it is empty, a client uses the system's CAs, and a
	// server requests no certificate.
	CA string
	// Cert is the path of a file with the local certificate, followed by its intermediates. Key is the path of its private key. For a
	// client, both may be empty.
	Cert, Key string
	// ServerName is the DNS name or IP address that the server's certificate must be valid for; empty means the dialed name. crypto/tls
	// does not pass a dialed IP address to VerifyConnection. A caller that dials an IP address must therefore set ServerName, or set
	// ConnectionState.ServerName before it calls VerifyConnection. A server ignores ServerName.
	ServerName string
	// OnError, if not nil, is called once for each reason why changed files cannot be used. It is called during a handshake.
	OnError func(error)
	// Ends, if not nil, provides the times at which the certificates end. An Ends belongs to one connection or listener. If the
	// configuration is created again, such as for the next connection to the same peer, the same Ends can be used again.
	Ends *Ends
}

// Client returns a configuration for a client. It returns ErrFiles if a file is missing or invalid. VerifyConnection verifies the server
// against the current CAs. InsecureSkipVerify is set only to disable the verification by crypto/tls, which would use the CAs that were
// read at the start.
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
		if err := verifyServer(state.PeerCertificates, name, roots.current().pool); err != nil {
			return err
		}
		f.Ends.saw(state.PeerCertificates[0])
		return nil
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if cert := own.current().cert; cert != nil {
			return cert, nil
		}
		return new(tls.Certificate), nil // send no certificate; the server decides whether to continue
	}
	f.Ends.use(own, roots)
	return config, nil
}

// Server returns a configuration for a server. It returns ErrFiles if a file is missing or invalid. If CA is set, the certificate of a
// client is verified if the client sends one. If requireClientCert is set, the client must send a certificate. The configuration offers
// HTTP/2 and HTTP/1.1.
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
	config.SessionTicketsDisabled = true // a resumed session would not be verified against new CAs
	perClient := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := perClient.Clone()
		c.Certificates = []tls.Certificate{*own.current().cert}
		c.ClientCAs = clientCAs.current().pool
		return c, nil
	}
	f.Ends.use(own, clientCAs)
	return config, nil
}

// Authorities returns a function that returns the current CAs in the file ca. Callers use it to verify certificates again after the
// handshake. If the file becomes invalid, the last valid CAs stay in use. This error is not reported here, because the TLS configuration
// that uses the same file reports it.
func Authorities(ca string) (func() *x509.CertPool, error) {
	pool, err := Files{CA: ca}.authorities("client ")
	if err != nil {
		return nil, err
	}
	return func() *x509.CertPool { return pool.current().pool }, nil
}

// base returns a configuration that follows RFC 9325. It uses TLS 1.3 if both sides support it. It uses TLS 1.2 only with forward secrecy
// and authenticated encryption (sections 3.1.1 and 4.2).
func base() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{ // used only for TLS 1.2
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
}

// verifyServer verifies a server's certificate in the same way as crypto/tls without InsecureSkipVerify.
func verifyServer(chain []*x509.Certificate, name string, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return &tls.CertificateVerificationError{Err: errors.New("the server sent no certificate")}
	}
	if name == "" {
		return &tls.CertificateVerificationError{
			UnverifiedCertificates: chain, Err: errors.New("no name to verify: the server is dialed by IP address, so ServerName must be set"),
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
