package mailserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"op25b/internal/auth"
	"op25b/internal/clientfile"
)

// Kind is the document kind of a file of mail servers.
const Kind = "LeaseClients"

// ErrClients is returned if the file of mail servers cannot be used.
var ErrClients = errors.New("lease clients")

// maxSecret is the largest size of weakforced's secret in bytes.
const maxSecret = 1024

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
	c = &Clients{}
	form := clientfile.Form{
		Kind: Kind, Title: "file of lease clients", Err: ErrClients, Client: "mail server",
		Secret: "secret of weakforced", Give: "give the file with weakforced's secret", MaxSecret: maxSecret,
	}
	if warnings, err = clientfile.Read(path, form, c, c.check); err != nil {
		return nil, nil, err
	}
	return c, warnings, nil
}

// check checks the clients, and reads their secrets.
func (c *Clients) check(r *clientfile.Reader) {
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
		if x.SecretFile != "" {
			x.secret = r.Secret(x.Name, x.SecretFile, path+".secretFile")
		}
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
