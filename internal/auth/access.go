package auth

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/url"
	"time"

	"op25b/internal/readfile"
	"op25b/internal/strict"
)

// Kind is the document kind of an access file.
const Kind = "Access"

// Grants maps tokens, client certificates and groups of an OpenID Provider to roles. Its YAML document is
//
//	apiVersion: op25b/v1
//	kind: Access
//	tokens:
//	  - {name: noc-web, role: operator, sha256: 9f86d08..., expires: 2027-03-31T00:00:00+09:00}
//	  - {name: kea-1, role: reporter, sha256: 60303ae..., sources: [kea-1, kea-2], switches: [edge-1]}
//	certificates:
//	  - {uri: "spiffe://isp.example/noc/alice", role: admin}
//	  - {commonName: monitoring.isp.example, role: viewer}
//	oidc: # see OIDC
//	massChange: {secondPerson: true}
//	unproved: {secondPerson: true}
type Grants struct {
	Tokens       []Token       `yaml:"tokens,omitempty"`
	Certificates []Certificate `yaml:"certificates,omitempty"`
	OIDC         OIDC          `yaml:"oidc,omitempty"`
	MassChange   SecondPerson  `yaml:"massChange,omitempty"` // of changes that remove a large share of entries or lines
	Unproved     SecondPerson  `yaml:"unproved,omitempty"`   // of documents that are applied although they are not proved
}

// SecondPerson configures who may make changes of a kind.
type SecondPerson struct {
	// SecondPerson requires the approval of a person other than the one who applies the change.
	SecondPerson bool `yaml:"secondPerson,omitempty"`
}

// A Token is the entry of a bearer token (RFC 6750) in an access file.
type Token struct {
	// Name is the name of the token's holder in records and logs. Two tokens may have the same name, so that a new token can replace an
	// old one.
	Name string `yaml:"name"`
	Role Role   `yaml:"role"`
	// SHA256 is the hash of the token in hexadecimal. A plain hash reveals nothing about the token, because the token is long and random
	// (see NewToken).
	SHA256 string `yaml:"sha256"`
	// Expires is the time from which the token is refused, in RFC 3339 format. If it is empty, the token never expires.
	Expires string `yaml:"expires,omitempty"`
	// Sources and Switches confine a token of the role Reporter; see Reports. The default of Sources is Name.
	Sources  []string `yaml:"sources,omitempty"`
	Switches []string `yaml:"switches,omitempty"`

	hash    []byte
	expires time.Time
}

// A Certificate maps a name in client certificates to a role. TLS verifies the signatures of the certificates.
type Certificate struct {
	// URI is a subject alternative name of the certificate, such as a SPIFFE ID. CommonName is the common name of the certificate's
	// subject. Exactly one of the two fields is set.
	URI        string `yaml:"uri,omitempty"`
	CommonName string `yaml:"commonName,omitempty"`
	Role       Role   `yaml:"role"`
	// Sources and Switches confine a certificate of the role Reporter; see Reports. The default of Sources is the name in the certificate.
	Sources  []string `yaml:"sources,omitempty"`
	Switches []string `yaml:"switches,omitempty"`
}

// reports returns the confinement of a caller, or nil if its role has none.
func reports(role Role, name string, sources, switches []string) *Reports {
	if role != Reporter {
		return nil
	}
	if len(sources) == 0 {
		sources = []string{name}
	}
	return &Reports{sources, switches}
}

// Parse parses an access document. name is the file name to use in errors. If the document is invalid, Parse returns an error that wraps
// ErrAccess and a strict.Faults with the position and the valid values of every fault.
func Parse(name string, data []byte) (*Grants, error) {
	var a Grants
	doc, err := strict.Decode(strict.File{Name: name, Data: data}, Kind, &a)
	if err == nil {
		v := validator{doc: doc}
		err = v.Run(func() { v.access(&a) })
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAccess, err)
	}
	return &a, nil
}

// A validator checks an access document and decodes the hashes and expiry times of its tokens.
type validator struct {
	strict.Collector
	doc strict.Document
}

func (v *validator) fault(path, what, way string) {
	v.Add(strict.Fault{Pos: v.doc.At(path), Path: path, What: what, Way: way, Kind: ErrAccess})
}

