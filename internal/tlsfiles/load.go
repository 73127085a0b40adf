package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// pair reads the files Cert and Key.
func (f Files) pair() (*reloaded[*tls.Certificate], error) {
	switch {
	case f.Cert == "" && f.Key == "":
		return none[*tls.Certificate](), nil
	case f.Key == "":
		return nil, fmt.Errorf("%w: certificate %s: its key is not given", ErrFiles, f.Cert)
	case f.Cert == "":
		return nil, fmt.Errorf("%w: key %s: its certificate is not given", ErrFiles, f.Key)
	}
	return watch(f.OnError, []file{{"certificate", f.Cert}, {"key", f.Key}}, func(pem [][]byte) (*tls.Certificate, error) {
		leaf, err := firstCertificate(pem[0])
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", f.Cert, err)
		}
		cert, err := tls.X509KeyPair(pem[0], pem[1])
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
		}
		if time.Now().After(leaf.NotAfter) {
			return nil, fmt.Errorf("certificate %s: expired at %s", f.Cert, leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		return &cert, nil
	})
}

// authorities reads the file CA. In error messages, whose precedes the word "authority".
func (f Files) authorities(whose string) (*reloaded[*x509.CertPool], error) {
	if f.CA == "" {
		return none[*x509.CertPool](), nil
	}
	what := whose + "authority"
	return watch(f.OnError, []file{{what, f.CA}}, func(pem [][]byte) (*x509.CertPool, error) {
		if _, err := firstCertificate(pem[0]); err != nil {
			return nil, fmt.Errorf("%s %s: %w", what, f.CA, err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem[0])
		return pool, nil
	})
}

// firstCertificate returns the first certificate in a PEM file. Its errors are more specific than those of
// crypto/x509.
func firstCertificate(data []byte) (*x509.Certificate, error) {
	for rest := data; ; {
		var block *pem.Block
		switch block, rest = pem.Decode(rest); {
		case block == nil:
			return nil, errors.New(`contains no certificate; must be PEM, "-----BEGIN CERTIFICATE-----"`)
		case block.Type == "CERTIFICATE":
			return x509.ParseCertificate(block.Bytes)
		}
	}
}

// reason returns err without the path, because the message already contains the path.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
