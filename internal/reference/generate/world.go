package generate

import (
	"fmt"
	"net/netip"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A World contains the properties of a switch that are needed to draw frames for its lines.
type World struct {
	access, network []uint16
	lines           []line
	stations        [][6]byte // the stations behind network ports
	remotes         family    // the prefixes of the remote classes
	nat64           []netip.Prefix
	exempt          family // the prefixes of lines and of exemptions, including expired ones
	services        []uint16
}

// A line describes a line for which frames can be drawn.
type line struct {
	port         uint16
	outer, inner uint16
	session      uint16
	macs         [][6]byte
	own          family
}

// A family contains prefixes, separated by IP version.
type family struct{ v4, v6 []netip.Prefix }

func (f *family) add(prefixes ...netip.Prefix) {
	for _, p := range prefixes {
		if p.Addr().Is4() {
			f.v4 = append(f.v4, p)
		} else {
			f.v6 = append(f.v6, p)
		}
	}
}

func (f *family) of(v6 bool) []netip.Prefix {
	if v6 {
		return f.v6
	}
	return f.v4
}

// NewWorld reads the documents of a switch. It panics if the switch is not in the inventory, because that is a mistake in the
// test.
func NewWorld(p *policy.Policy, inv *policy.Inventory, switchName string) *World {
	sw, ok := inv.Switch(switchName)
	if !ok {
		panic(fmt.Sprintf("generate: switch %q is not in the inventory", switchName))
	}
	w := &World{}
	numbers := map[string]uint16{}
	for _, port := range sw.Ports {
		numbers[port.Name] = uint16(port.Number)
		if port.Role == pipeline.Network {
			w.network = append(w.network, uint16(port.Number))
		} else {
			w.access = append(w.access, uint16(port.Number))
		}
		for _, mac := range port.MACs {
			w.stations = append(w.stations, mac)
		}
	}
	for _, l := range sw.Lines {
		read := line{port: numbers[l.Port], outer: uint16(l.VLAN), inner: uint16(l.InnerVLAN), session: uint16(l.PPPoE)}
		for _, mac := range l.MACs {
			read.macs = append(read.macs, mac)
		}
		read.own.add(l.Prefixes...)
		w.exempt.add(l.Prefixes...)
		w.lines = append(w.lines, read)
	}
	for _, e := range p.Exemptions {
		if e.Prefix.IsValid() {
			w.exempt.add(e.Prefix)
		}
	}
	for _, r := range p.Remotes {
		w.remotes.add(r.Prefixes...)
	}
	for _, n := range p.NAT64 {
		w.nat64 = append(w.nat64, n.Prefix)
	}
	for _, s := range p.Services {
		for _, port := range s.Ports {
			w.services = append(w.services, uint16(port))
		}
	}
	return w
}
