package accounting

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"op25b/internal/clientfile"
	"op25b/internal/strict"
	"op25b/internal/subscriber"
)

// Kind is the document kind of a file of RADIUS clients.
const Kind = "RadiusClients"

// ErrClients is returned if the file of RADIUS clients cannot be used.
var ErrClients = errors.New("RADIUS clients")

// maxSecret is the largest size of a secret in bytes. The smallest is 16, which RFC 2865 section 3 recommends, because a shorter one can be found
// from a recorded packet.
const maxSecret = 128

// A Client is an access server that may send accounting requests.
type Client struct {
	// Name is the client's name in the sessions.
	Name string `yaml:"name"`
	// Address is the address from which the client sends.
	Address netip.Addr `yaml:"address"`
	// SecretFile is the path of the file with the shared secret. A relative path begins at the directory of the file of clients.
	SecretFile string `yaml:"secretFile"`
	// Interim is the time between two interim updates of the client. The default is subscriber.DefaultInterval.
	Interim Interim `yaml:"interim,omitempty"`
	// Switches are the switches whose lines the client may name; empty means all.
	Switches []string `yaml:"switches,omitempty"`

	secret []byte
}

// An Interim is a time between interim updates, from one minute to one day.
type Interim time.Duration

// Accepts describes a time between interim updates.
func (Interim) Accepts() string { return "a time from 1m to 24h, such as 10m" }

// Parse parses a time between interim updates.
func (i *Interim) Parse(text string) error {
	d, err := time.ParseDuration(text)
	if err == nil && (d < subscriber.MinInterval || d > subscriber.MaxInterval) {
		err = errors.New("out of range")
	}
	*i = Interim(d)
	return err
}

var _ strict.Scalar = (*Interim)(nil)

// Clients are the access servers that may send accounting requests. Their YAML document is
//
//	apiVersion: op25b/v1
//	kind: RadiusClients
//	clients:
//	  - {name: bng-1, address: 192.0.2.1, secretFile: bng-1.secret, interim: 10m, switches: [edge-1]}
type Clients struct {
	List []Client `yaml:"clients"`

	by map[netip.Addr]*Client
}

// OpenClients reads a file of RADIUS clients and the files of their secrets. warnings are about files that other users of the host can read or
// write. The error wraps ErrClients, and strict.Faults for faults in the file.
func OpenClients(path string) (c *Clients, warnings []string, err error) {
	c = &Clients{by: make(map[netip.Addr]*Client)}
	form := clientfile.Form{
		Kind: Kind, Title: "file of RADIUS clients", Err: ErrClients, Client: "access server",
		Secret: "RADIUS secret", Give: "give the file with the shared secret", MaxSecret: maxSecret,
	}
	if warnings, err = clientfile.Read(path, form, c, c.check); err != nil {
		return nil, nil, err
	}
	return c, warnings, nil
}

// check checks the clients, reads their secrets and fills in what the document leaves out.
func (c *Clients) check(r *clientfile.Reader) {
	if !r.Count(len(c.List)) {
		return
	}
	for i := range c.List {
		client := &c.List[i]
		path := r.Name(i, client.Name)
		client.Address = client.Address.Unmap()
		if first := c.by[client.Address]; first != nil {
			r.Fault(path+".address", fmt.Sprintf("address %v of client %q is client %q's", client.Address, client.Name, first.Name), "give each its own")
		}
		c.by[client.Address] = client
		if client.Interim == 0 {
			client.Interim = Interim(subscriber.DefaultInterval)
		}
		client.secret = r.Secret(client.Name, client.SecretFile, path+".secretFile")
	}
}
