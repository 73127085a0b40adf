package policy

import (
	"net/netip"

	"op25b/internal/pipeline"
	"op25b/internal/strict"
)

// An Inventory says which switches there are, and which lines are behind which of their ports.
type Inventory struct {
	Switches []Switch `yaml:"switches"`

	src strict.Document
}

// A Switch is one P4Runtime device.
type Switch struct {
	Name string `yaml:"name"`
	// DeviceID is P4Runtime's device_id: not 0, and no other switch's.
	DeviceID DeviceID `yaml:"deviceID"`
	// P4Runtime and GNMI are the host:port that the switch serves each on.
	P4Runtime string `yaml:"p4runtime"`
	GNMI      string `yaml:"gnmi"`
	// TLS is how P4Runtime is spoken to the switch. The zero value is in plaintext.
	TLS TLS `yaml:"tls,omitempty"`
	// RejectFrom are the addresses that ICMP errors of the action Reject come from: at most one IPv4 and one IPv6 address of a host. A
	// packet of a family without one is dropped in silence.
	RejectFrom []netip.Addr `yaml:"rejectFrom,omitempty"`
	// Foreign is what becomes of entries in the switch that no controller of this store has written; absent, they are removed.
	Foreign Foreign `yaml:"foreign,omitempty"`
	Ports   []Port  `yaml:"ports"`
	// Lines are at most MaxLines. The index of a line's counters goes by its name: see Number.
	Lines []Line `yaml:"lines,omitempty"`
}

// A DeviceID is P4Runtime's device_id.
type DeviceID uint64

// A Foreign is what becomes of foreign entries. The zero value is RemoveForeign. Rules are removed in any case: what is in force is what the
// policy says.
type Foreign string

// What may become of foreign entries.
const (
	RemoveForeign Foreign = "remove"
	KeepForeign   Foreign = "keep" // and reported
)

// valid reports whether it can stand so.
func (f Foreign) valid() bool { return f == "" || f == RemoveForeign || f == KeepForeign }

// A Port is a port of a switch. An access port carries lines; a network port leads to the servers and the rest of the network.
type Port struct {
	Number pipeline.Port `yaml:"port"`
	Name   string        `yaml:"name"`
	Role   pipeline.Role `yaml:"role"`
	// MACs are stations known to be behind a network port. Those behind an access port belong to their line.
	MACs []pipeline.MAC `yaml:"macs,omitempty"`
}

// A Line is one subscriber's access, known on its switch by port, VLANs and PPPoE session. No other line of the switch has the same four.
type Line struct {
	// Name is the line's, and no other's in the whole inventory: exemptions name it.
	Name string `yaml:"name"`
	// Port is the name of an access port of the same switch.
	Port string `yaml:"port"`
	// VLAN is the VLAN id of the outer or only tag, and 0 where frames are untagged.
	VLAN pipeline.VID `yaml:"vlan,omitempty"`
	// InnerVLAN is the VLAN id of the second tag, and 0 where there is none. It needs a VLAN around it.
	InnerVLAN pipeline.VID `yaml:"innerVLAN,omitempty"`
	// PPPoE is the id of the line's PPPoE session (RFC 2516), 1 to 65534. Without it the line is every frame of its port and VLANs, in a
	// session or not, but for the sessions of other lines.
	PPPoE pipeline.Session `yaml:"pppoe,omitempty"`
	// Group is a line group of the policy.
	Group string         `yaml:"group"`
	MACs  []pipeline.MAC `yaml:"macs,omitempty"`
	// Addressing is whether the line keeps its prefixes; absent, what its line group says. Static is for the line with an address of its own
	// in a group without.
	Addressing Addressing `yaml:"addressing,omitempty"`
	// Prefixes are the addresses that the subscriber was given. Exemptions and source checks go by them: without any, the line cannot be
	// exempt, nor be in a line group that checks sources. They never overlap another line's.
	Prefixes []netip.Prefix `yaml:"prefixes,omitempty"`
}

// TLS is what a controller needs to speak TLS (RFC 8446) to a switch. All but ServerName are paths of PEM files where the controller runs;
// nothing here reads them.
type TLS struct {
	// CA holds the certificates of the authorities that the switch's is checked against. There is no TLS without it: a certificate that
	// nobody checks protects nothing.
	CA string `yaml:"ca"`
	// Cert and Key are the controller's own, for a switch that asks for them. They stand together.
	Cert string `yaml:"cert,omitempty"`
	Key  string `yaml:"key,omitempty"`
	// ServerName is the name in the switch's certificate; absent, the host of its P4Runtime address.
	ServerName string `yaml:"serverName,omitempty"`
}

// Used reports whether TLS is spoken at all.
func (t TLS) Used() bool { return t != (TLS{}) }

// addressing is whether a line of a group keeps its addresses.
func (l Line) addressing(g *LineGroup) Addressing {
	if l.Addressing == "" && g != nil {
		return g.Addressing
	}
	return l.Addressing
}

// Switch returns the switch of a name.
func (inv *Inventory) Switch(name string) (sw *Switch, ok bool) {
	for i := range inv.Switches {
		if inv.Switches[i].Name == name {
			return &inv.Switches[i], true
		}
	}
	return nil, false
}

// Port returns the port of a name.
func (s *Switch) Port(name string) (p *Port, ok bool) {
	for i := range s.Ports {
		if s.Ports[i].Name == name {
			return &s.Ports[i], true
		}
	}
	return nil, false
}
