package policy

import (
	"net/netip"
	"slices"

	"op25b/internal/pipeline"
	"op25b/internal/strict"
)

// An Inventory lists the switches, their ports, and the lines behind the ports.
type Inventory struct {
	Switches []Switch `yaml:"switches"`

	src strict.Document
}

// A Switch is one P4Runtime device.
type Switch struct {
	Name string `yaml:"name"`
	// DeviceID is P4Runtime's device_id. It must not be 0 and must be unique in the inventory.
	DeviceID DeviceID `yaml:"deviceID"`
	// P4Runtime and GNMI are the host:port addresses of the switch's P4Runtime and gNMI servers.
	P4Runtime string `yaml:"p4runtime"`
	GNMI      string `yaml:"gnmi"`
	// TLS contains the TLS options of the connection to the P4Runtime server. The zero value means plain text.
	TLS TLS `yaml:"tls,omitempty"`
	// RejectFrom lists the source addresses of the ICMP errors that the action Reject sends: at most one IPv4 and one IPv6 address. Rejected
	// packets of a family without an address are dropped without an ICMP error.
	RejectFrom []netip.Addr `yaml:"rejectFrom,omitempty"`
	// Site, Model and Labels describe the switch for the rings of a rollout. No entry depends on them. Site is the place of the switch, and Model
	// its make. They may be empty.
	Site   string   `yaml:"site,omitempty"`
	Model  string   `yaml:"model,omitempty"`
	Labels []string `yaml:"labels,omitempty"` // at most MaxLabels words, each once
	// Foreign specifies whether foreign entries, which no controller of this store wrote, are removed or kept.
	Foreign ForeignTreatment `yaml:"foreign,omitempty"`
	// Identify is the RADIUS attribute by which an access server names the lines of this switch. If it is empty, the switch's lines have no
	// sessions.
	Identify Identify `yaml:"identify,omitempty"`
	// AddressLeases specifies that the switch is in front of own mail servers, and has the leases of addresses outside all lines.
	AddressLeases bool   `yaml:"addressLeases,omitempty"`
	Ports         []Port `yaml:"ports"`
	// Lines must not have more than MaxLines items. A line's counters are indexed by a number that compile.Number assigns to the line's name.
	Lines []Line `yaml:"lines,omitempty"`
}

// MaxLabels is the largest number of labels of a switch.
const MaxLabels = 16

// A DeviceID is P4Runtime's device_id.
type DeviceID uint64

// A ForeignTreatment specifies what a controller does with foreign entries. The zero value means RemoveForeign. Foreign rules are removed in
// either case, so that only the policy's rules are in force.
type ForeignTreatment string

// The treatments of foreign entries.
const (
	RemoveForeign ForeignTreatment = "remove"
	KeepForeign   ForeignTreatment = "keep" // keep and report foreign entries
)

// valid reports whether the treatment is empty or known.
func (f ForeignTreatment) valid() bool { return f == "" || f == RemoveForeign || f == KeepForeign }

// A Port is a port of a switch. Lines are behind access ports; servers and the rest of the network are behind network ports.
type Port struct {
	Number pipeline.Port     `yaml:"port"`
	Name   string            `yaml:"name"`
	Role   pipeline.PortRole `yaml:"role"`
	// MACs are the MAC addresses of the stations behind a network port. The stations behind an access port are listed in Line.MACs.
	MACs []pipeline.MAC `yaml:"macs,omitempty"`
}

