package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Token returns the holder of a token. It returns ErrUnknown if the token is not in the access file or has expired. The duration of the search
// does not depend on the token.
func (a *Grants) Token(token string, now time.Time) (Caller, error) {
	sum := sha256.Sum256([]byte(token))
	var found *Token
	for i := range a.Tokens {
		if subtle.ConstantTimeCompare(sum[:], a.Tokens[i].hash) == 1 {
			found = &a.Tokens[i]
		}
	}
	switch {
	case found == nil:
		return Caller{}, fmt.Errorf("%w: the bearer token is not in the access file", ErrUnknown)
	case !found.expires.IsZero() && !now.Before(found.expires):
		return Caller{}, fmt.Errorf("%w: the bearer token of %s expired at %s", ErrUnknown, found.Name, found.Expires)
	}
	return Caller{Who: found.Name, Role: found.Role, By: ByToken, Reports: reports(found.Role, found.Name, found.Sources, found.Switches)}, nil
}

// Certificate returns the identity of the holder of a client certificate that TLS has verified. The URIs in the certificate take precedence
// over its common name. If the access file has no entry for the certificate, the caller has no role.
func (a *Grants) Certificate(cert *x509.Certificate) Caller {
	for _, u := range cert.URIs {
		for _, c := range a.Certificates {
			if c.URI == u.String() {
				return Caller{Who: c.URI, Role: c.Role, By: ByCertificate, Reports: reports(c.Role, c.URI, c.Sources, c.Switches)}
			}
		}
	}
	for _, c := range a.Certificates {
		if c.CommonName != "" && c.CommonName == cert.Subject.CommonName {
			return Caller{Who: c.CommonName, Role: c.Role, By: ByCertificate, Reports: reports(c.Role, c.CommonName, c.Sources, c.Switches)}
		}
	}
	who := cert.Subject.CommonName
	if len(cert.URIs) > 0 {
		who = cert.URIs[0].String()
	}
	who = strings.ToValidUTF8(who, "\uFFFD")
	if len(who) > maxWho {
		who = strings.ToValidUTF8(who[:maxWho], "")
	}
	if who == "" {
		who = "certificate " + cert.SerialNumber.String()
	}
	return Caller{Who: who, By: ByCertificate}
}

// NewToken creates a token of 256 random bits, and returns the token with its entry for the access file. expires has the format of
// Token.Expires. If Parse would refuse the entry, NewToken returns an error that wraps ErrAccess and a strict.Faults.
func NewToken(name string, role Role, expires string) (secret string, t Token, err error) {
	random := make([]byte, 32)
	rand.Read(random) // rand.Read never returns an error
	secret = "op25b_" + base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(secret))
	t = Token{Name: name, Role: role, SHA256: hex.EncodeToString(sum[:]), Expires: expires}
	var v validator
	if err := v.Run(func() { v.token(&t, "") }); err != nil {
		return "", Token{}, fmt.Errorf("%w: %w", ErrAccess, err)
	}
	return secret, t, nil
}

// Bearer returns the bearer token in the value of an Authorization header. ok is false if the value is empty. Bearer returns ErrUnknown if the
// scheme is not Bearer or the token is empty.
func Bearer(header string) (token string, ok bool, err error) {
	if header == "" {
		return "", false, nil
	}
	scheme, token, _ := strings.Cut(header, " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", false, fmt.Errorf("%w: the Authorization header must be %q followed by a token", ErrUnknown, "Bearer")
	}
	return token, true, nil
}
