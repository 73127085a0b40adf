package mailserver

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"

	"op25b/internal/auth"
	"op25b/internal/readfile"
	"op25b/internal/secretfile"
	"op25b/internal/strict"
)

// Kind is the document kind of a file of mail servers.
const Kind = "LeaseClients"

// ErrClients is returned if the file of mail servers cannot be used.
var ErrClients = errors.New("lease clients")

// Limits of the file of mail servers.
const (
	maxFile    = 1 << 20
	maxClients = 1000
	// The sizes of weakforced's secret in bytes.
	minSecret, maxSecret = 16, 1024
	maxClientName        = 64
)

// A Client is a mail server that may report logins.
type Client struct {
	// Name is the client's name in the audit chain and in logs.
	Name string `yaml:"name"`
	// SHA256 is the hash of the client's token in hexadecimal, as in an access file. CommonName is the common name of the client's certificate.
	// Exactly one of them is set.
	SHA256     string `yaml:"sha256,omitempty"`
	CommonName string `yaml:"commonName,omitempty"`
	// SecretFile is the path of the file with the secret with which weakforced signs its reports. Without it, the client can only use Dovecot's
	// protocol. A relative path begins at the directory of the file of clients.
	SecretFile string `yaml:"secretFile,omitempty"`

	hash   []byte
	secret []byte
}

// Clients are the mail servers that may report logins. Their YAML document is
//
//	apiVersion: op25b/v1
//	kind: LeaseClients
//	clients:
//	  - {name: pop-1, sha256: 9f86d08...}
//	  - {name: pop-2, commonName: pop-2.isp.example}
//	  - {name: wforce-1, sha256: 60303ae..., secretFile: wforce-1.secret}
type Clients struct {
	List []Client `yaml:"clients"`
}

// OpenClients reads a file of mail servers and the files of their secrets. warnings are about files that other users of the host can read or write.
// The error wraps ErrClients, and strict.Faults for faults in the file.
func OpenClients(path string) (c *Clients, warnings []string, err error) {
	data, err := readfile.Bounded(path, maxFile)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrClients, err)
	}
	c = &Clients{}
	doc, err := strict.Decode(strict.File{Name: path, Data: data}, Kind, c)
	if err == nil {
		v := validator{doc: doc, dir: filepath.Dir(path)}
		err = v.Run(func() { v.clients(c) })
		warnings = v.warnings
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrClients, err)
	}
	if text := secretfile.Writable("file of lease clients", path); text != "" {
		warnings = append(warnings, text)
	}
	return c, warnings, nil
}

// A validator checks a file of clients and reads their secrets.
type validator struct {
	strict.Collector
	doc      strict.Document
	dir      string
	warnings []string
}

func (v *validator) fault(path, what, way string) {
	v.Add(strict.Fault{Pos: v.doc.At(path), Path: path, What: what, Way: way, Kind: ErrClients})
}

func (v *validator) clients(c *Clients) {
	switch n := len(c.List); {
	case n == 0:
		v.fault("clients", "there are no clients", "give at least one mail server")
	case n > maxClients:
		v.fault("clients", fmt.Sprintf("there are %d clients", n), fmt.Sprintf("must be at most %d", maxClients))
		return
	}
	names, credentials := make(map[string]bool), make(map[string]string)
	for i := range c.List {
		x := &c.List[i]
		path := fmt.Sprintf("clients[%d]", i)
		switch {
		case x.Name == "" || len(x.Name) > maxClientName:
			v.fault(path+".name", fmt.Sprintf("the name of a client has %d bytes", len(x.Name)), fmt.Sprintf("must be 1 to %d", maxClientName))
		case names[x.Name]:
			v.fault(path+".name", fmt.Sprintf("client %q is listed twice", x.Name), "give each its own name")
		}
		names[x.Name] = true
		if (x.SHA256 == "") == (x.CommonName == "") {
			v.fault(path, fmt.Sprintf("client %q has neither a token nor a certificate, or both", x.Name), "must have either a sha256 or a commonName")
			continue
		}
		if first, twice := credentials[x.SHA256+"/"+x.CommonName]; twice {
			v.fault(path, fmt.Sprintf("client %q has the credentials of client %q", x.Name, first), "give each its own")
		}
		credentials[x.SHA256+"/"+x.CommonName] = x.Name
		var err error
		if x.hash, err = hex.DecodeString(x.SHA256); x.SHA256 != "" && (err != nil || len(x.hash) != sha256.Size) {
			v.fault(path+".sha256", fmt.Sprintf("sha256 of client %q is not a hash", x.Name), "must be 64 hexadecimal digits, as printed by op25b token and sha256sum, not the token itself")
		}
		v.secret(x, path+".secretFile")
	}
}

func (v *validator) secret(x *Client, path string) {
	if x.SecretFile == "" {
		return
	}
	file := x.SecretFile
	if !filepath.IsAbs(file) {
		file = filepath.Join(v.dir, file)
	}
	data, err := readfile.Bounded(file, maxSecret+2)
	secret := bytes.TrimRight(data, "\r\n")
	switch {
	case err != nil:
		v.fault(path, fmt.Sprintf("the secret of client %q cannot be read: %v", x.Name, err), "give the file with weakforced's secret")
	case len(secret) < minSecret || len(secret) > maxSecret:
		v.fault(path, fmt.Sprintf("the secret of client %q has %d bytes", x.Name, len(secret)), fmt.Sprintf("must be %d to %d", minSecret, maxSecret))
	default:
		x.secret = secret
	}
	if text := secretfile.Readable("secret of weakforced", file); text != "" {
		v.warnings = append(v.warnings, text)
	}
}

// local is the client without credentials on this host.
var local = &Client{Name: "this host"}

// identify returns the client that sent a request, by its header and its connection only. It returns nil for a stranger. Without a file of clients,
// the programs of this host are known, unless a proxy forwards the request.
func (c *Clients) identify(r *http.Request) *Client {
	if c == nil {
		at, err := netip.ParseAddrPort(r.RemoteAddr)
		if err == nil && at.Addr().Unmap().IsLoopback() && r.Header.Get("Forwarded") == "" && r.Header.Get("X-Forwarded-For") == "" {
			return local
		}
		return nil
	}
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

// tokenOf returns the token of a request: a bearer token (RFC 6750), or the password of RFC 7617, which weakforced's webhooks use. It returns the
// empty string if the request has neither.
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

// byToken returns the client with a token. The duration of the search does not depend on the token.
func (c *Clients) byToken(token string) (found *Client) {
	sum := sha256.Sum256([]byte(token))
	for i := range c.List {
		if subtle.ConstantTimeCompare(sum[:], c.List[i].hash) == 1 {
			found = &c.List[i]
		}
	}
	return found
}
