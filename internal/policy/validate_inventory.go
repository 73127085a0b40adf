package policy

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"op25b/internal/pipeline"
	"op25b/internal/strict"
)

// inventory performs the checks that concern only the inventory.
func (v *validator) inventory() {
	inv := v.inv
	if len(inv.Switches) == 0 {
		v.inInventory("switches", "there are no switches", "give at least one")
	}
	v.named(inv.src, Names(inv.Switches), pathTo("switches", "name"), "switch")
	devices := make(map[DeviceID]int)
	var lines []string
	var linePaths []string
	for i := range inv.Switches {
		sw := &inv.Switches[i]
		path := at("switches", i, "")
		if sw.DeviceID == 0 {
			v.inInventory(path+".deviceID", fmt.Sprintf("switch %q has device id 0", sw.Name), "P4Runtime takes 0 for none: give a number from 1, which no other switch has")
		} else if first, again := devices[sw.DeviceID]; again {
			v.inInventory(path+".deviceID", fmt.Sprintf("device id %d of switch %q is switch %q's", sw.DeviceID, sw.Name, inv.Switches[first].Name), "give each its own")
		} else {
			devices[sw.DeviceID] = i
		}
		v.address(path+".p4runtime", sw.P4Runtime)
		v.address(path+".gnmi", sw.GNMI)
		v.tls(sw, path+".tls")
		v.labels(sw, path)
		v.rejectFrom(sw, path)
		if !sw.Foreign.valid() {
			v.inInventory(path+".foreign", fmt.Sprintf("switch %q has foreign: %s", sw.Name, sw.Foreign), "it must be "+sw.Foreign.Accepts())
		}
		if !sw.Identify.valid() {
			v.inInventory(path+".identify", fmt.Sprintf("switch %q has identify: %s", sw.Name, sw.Identify), "it must be "+sw.Identify.Accepts())
		}
		v.ports(sw, path)
		v.lines(sw, path)
		v.identities(sw, path)
		v.stations(sw, path)
		for j, line := range sw.Lines {
			lines = append(lines, line.Name)
			linePaths = append(linePaths, at(path+".lines", j, "name"))
		}
	}
	// Names must be unique across switches, because exemptions and operators refer to a line by its name alone.
	v.named(inv.src, lines, func(i int) string { return linePaths[i] }, "line")
	v.onePrefixEach()
}

// address checks that a server's address has the form host:port.
func (v *validator) address(path, address string) {
	host, port, err := net.SplitHostPort(address)
	number, numErr := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || numErr != nil || number == 0 {
		v.inInventory(path, fmt.Sprintf("address %q cannot be connected to", address), "it must be host:port with a port from 1 to 65535, such as 127.0.0.1:9559 or [2001:db8::1]:9559")
	}
}

// labels checks the words that describe a switch for the rings of a rollout.
func (v *validator) labels(sw *Switch, path string) {
	if sw.Site != "" {
		v.word(v.inv.src, path+".site", sw.Site, "site")
	}
	if sw.Model != "" {
		v.word(v.inv.src, path+".model", sw.Model, "model")
	}
	if n := len(sw.Labels); n > MaxLabels {
		v.inInventory(path+".labels", fmt.Sprintf("switch %q has %d labels", sw.Name, n), fmt.Sprintf("give at most %d", MaxLabels))
		return
	}
	v.named(v.inv.src, sw.Labels, func(i int) string { return at(path+".labels", i, "") }, "label")
}

// rejectFrom checks that RejectFrom has at most one address of each family, and that each is a global unicast address.
func (v *validator) rejectFrom(sw *Switch, path string) {
	first := make(map[string]netip.Addr)
	for i, addr := range sw.RejectFrom {
		addrPath := at(path+".rejectFrom", i, "")
		if way := notHost(addr); way != "" {
			v.inInventory(addrPath, fmt.Sprintf("switch %q cannot reject from address %v", sw.Name, addr), way)
			continue
		}
		family := "IPv6"
		if addr.Is4() {
			family = "IPv4"
		}
		if other, again := first[family]; again {
			v.inInventory(addrPath, fmt.Sprintf("switch %q has a second %s address to reject from, %v", sw.Name, family, addr), fmt.Sprintf("the first is %v: keep one of each family", other))
			continue
		}
		first[family] = addr
	}
}

// notHost returns why an address cannot be the source of a routed packet, or "" if it can.
func notHost(addr netip.Addr) string {
	switch {
	case addr.Is4In6():
		return fmt.Sprintf("no packet carries an IPv4 address in IPv6 form: write %v", addr.Unmap())
	case addr.Zone() != "" || addr.IsLinkLocalUnicast():
		return "a link-local address says nothing beyond its link: give a global address of the switch's own"
	case !addr.IsValid() || addr.IsUnspecified() || addr.IsLoopback() || addr.IsMulticast() || addr.Is4() && (addr.As4()[0] == 0 || addr.As4()[0] >= 224):
		return "it is not a host's: give a unicast address of the switch's own, such as 192.0.2.1 or 2001:db8::1"
	}
	return ""
}

