package clientfile

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"

	"op25b/internal/auth"
)

// A Reporter is a program of another host that reports over HTTP.
type Reporter struct {
	// Name is the reporter's name in the audit chain, in metrics and in logs.
	Name string `yaml:"name"`
	// SHA256 is the hash of the reporter's token in hexadecimal, as in an access file. CommonName is the common name of its certificate. Exactly one
	// of them is set.
	SHA256     string `yaml:"sha256,omitempty"`
	CommonName string `yaml:"commonName,omitempty"`
	// SecretFile is the path of the file with the secret with which the reporter signs its reports. A relative path begins at the directory of the
	// file of reporters.
	SecretFile string `yaml:"secretFile,omitempty"`

	hash   []byte
	secret []byte
}

// Secret returns the secret with which the reporter signs its reports, or nil if it has none.
func (r *Reporter) Secret() []byte { return r.secret }

// Reporters are the programs that may report.
type Reporters struct {
	List []Reporter `yaml:"clients"`
}

// OpenReporters reads a document of reporters and the files of their secrets. signed means that each reporter must have a secret. For warnings and
// the error, see Read.
func OpenReporters(path string, form Form, signed bool) (all *Reporters, warnings []string, err error) {
	all = &Reporters{}
	if warnings, err = Read(path, form, all, func(r *Reader) { all.check(r, signed) }); err != nil {
		return nil, nil, err
	}
	return all, warnings, nil
}

// check checks the reporters, and reads their secrets.
func (c *Reporters) check(r *Reader, signed bool) {
	if !r.Count(len(c.List)) {
		return
	}
	credentials := make(map[string]string)
	for i := range c.List {
		x := &c.List[i]
		path := r.Name(i, x.Name)
		if (x.SHA256 == "") == (x.CommonName == "") {
			r.Fault(path, fmt.Sprintf("client %q has neither a token nor a certificate, or both", x.Name), "must have either a sha256 or a commonName")
			continue
		}
		if first, twice := credentials[x.SHA256+"/"+x.CommonName]; twice {
			r.Fault(path, fmt.Sprintf("client %q has the credentials of client %q", x.Name, first), "give each its own")
		}
		credentials[x.SHA256+"/"+x.CommonName] = x.Name
		var err error
		if x.hash, err = hex.DecodeString(x.SHA256); x.SHA256 != "" && (err != nil || len(x.hash) != sha256.Size) {
			r.Fault(path+".sha256", fmt.Sprintf("sha256 of client %q is not a hash", x.Name), "must be 64 hexadecimal digits, as printed by op25b token and sha256sum, not the token itself")
		}
		switch {
		case x.SecretFile != "":
			x.secret = r.Secret(x.Name, x.SecretFile, path+".secretFile")
		case signed:
			r.Fault(path, fmt.Sprintf("client %q has no secretFile", x.Name), r.form.Give)
		}
	}
}

// Identify returns the reporter that sent a request, by its header and its connection only. It returns nil for a stranger.
func (c *Reporters) Identify(r *http.Request) *Reporter {
	if token := tokenOf(r); token != "" {
		return c.byToken(token)
	}
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	for i := range c.List {
		if name := c.List[i].CommonName; name != "" && name == r.TLS.PeerCertificates[0].Subject.CommonName {
			return &c.List[i]
		}
	}
	return nil
}

// Names returns the names of the reporters, in the order of the document.
func (c *Reporters) Names() []string {
	names := make([]string, len(c.List))
	for i := range c.List {
		names[i] = c.List[i].Name
	}
	return names
}

// tokenOf returns the token of a request: a bearer token (RFC 6750), or the password of RFC 7617, which the webhooks of many programs use. It returns
// the empty string if the request has neither.
func tokenOf(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	token, _, err := auth.Bearer(r.Header.Get("Authorization"))
	if err != nil {
		return ""
	}
	return token
}

// byToken returns the reporter with a token. The duration of the search does not depend on the token.
func (c *Reporters) byToken(token string) (found *Reporter) {
	sum := sha256.Sum256([]byte(token))
	for i := range c.List {
		if subtle.ConstantTimeCompare(sum[:], c.List[i].hash) == 1 {
			found = &c.List[i]
		}
	}
	return found
}
