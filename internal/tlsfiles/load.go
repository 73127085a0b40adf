package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// An identity is the content of the files Cert and Key. cert is nil if there are no files. end is the time at which the first certificate
// of the chain ends.
type identity struct {
	cert *tls.Certificate
	end  time.Time
}

// authorities is the content of the file CA. pool is nil if there is no file.
type authorities struct {
	pool *x509.CertPool
	ends []time.Time // when each CA certificate ends, earliest first
}

// pair reads the files Cert and Key.
func (f Files) pair() (*reloaded[identity], error) {
	switch {
	case f.Cert == "" && f.Key == "":
		return none[identity](), nil
	case f.Key == "":
		return nil, fmt.Errorf("%w: certificate %s: its key is not given", ErrFiles, f.Cert)
	case f.Cert == "":
		return nil, fmt.Errorf("%w: key %s: its certificate is not given", ErrFiles, f.Key)
	}
	return watch(f.OnError, []file{{"certificate", f.Cert}, {"key", f.Key}}, func(pem [][]byte) (identity, error) {
		leaf, err := firstCertificate(pem[0])
		if err != nil {
			return identity{}, fmt.Errorf("certificate %s: %w", f.Cert, err)
		}
		cert, err := tls.X509KeyPair(pem[0], pem[1])
		if err != nil {
			return identity{}, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
		}
		if time.Now().After(leaf.NotAfter) {
			return identity{}, fmt.Errorf("certificate %s: expired at %s", f.Cert, leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		return identity{&cert, certificates(pem[0])[0].NotAfter}, nil
	})
}

// authorities reads the file CA. In error messages, whose precedes the word "authority".
func (f Files) authorities(whose string) (*reloaded[authorities], error) {
	if f.CA == "" {
		return none[authorities](), nil
	}
	what := whose + "authority"
	return watch(f.OnError, []file{{what, f.CA}}, func(pem [][]byte) (authorities, error) {
		if _, err := firstCertificate(pem[0]); err != nil {
			return authorities{}, fmt.Errorf("%s %s: %w", what, f.CA, err)
		}
		a := authorities{pool: x509.NewCertPool()}
		for _, c := range certificates(pem[0]) {
			a.pool.AddCert(c)
			a.ends = append(a.ends, c.NotAfter)
		}
		return a, nil
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

// certificates returns the certificates in a PEM file, in the order in which they end. As in crypto/x509, blocks that cannot be parsed
// are left out.
func certificates(data []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	return all
}

// reason returns err without the path, because the message already contains the path.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
