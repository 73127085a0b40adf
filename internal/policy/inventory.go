package policy

import (
	"net/netip"

	"op25b/internal/pipeline"
)

// An Inventory says which switches there are, and which lines are behind which of their ports.
type Inventory struct {
	Switches []Switch `yaml:"switches"`

	src source
}

// A Switch is one P4Runtime device.
type Switch struct {
	Name string `yaml:"name"`
	// DeviceID is P4Runtime's device_id: not 0, and no other switch's.
	DeviceID uint64 `yaml:"deviceID"`
	// P4Runtime and GNMI are the host:port that the switch serves each on.
	P4Runtime string `yaml:"p4runtime"`
	GNMI      string `yaml:"gnmi"`
	// RejectFrom are the addresses that ICMP errors of the action Reject come from: at most one IPv4 and one IPv6 address of a host. A
	// packet of a family without one is dropped in silence.
	RejectFrom []netip.Addr `yaml:"rejectFrom,omitempty"`
	Ports      []Port       `yaml:"ports"`
	// Lines are numbered from 1 in the order of the list; the number is the index of the line's counters. There are at most MaxLines.
	Lines []Line `yaml:"lines,omitempty"`
}

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
	// Prefixes are the addresses that the subscriber was given. Exemptions and source checks go by them: without any, the line cannot be
	// exempt, nor be in a line group that checks sources. They never overlap another line's.
	Prefixes []netip.Prefix `yaml:"prefixes,omitempty"`
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

// roleName is how the documents write a role.
func roleName(r pipeline.Role) string {
	if r == pipeline.Network {
		return "network"
	}
	return "access"
}
