package auth

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// An Access says who may what: the tokens, and the client certificates, each with a role. Its YAML document is
//
//	apiVersion: op25b/v1
//	kind: Access
//	tokens:
//	  - {name: noc-web, role: operator, sha256: 9f86d08..., expires: 2027-03-31T00:00:00+09:00}
//	certificates:
//	  - {uri: "spiffe://isp.example/noc/alice", role: admin}
//	  - {commonName: monitoring.isp.example, role: viewer}
type Access struct {
	APIVersion   string        `yaml:"apiVersion"`
	Kind         string        `yaml:"kind"`
	Tokens       []Token       `yaml:"tokens"`
	Certificates []Certificate `yaml:"certificates"`
}

// A Token is one bearer token (RFC 6750).
type Token struct {
	// Name is who the holder is, in records and logs. Two tokens may have one name: a new one beside the old until that is gone.
	Name string `yaml:"name"`
	Role Role   `yaml:"role"`
	// SHA256 is of the token, in hexadecimal. The token is random and long (see NewToken), so that its plain hash gives nothing away.
	SHA256 string `yaml:"sha256"`
	// Expires is the moment from which it is no longer good, RFC 3339; empty is never.
	Expires string `yaml:"expires"`

	hash    []byte
	expires time.Time
}

// A Certificate is one name that a client certificate may have. Who signed it is TLS's to check.
type Certificate struct {
	// URI is a name of its subject alternative names, such as a SPIFFE ID; CommonName is its subject's. One of the two is set.
	URI        string `yaml:"uri"`
	CommonName string `yaml:"commonName"`
	Role       Role   `yaml:"role"`
}

// Parse reads an access document. name is the file's, for messages. It returns ErrAccess, which says what is wrong and where.
func Parse(name string, data []byte) (*Access, error) {
	var a Access
	if err := yaml.Load(data, &a, yaml.WithKnownFields()); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrAccess, unreadable(name, err))
	}
	if err := a.complete(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &a, nil
}

// unreadable is everything that the YAML reader says, each with its place and without the names of Go types.
func unreadable(name string, err error) string {
	var each []*yaml.LoadError
	if all := (*yaml.LoadErrors)(nil); errors.As(err, &all) {
		each = all.Errors
	} else if one := (*yaml.LoadError)(nil); errors.As(err, &one) {
		each = append(each, one)
	} else {
		return name + ": " + err.Error()
	}
	var texts []string
	for _, e := range each {
		at := name
		if e.Mark.Line > 0 { // bytes that are not text, and a second document, come without a place
			at = fmt.Sprintf("%s:%d:%d", name, e.Mark.Line, e.Mark.Column)
		}
		what, _, _ := strings.Cut(strings.TrimPrefix(e.Message, "yaml: "), " in type ")
		if key, unknown := strings.CutSuffix(what, " not found"); unknown {
			what = fmt.Sprintf("unknown key %q", strings.TrimPrefix(key, "field "))
		}
		texts = append(texts, at+": "+what)
	}
	return strings.Join(texts, "; ")
}

// complete checks everything and reads the parts of tokens.
func (a *Access) complete() error {
	if a.APIVersion != "op25b/v1" || a.Kind != "Access" {
		return fmt.Errorf("%w: apiVersion %q, kind %q: must be op25b/v1 and Access", ErrAccess, a.APIVersion, a.Kind)
	}
	if len(a.Tokens) == 0 && len(a.Certificates) == 0 {
		return fmt.Errorf("%w: neither a token nor a certificate: nobody could do anything", ErrAccess)
	}
	hashes := make(map[string]int)
	for i := range a.Tokens {
		t := &a.Tokens[i]
		if err := t.complete(); err != nil {
			return fmt.Errorf("tokens[%d]: %w", i, err)
		}
		if first, twice := hashes[string(t.hash)]; twice {
			return fmt.Errorf("tokens[%d]: %w: it has the same sha256 as tokens[%d]: one token has one name", i, ErrAccess, first)
		}
		hashes[string(t.hash)] = i
	}
	names := make(map[Certificate]int)
	for i, c := range a.Certificates {
		if err := c.check(); err != nil {
			return fmt.Errorf("certificates[%d]: %w", i, err)
		}
		name := Certificate{URI: c.URI, CommonName: c.CommonName}
		if first, twice := names[name]; twice {
			return fmt.Errorf("certificates[%d]: %w: %s is there already, as certificates[%d]", i, ErrAccess, cmp.Or(c.URI, c.CommonName), first)
		}
		names[name] = i
	}
	return nil
}

func (t *Token) complete() error {
	if t.Name == "" || len(t.Name) > maxWho {
		return fmt.Errorf("%w: name %q: must be 1 to %d bytes", ErrAccess, t.Name, maxWho)
	}
	if err := t.Role.check(); err != nil {
		return err
	}
	var err error
	if t.hash, err = hex.DecodeString(t.SHA256); err != nil || len(t.hash) != 32 {
		return fmt.Errorf("%w: sha256 of token %q: must be 64 hexadecimal digits, as sha256sum writes them, and not the token itself", ErrAccess, t.Name)
	}
	if t.Expires == "" {
		return nil
	}
	if t.expires, err = time.Parse(time.RFC3339, t.Expires); err != nil {
		return fmt.Errorf("%w: expires of token %q, %q: must be a moment such as 2027-03-31T00:00:00+09:00", ErrAccess, t.Name, t.Expires)
	}
	return nil
}

func (c Certificate) check() error {
	switch {
	case (c.URI == "") == (c.CommonName == ""):
		return fmt.Errorf("%w: it wants either a uri or a commonName", ErrAccess)
	case len(c.URI)+len(c.CommonName) > maxWho:
		return fmt.Errorf("%w: a name of %d bytes: must be at most %d", ErrAccess, len(c.URI)+len(c.CommonName), maxWho)
	}
	if c.URI != "" {
		if u, err := url.Parse(c.URI); err != nil || u.Scheme == "" {
			return fmt.Errorf("%w: uri %q: must have a scheme, such as spiffe://", ErrAccess, c.URI)
		}
	}
	return c.Role.check()
}

// maxWho is the most bytes of a name. It stands in every record.
const maxWho = 256

// maxFile is the most bytes of an access file: 10,000 tokens and certificates of 100 bytes.
const maxFile = 1 << 20

func readAccess(path string) (*Access, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAccess, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrAccess, err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("%w: %s: more than %d bytes: an access file has at most that many", ErrAccess, path, maxFile)
	}
	return Parse(path, data)
}