// A Line is one subscriber's access line. A switch identifies the line by its port, VLANs and PPPoE session.
type Line struct {
	// Name is unique in the inventory. Exemptions refer to a line by its name.
	Name string `yaml:"name"`
	// Port is the name of an access port of the same switch.
	Port string `yaml:"port"`
	// VLAN is the VLAN id of the outer or only tag, or 0 if frames are untagged.
	VLAN pipeline.VID `yaml:"vlan,omitempty"`
	// InnerVLAN is the VLAN id of the second tag, or 0 if frames have no second tag. InnerVLAN requires VLAN.
	InnerVLAN pipeline.VID `yaml:"innerVLAN,omitempty"`
	// PPPoE is the id of the line's PPPoE session (RFC 2516), 1 to 65534. If PPPoE is 0, every frame with the line's port and VLANs belongs to
	// the line, unless the frame is in another line's PPPoE session.
	PPPoE pipeline.Session `yaml:"pppoe,omitempty"`
	// Group is the name of the line's line group in the policy.
	Group string         `yaml:"group"`
	MACs  []pipeline.MAC `yaml:"macs,omitempty"`
	// Addressing specifies whether the line keeps its prefixes. The default is LineGroup.Addressing.
	Addressing Addressing `yaml:"addressing,omitempty"`
	// Prefixes are the subscriber's addresses, which must not overlap another line's prefixes. Exemptions and source checks use them. A line
	// without prefixes and sessions can neither be exempt nor belong to a line group that checks sources.
	Prefixes []netip.Prefix `yaml:"prefixes,omitempty"`
	// Identity is the value of the attribute Switch.Identify that names this line, at most MaxIdentity bytes. The default is Name. A value
	// that is not printable UTF-8 is written as 0x and lower-case hexadecimal digits.
	Identity string `yaml:"identity,omitempty"`
}

// MaxIdentity is the largest length of a Line.Identity in bytes. It is the largest length of the value of a RADIUS attribute (RFC 2865
// section 5).
const MaxIdentity = 253

// MaxSessionPrefixes is the largest number of prefixes of one address family that a line has by its session. A line that has a delegated prefix
// and an address or prefix of its link has two.
const MaxSessionPrefixes = 2

// An Identify is the RADIUS attribute that names a line. Session ids do not name lines: they change with each connection.
type Identify string

// The attributes that can name a line.
const (
	IdentifyCircuitID      Identify = "circuit-id"         // Agent-Circuit-Id (RFC 4679 section 3.3.1)
	IdentifyRemoteID       Identify = "remote-id"          // Agent-Remote-Id (RFC 4679 section 3.3.2)
	IdentifyNASPortID      Identify = "nas-port-id"        // NAS-Port-Id (RFC 2869 section 5.17)
	IdentifyUserName       Identify = "user-name"          // User-Name (RFC 2865 section 5.1)
	IdentifyCallingStation Identify = "calling-station-id" // Calling-Station-Id (RFC 2865 section 5.31)
)

// valid reports whether the attribute is empty or known.
func (i Identify) valid() bool { return i == "" || slices.Contains(Identifiers(), i) }

// Identifiers returns the attributes that can name a line, in the order in which messages list them.
func Identifiers() []Identify {
	return []Identify{IdentifyCircuitID, IdentifyRemoteID, IdentifyNASPortID, IdentifyUserName, IdentifyCallingStation}
}

// identity returns the value of Switch.Identify that names the line.
func (l Line) identity() string {
	if l.Identity == "" {
		return l.Name
	}
	return l.Identity
}

// SessionIdentity returns the value of sw.Identify that names a line of the switch sw, and true if the line has sessions. A line has sessions
// if its addresses are dynamic and its switch identifies lines. g is the line's group.
func (l Line) SessionIdentity(sw *Switch, g *LineGroup) (value string, ok bool) {
	if sw.Identify == "" || l.addressing(g) != Dynamic {
		return "", false
	}
	return l.identity(), true
}

// TLS contains the options of a TLS connection (RFC 8446) to a switch. All fields except ServerName are paths of PEM files on the controller's
// host. This package does not read the files.
type TLS struct {
	// CA is the file with the certificates of the authorities that verify the switch's certificate. CA is required if any other option is set.
	CA string `yaml:"ca"`
	// Cert and Key are the files with the controller's client certificate and its private key, for a switch that requires a client certificate.
	// Either both or neither must be set.
	Cert string `yaml:"cert,omitempty"`
	Key  string `yaml:"key,omitempty"`
	// ServerName is the host name that the switch's certificate must contain. The default is the host of the P4Runtime or gNMI address.
	ServerName string `yaml:"serverName,omitempty"`
}

// Used reports whether any TLS option is set.
func (t TLS) Used() bool { return t != (TLS{}) }

// addressing returns the line's own addressing, or the addressing of its group g if the line has none.
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