// ports checks the ports of a switch.
func (v *validator) ports(sw *Switch, path string) {
	v.named(v.inv.src, Names(sw.Ports), pathTo(path+".ports", "name"), "port")
	numbers := make(map[pipeline.Port]string)
	network := false
	for i, port := range sw.Ports {
		numberPath := at(path+".ports", i, "port")
		if lo, hi := port.Number.Range(); uint64(port.Number) < lo || uint64(port.Number) > hi {
			v.inInventory(numberPath, fmt.Sprintf("port %q has number %d", port.Name, port.Number), "it must be "+strict.InRange(port.Number))
		}
		if first, again := numbers[port.Number]; again {
			v.inInventory(numberPath, fmt.Sprintf("port number %d of %q is port %q's", port.Number, port.Name, first), "give each its own")
		} else {
			numbers[port.Number] = port.Name
		}
		switch port.Role {
		case pipeline.Network:
			network = true
		case pipeline.Access:
			if len(port.MACs) > 0 {
				v.inInventory(at(path+".ports", i, "macs"), fmt.Sprintf("access port %q has macs", port.Name), "stations behind an access port belong to its lines: move them there")
			}
		default:
			v.inInventory(at(path+".ports", i, "role"), fmt.Sprintf("port %q has role %d", port.Name, port.Role), "it must be "+port.Role.Accepts())
		}
	}
	if !network {
		v.inInventory(path+".ports", fmt.Sprintf("switch %q has no network port", sw.Name), "its lines would reach nothing: give one port role: network")
	}
}

// lines checks the lines of a switch.
func (v *validator) lines(sw *Switch, path string) {
	if len(sw.Lines) > MaxLines {
		v.inInventory(at(path+".lines", MaxLines, ""), fmt.Sprintf("switch %q has %d lines", sw.Name, len(sw.Lines)), fmt.Sprintf("it has room for %d: move lines to another switch", MaxLines))
	}
	first := make(map[place]int)
	var access []string
	roles := make(map[string]pipeline.PortRole, len(sw.Ports))
	for _, port := range sw.Ports {
		roles[port.Name] = port.Role
		if port.Role == pipeline.Access {
			access = append(access, port.Name)
		}
	}
	for i, line := range sw.Lines {
		portPath := at(path+".lines", i, "port")
		role, known := roles[line.Port]
		switch {
		case !known:
			v.inInventory(portPath, fmt.Sprintf("line %q is on unknown port %q of switch %q", line.Name, line.Port, sw.Name), strict.Nearest(line.Port, access, "access ports"))
		case role != pipeline.Access:
			v.inInventory(portPath, fmt.Sprintf("line %q is on network port %q", line.Name, line.Port), "what comes from a network port is not filtered; "+strict.Nearest("", access, "access ports"))
		}
		v.lineTags(line, at(path+".lines", i, ""))
		here := place{line.Port, line.VLAN, line.InnerVLAN, line.PPPoE}
		if other, again := first[here]; again {
			v.inInventory(portPath, fmt.Sprintf("line %q is on %v, which is line %q's", line.Name, here, sw.Lines[other].Name),
				"a switch tells lines apart by port, VLAN, inner VLAN and PPPoE session: give each its own")
		} else {
			first[here] = i
		}
		if !line.Addressing.valid() {
			v.inInventory(at(path+".lines", i, "addressing"), fmt.Sprintf("line %q has addressing: %s", line.Name, line.Addressing), "it must be "+line.Addressing.Accepts())
		}
		for j, prefix := range line.Prefixes {
			v.prefix(v.inv.src, at(at(path+".lines", i, "prefixes"), j, ""), prefix, "the whole internet would be one line")
		}
	}
}

// A place identifies a line on its switch.
type place struct {
	port        string
	vlan, inner pipeline.VID
	session     pipeline.Session
}

// String describes the place without the tags and the session that the line does not use.
func (p place) String() string {
	text := fmt.Sprintf("port %q with VLAN %d", p.port, p.vlan)
	if p.inner != 0 {
		text += fmt.Sprintf(", inner VLAN %d", p.inner)
	}
	if p.session != 0 {
		text += fmt.Sprintf(", PPPoE session %d", p.session)
	}
	return text
}

