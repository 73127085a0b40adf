package mailserver

import (
	"errors"
	"net/http"
	"net/netip"

	"op25b/internal/clientfile"
)

// Kind is the document kind of a file of mail servers.
const Kind = "LeaseClients"

// ErrClients is returned if the file of mail servers cannot be used.
var ErrClients = errors.New("lease clients")

// maxSecret is the largest size of weakforced's secret in bytes.
const maxSecret = 1024

// Clients are the mail servers that may report logins. A client without a secret, with which weakforced signs its reports, can only use Dovecot's
// protocol. Their YAML document is
//
//	apiVersion: op25b/v1
//	kind: LeaseClients
//	clients:
//	  - {name: pop-1, sha256: 9f86d08...}
//	  - {name: pop-2, commonName: pop-2.isp.example}
//	  - {name: wforce-1, sha256: 60303ae..., secretFile: wforce-1.secret}
type Clients = clientfile.Reporters

// OpenClients reads a file of mail servers and the files of their secrets. warnings are about files that other users of the host can read or write.
// The error wraps ErrClients, and strict.Faults for faults in the file.
func OpenClients(path string) (c *Clients, warnings []string, err error) {
	return clientfile.OpenReporters(path, clientfile.Form{
		Kind: Kind, Title: "file of lease clients", Err: ErrClients, Client: "mail server",
		Secret: "secret of weakforced", Give: "give the file with weakforced's secret", MaxSecret: maxSecret,
	}, false)
}

// local is the client without credentials on this host.
var local = &clientfile.Reporter{Name: "this host"}

// identify returns the client that sent a request, by its header and its connection only. It returns nil for a stranger. Without a file of clients,
// the programs of this host are known, unless a proxy forwards the request.
func identify(c *Clients, r *http.Request) *clientfile.Reporter {
	if c != nil {
		return c.Identify(r)
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil && at.Addr().Unmap().IsLoopback() && r.Header.Get("Forwarded") == "" && r.Header.Get("X-Forwarded-For") == "" {
		return local
	}
	return nil
}
