// Package expiry exports the times at which a controller's certificates end.
//
// The metric has a label for the use of the certificate and a label for the switch. No label contains a path or a name from a certificate.
package expiry

import (
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"op25b/internal/tlsfiles"
)

// These are the services whose certificates are watched. The value of the label use is the service followed by -server, -client or -ca, such as
// gnmi-ca.
const (
	API       = "api"
	Etcd      = "etcd"
	Peer      = "peer" // the northbound gNMI of the other controllers
	P4Runtime = "p4runtime"
	GNMI      = "gnmi"
)

// A key identifies a connection or listener. name is the name of the switch, and is empty for API, Etcd and Peer.
type key struct{ service, name string }

// Certificates has the certificates that a controller uses, and the certificates that the switches present. A nil *Certificates is valid and
// watches nothing. Its methods may be called from several goroutines.
type Certificates struct {
	desc *prometheus.Desc

	mu   sync.Mutex // guards all following fields
	ends map[key]*tlsfiles.Ends
}

var _ prometheus.Collector = (*Certificates)(nil)

// New returns an empty set of certificates.
func New() *Certificates {
	return &Certificates{
		desc: prometheus.NewDesc("op25b_certificate_not_after_timestamp_seconds",
			"When the first certificate of a use ends, in seconds since 1970.", []string{"use", "switch"}, nil),
		ends: make(map[key]*tlsfiles.Ends),
	}
}

// Of returns the Ends for a service of a switch, for use in tlsfiles.Files. The switch's name is empty for API, Etcd and Peer. Of returns the
// same value until Remove is called.
func (c *Certificates) Of(service, switchName string) *tlsfiles.Ends {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := key{service, switchName}
	if c.ends[k] == nil {
		c.ends[k] = new(tlsfiles.Ends)
	}
	return c.ends[k]
}

// Remove removes the series of a switch's service.
func (c *Certificates) Remove(service, switchName string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ends, key{service, switchName})
}

// Describe sends the description of the metric.
func (c *Certificates) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

// Collect sends the metric of every certificate. It reads files again that have changed.
func (c *Certificates) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	all := maps.Clone(c.ends)
	c.mu.Unlock()
	for k, e := range all {
		for _, end := range k.ends(e) {
			out <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(end.At.Unix()), end.Use, k.name)
		}
	}
}

// An End is the time at which the certificates of a use end. Use is a value of the label use, such as p4runtime-client.
type End struct {
	Use string
	At  time.Time
}

// OfSwitch returns the ends of the certificates of the sessions with a switch, in the order of P4Runtime and gNMI. It reads files again that have
// changed. A session without TLS has none.
func (c *Certificates) OfSwitch(name string) (all []End) {
	if c == nil {
		return nil
	}
	for _, service := range []string{P4Runtime, GNMI} {
		k := key{service, name}
		c.mu.Lock()
		e := c.ends[k]
		c.mu.Unlock()
		if e != nil {
			all = append(all, k.ends(e)...)
		}
	}
	return all
}

// ends returns the ends that are known.
func (k key) ends(e *tlsfiles.Ends) (all []End) {
	add := func(role string, end time.Time) {
		if !end.IsZero() {
			all = append(all, End{k.service + "-" + role, end})
		}
	}
	own := "client"
	if k.service == API {
		own = "server"
	} else if k.service != Etcd && k.service != Peer { // each member of the cluster has a certificate of its own
		add("server", e.Server())
	}
	add(own, e.Own())
	add("ca", e.CA(time.Now()))
	return all
}