// lineTags checks the VLANs and the PPPoE session of a line.
func (v *validator) lineTags(line Line, path string) {
	for _, tag := range []struct {
		key, name string
		vid       pipeline.VID
	}{{"vlan", "VLAN", line.VLAN}, {"innerVLAN", "inner VLAN", line.InnerVLAN}} {
		if tag.vid > pipeline.MaxVID {
			v.inInventory(strict.Join(path, tag.key), fmt.Sprintf("line %q has %s %d", line.Name, tag.name, tag.vid), fmt.Sprintf("it must be a whole number from 0, for untagged, to %d", pipeline.MaxVID))
		}
	}
	if line.InnerVLAN != 0 && line.VLAN == 0 {
		v.inInventory(path+".innerVLAN", fmt.Sprintf("line %q has inner VLAN %d and no VLAN around it", line.Name, line.InnerVLAN), "a frame with one tag has it outside: write vlan, or give both")
	}
	if line.PPPoE > pipeline.MaxSession {
		v.inInventory(path+".pppoe", fmt.Sprintf("line %q has PPPoE session %d", line.Name, line.PPPoE), "it must be "+strict.InRange(line.PPPoE))
	}
}

// checkedLines checks that every line in a group that checks sources has prefixes or sessions, and that the check drops nothing of lines whose
// addresses nobody knows.
func (v *validator) checkedLines() {
	checks := make(map[string]SourceCheck)
	for _, g := range v.p.LineGroups {
		if _, on, _ := g.SourceCheck.Code(); on {
			checks[g.Name] = g.SourceCheck
		}
	}
	for i := range v.inv.Switches {
		sw := &v.inv.Switches[i]
		for j, line := range sw.Lines {
			check, checked := checks[line.Group]
			group := v.p.LineGroup(line.Group)
			if _, sessions := line.SessionIdentity(sw, group); sessions || !checked {
				continue
			}
			if check == SourceDrop && group.Addressing == Dynamic && line.addressing(group) == Dynamic {
				v.inInventory(at(at("switches", i, "lines"), j, ""), fmt.Sprintf("line %q has dynamic addresses, and line group %q has sourceCheck: %s", line.Name, line.Group, check),
					fmt.Sprintf("all that the line sends would be dropped once it has another address: give switch %q identify, so that sessions tell its lines' addresses, "+
						"or watch with sourceCheck: monitor, or give the line an address of its own and addressing: static", sw.Name))
				continue
			}
			if len(line.Prefixes) > 0 {
				continue
			}
			fate := "be dropped"
			if check == SourceMonitor {
				fate = "count as spoofed"
			}
			v.inInventory(at(at("switches", i, "lines"), j, ""), fmt.Sprintf("line %q has no prefixes, and line group %q has sourceCheck: %s", line.Name, line.Group, check),
				"all that the line sends would "+fate+": give the line its prefixes, or another group")
		}
	}
}

// stations checks that each MAC address of a switch is a valid station address and is listed only once.
func (v *validator) stations(sw *Switch, path string) {
	first := make(map[pipeline.MAC]string)
	check := func(mac pipeline.MAC, of, path string) {
		switch {
		case mac == pipeline.MAC{}:
			v.inInventory(path, fmt.Sprintf("%s has MAC address %v", of, net.HardwareAddr(mac[:])), "no station has it: leave it out")
		case mac[0]&1 != 0:
			v.inInventory(path, fmt.Sprintf("%s has MAC address %v, which is a group's", of, net.HardwareAddr(mac[:])), "a station's first byte is even")
		}
		if other, again := first[mac]; again {
			v.inInventory(path, fmt.Sprintf("MAC address %v of %s is listed twice", net.HardwareAddr(mac[:]), of), "the first is "+other+"'s: a station is in one place")
			return
		}
		first[mac] = of
	}
	for i, port := range sw.Ports {
		for j, mac := range port.MACs {
			check(mac, fmt.Sprintf("port %q", port.Name), at(at(path+".ports", i, "macs"), j, ""))
		}
	}
	for i, line := range sw.Lines {
		for j, mac := range line.MACs {
			check(mac, fmt.Sprintf("line %q", line.Name), at(at(path+".lines", i, "macs"), j, ""))
		}
	}
}

// lineGroupsKnown checks that the policy defines the line group of every line.
func (v *validator) lineGroupsKnown(switches ...Switch) {
	known := Names(v.p.LineGroups)
	if len(known) == 0 {
		return // another check reports the missing group
	}
	for i, sw := range switches {
		for j, line := range sw.Lines {
			if v.p.LineGroup(line.Group) == nil {
				v.inInventory(at(at("switches", i, "lines"), j, "group"), fmt.Sprintf("line %q is in unknown line group %q", line.Name, line.Group),
					strict.Nearest(line.Group, known, fmt.Sprintf("line groups of policy %q", v.p.Name)))
			}
		}
	}
}
