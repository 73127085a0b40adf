package accounting

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"op25b/internal/readfile"
	"op25b/internal/secretfile"
	"op25b/internal/strict"
	"op25b/internal/subscriber"
)

// Kind is the document kind of a file of RADIUS clients.
const Kind = "RadiusClients"

// ErrClients is returned if the file of RADIUS clients cannot be used.
var ErrClients = errors.New("RADIUS clients")

// Limits of the file of RADIUS clients.
const (
	maxFile    = 1 << 20
	maxClients = 1000
	// The sizes of a secret in bytes. RFC 2865 section 3 recommends 16 at least, because a shorter one can be found from a recorded packet.
	minSecret, maxSecret = 16, 128
	maxClientName        = 64
)

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
	data, err := readfile.Bounded(path, maxFile)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrClients, err)
	}
	c = &Clients{by: make(map[netip.Addr]*Client)}
	doc, err := strict.Decode(strict.File{Name: path, Data: data}, Kind, c)
	if err == nil {
		v := validator{doc: doc, dir: filepath.Dir(path)}
		err = v.Run(func() { v.clients(c) })
		warnings = v.warnings
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrClients, err)
	}
	if text := secretfile.Writable("file of RADIUS clients", path); text != "" {
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
		v.fault("clients", "there are no clients", "give at least one access server")
	case n > maxClients:
		v.fault("clients", fmt.Sprintf("there are %d clients", n), fmt.Sprintf("must be at most %d", maxClients))
		return
	}
	names := make(map[string]bool)
	for i := range c.List {
		client := &c.List[i]
		path := fmt.Sprintf("clients[%d]", i)
		switch {
		case client.Name == "" || len(client.Name) > maxClientName:
			v.fault(path+".name", fmt.Sprintf("the name of a client has %d bytes", len(client.Name)), fmt.Sprintf("must be 1 to %d", maxClientName))
		case names[client.Name]:
			v.fault(path+".name", fmt.Sprintf("client %q is listed twice", client.Name), "give each its own name")
		}
		names[client.Name] = true
		client.Address = client.Address.Unmap()
		if first := c.by[client.Address]; first != nil {
			v.fault(path+".address", fmt.Sprintf("address %v of client %q is client %q's", client.Address, client.Name, first.Name), "give each its own")
		}
		c.by[client.Address] = client
		if client.Interim == 0 {
			client.Interim = Interim(subscriber.DefaultInterval)
		}
		v.secret(client, path+".secretFile")
	}
}

func (v *validator) secret(client *Client, path string) {
	file := client.SecretFile
	if !filepath.IsAbs(file) {
		file = filepath.Join(v.dir, file)
	}
	data, err := readfile.Bounded(file, maxSecret+2)
	secret := bytes.TrimRight(data, "\r\n")
	switch {
	case err != nil:
		v.fault(path, fmt.Sprintf("the secret of client %q cannot be read: %v", client.Name, err), "give the file with the shared secret")
	case len(secret) < minSecret || len(secret) > maxSecret:
		v.fault(path, fmt.Sprintf("the secret of client %q has %d bytes", client.Name, len(secret)), fmt.Sprintf("must be %d to %d", minSecret, maxSecret))
	default:
		client.secret = secret
	}
	if text := secretfile.Readable("RADIUS secret", file); text != "" {
		v.warnings = append(v.warnings, text)
	}
}
