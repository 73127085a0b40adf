package policy

import (
	"net/netip"

	"op25b/internal/pipeline"
	"op25b/internal/strict"
)

// An Inventory has the switches, their ports, and the lines behind them.
type Inventory struct {
	Switches []Switch `yaml:"switches"`

	src strict.Document
}

// A Switch is one P4Runtime device.
type Switch struct {
	Name string `yaml:"name"`
	// DeviceID is P4Runtime's device_id: not 0, and unique in the inventory.
	DeviceID DeviceID `yaml:"deviceID"`
	// P4Runtime and GNMI are the host:port addresses of the switch's P4Runtime and gNMI servers.
	P4Runtime string `yaml:"p4runtime"`
	GNMI      string `yaml:"gnmi"`
	// TLS has the TLS options of the connection to P4Runtime. The zero value means plain text.
	TLS TLS `yaml:"tls,omitempty"`
	// RejectFrom has the source addresses of the ICMP errors that the action Reject sends: at most one IPv4 and one IPv6 address. If a
	// family has no address, rejected packets of that family are dropped without an ICMP error.
	RejectFrom []netip.Addr `yaml:"rejectFrom,omitempty"`
	// Foreign says whether entries that no controller of this store wrote are removed or kept.
	Foreign ForeignTreatment `yaml:"foreign,omitempty"`
	Ports   []Port           `yaml:"ports"`
	// Lines has at most MaxLines lines. The index of a line's counters depends on its name: see compile.Number.
	Lines []Line `yaml:"lines,omitempty"`
}

// A DeviceID is P4Runtime's device_id.
type DeviceID uint64

// A ForeignTreatment says what a controller does with foreign entries. The zero value means RemoveForeign. Foreign rules are always
// removed, so that no rules except the policy's are in force.
type ForeignTreatment string

// The treatments of foreign entries.
const (
	RemoveForeign ForeignTreatment = "remove"
	KeepForeign   ForeignTreatment = "keep" // keep and report them
)

// valid reports whether the treatment is empty or known.
func (f ForeignTreatment) valid() bool { return f == "" || f == RemoveForeign || f == KeepForeign }

// A Port is a port of a switch. An access port carries lines; a network port leads to the servers and the rest of the network.
type Port struct {
	Number pipeline.Port     `yaml:"port"`
	Name   string            `yaml:"name"`
	Role   pipeline.PortRole `yaml:"role"`
	// MACs are the MAC addresses of the stations behind a network port. Stations behind an access port are listed in Line.MACs.
	MACs []pipeline.MAC `yaml:"macs,omitempty"`
}

// A Line is one subscriber's access line. Its port, VLANs and PPPoE session identify it on its switch.
type Line struct {
	// Name is unique in the inventory. Exemptions refer to it.
	Name string `yaml:"name"`
	// Port is the name of an access port of the same switch.
	Port string `yaml:"port"`
	// VLAN is the VLAN id of the outer or only tag, or 0 if frames are untagged.
	VLAN pipeline.VID `yaml:"vlan,omitempty"`
	// InnerVLAN is the VLAN id of the second tag, or 0 if frames have no second tag. InnerVLAN requires VLAN.
	InnerVLAN pipeline.VID `yaml:"innerVLAN,omitempty"`
	// PPPoE is the id of the line's PPPoE session (RFC 2516), 1 to 65534. If PPPoE is 0, all frames with the line's port and VLANs belong
	// to the line, except frames in the PPPoE sessions of other lines.
	PPPoE pipeline.Session `yaml:"pppoe,omitempty"`
	// Group is a line group of the policy.
	Group string         `yaml:"group"`
	MACs  []pipeline.MAC `yaml:"macs,omitempty"`
	// Addressing says whether the line keeps its prefixes. The default is LineGroup.Addressing.
	Addressing Addressing `yaml:"addressing,omitempty"`
	// Prefixes are the subscriber's addresses. Exemptions and source checks depend on them: a line without prefixes can neither be exempt nor
	// be in a line group that checks sources. They must not overlap another line's prefixes.
	Prefixes []netip.Prefix `yaml:"prefixes,omitempty"`
}

// TLS has the options of TLS (RFC 8446) to a switch. All except ServerName are paths of PEM files on the controller's host. This package does not
// read them.
type TLS struct {
	// CA has the certificates of the authorities that verify the switch's certificate. TLS requires it.
	CA string `yaml:"ca"`
	// Cert and Key are the controller's client certificate and its private key, for a switch that requires a client certificate. Set both
	// or neither.
	Cert string `yaml:"cert,omitempty"`
	Key  string `yaml:"key,omitempty"`
	// ServerName is the name in the switch's certificate. The default is the host of its P4Runtime address.
	ServerName string `yaml:"serverName,omitempty"`
}

// Used reports whether TLS is used.
func (t TLS) Used() bool { return t != (TLS{}) }

// addressing returns the addressing of a line in a group.
func (l Line) addressing(g *LineGroup) Addressing {
	if l.Addressing == "" && g != nil {
		return g.Addressing
	}
	return l.Addressing
}

// Switch returns the switch with a name.
func (inv *Inventory) Switch(name string) (sw *Switch, ok bool) {
	for i := range inv.Switches {
		if inv.Switches[i].Name == name {
			return &inv.Switches[i], true
		}
	}
	return nil, false
}

// Port returns the port with a name.
func (s *Switch) Port(name string) (p *Port, ok bool) {
	for i := range s.Ports {
		if s.Ports[i].Name == name {
			return &s.Ports[i], true
		}
	}
	return nil, false
}