func (v *validator) access(a *Grants) {
	if len(a.Tokens) == 0 && len(a.Certificates) == 0 && !a.OIDC.Used() {
		v.fault("", "the file has no token, certificate or oidc", "give at least one: otherwise every caller is refused")
	}
	if a.OIDC.Used() {
		v.oidc(&a.OIDC)
	}
	hashes := make(map[string]string)
	for i := range a.Tokens {
		t := &a.Tokens[i]
		path := fmt.Sprintf("tokens[%d]", i)
		v.token(t, path)
		if first, twice := hashes[string(t.hash)]; twice && len(t.hash) > 0 {
			v.fault(path+".sha256", fmt.Sprintf("token %q has the sha256 of another token", t.Name), "the first is at "+v.doc.Place(first)+": keep one")
			continue
		}
		hashes[string(t.hash)] = path
	}
	names := make(map[[2]string]string)
	for i, c := range a.Certificates {
		path := fmt.Sprintf("certificates[%d]", i)
		v.certificate(c, path)
		name := [2]string{c.URI, c.CommonName}
		if first, twice := names[name]; twice && name != [2]string{} {
			v.fault(path, fmt.Sprintf("certificate %q is listed twice", cmp.Or(c.URI, c.CommonName)), "the first is at "+v.doc.Place(first)+": keep one")
			continue
		}
		names[name] = path
	}
}

func (v *validator) token(t *Token, path string) {
	if t.Name == "" || len(t.Name) > maxWho {
		v.fault(strict.Join(path, "name"), fmt.Sprintf("token name %q has %d bytes", t.Name, len(t.Name)), fmt.Sprintf("must be 1 to %d", maxWho))
	}
	v.role(t.Role, path)
	v.reports(t.Role, t.Sources, t.Switches, path)
	var err error
	if t.hash, err = hex.DecodeString(t.SHA256); err != nil || len(t.hash) != 32 {
		t.hash = nil
		v.fault(strict.Join(path, "sha256"), fmt.Sprintf("sha256 of token %q is not a hash", t.Name), "must be 64 hexadecimal digits, as printed by sha256sum, not the token itself")
	}
	if t.Expires == "" {
		return
	}
	if t.expires, err = time.Parse(time.RFC3339, t.Expires); err != nil {
		v.fault(strict.Join(path, "expires"), fmt.Sprintf("token %q expires at %q", t.Name, t.Expires), "must be a time such as 2027-03-31T00:00:00+09:00")
	}
}

func (v *validator) certificate(c Certificate, path string) {
	switch u, err := url.Parse(c.URI); {
	case (c.URI == "") == (c.CommonName == ""):
		v.fault(path, "the certificate has no name, or two", "must have either a uri or a commonName")
	case len(c.URI)+len(c.CommonName) > maxWho:
		v.fault(path, fmt.Sprintf("the certificate has a name of %d bytes", len(c.URI)+len(c.CommonName)), fmt.Sprintf("must be at most %d", maxWho))
	case c.URI != "" && (err != nil || u.Scheme == ""):
		v.fault(strict.Join(path, "uri"), fmt.Sprintf("uri %q has no scheme", c.URI), "must have one, as in spiffe://isp.example/noc/alice")
	}
	v.role(c.Role, path)
	v.reports(c.Role, c.Sources, c.Switches, path)
}

// maxSources is the limit on the number of sources or switches of a reporter.
const maxSources = 1024

// reports checks the confinement of a reporter.
func (v *validator) reports(r Role, sources, switches []string, path string) {
	for _, list := range []struct {
		key   string
		names []string
	}{{"sources", sources}, {"switches", switches}} {
		switch n := len(list.names); {
		case n > 0 && r != Reporter:
			v.fault(strict.Join(path, list.key), fmt.Sprintf("%s with the role %s", list.key, r), "only the role reporter has "+list.key)
		case n > maxSources:
			v.fault(strict.Join(path, list.key), fmt.Sprintf("%d %s", n, list.key), fmt.Sprintf("must be at most %d", maxSources))
		}
		for i, name := range list.names {
			if name == "" || len(name) > maxTitle {
				v.fault(fmt.Sprintf("%s[%d]", strict.Join(path, list.key), i), fmt.Sprintf("the name %q has %d bytes", name, len(name)), fmt.Sprintf("must be 1 to %d", maxTitle))
			}
		}
	}
}

// role checks a role. Roles in documents have already been checked by the decoder, but the role of NewToken has not.
func (v *validator) role(r Role, path string) {
	if err := r.Parse(string(r)); err != nil {
		v.fault(strict.Join(path, "role"), fmt.Sprintf("unknown role %q", r), "must be "+r.Accepts())
	}
}

// maxWho is the limit on the length of a name, in bytes. The name is part of every audit record.
const maxWho = 256

// maxFile is the limit on the size of an access file, in bytes. It allows 10,000 tokens and certificates of 100 bytes each.
const maxFile = 1 << 20

func readAccess(path string) (*Grants, error) {
	data, err := readfile.Bounded(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAccess, err)
	}
	return Parse(path, data)
}
