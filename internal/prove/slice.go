package prove

import (
	"net/netip"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A slice is the part of a switch that some packets can meet. A look-up by exact match or longest prefix depends only on the entries that match
// the key, so packets are judged alike by the slice and by the whole.
type slice struct {
	places   map[pipeline.LineKey]bool // without the session
	tags     map[pipeline.VLANKey]bool
	macs     map[pipeline.MAC]bool
	addrs    [2]map[netip.Addr]bool // of subscribers, by family
	servers  [2]map[netip.Addr]bool
	lines    map[string]bool
	prefixes map[netip.Prefix]bool // of subscribers, that a change touches
}

func newSlice(shots []*shot, s *scope) *slice {
	x := &slice{places: map[pipeline.LineKey]bool{}, tags: map[pipeline.VLANKey]bool{}, macs: map[pipeline.MAC]bool{}, lines: map[string]bool{}, prefixes: s.subscribers}
	for i := range 2 {
		x.addrs[i], x.servers[i] = map[netip.Addr]bool{}, map[netip.Addr]bool{}
	}
	for name := range s.lines {
		x.lines[name] = true
	}
	for _, shot := range shots {
		x.places[pipeline.LineKey{Port: shot.port, OuterVID: shot.vlans.OuterVID, InnerVID: shot.vlans.InnerVID}] = true
		x.tags[shot.vlans] = true
		x.macs[shot.dst] = true
		if shot.line != "" {
			x.lines[shot.line] = true
		}
		from, to := shot.outer()
		subscriber, server := to, shot.from.Addr()
		if shot.up {
			subscriber, server = from, shot.to.Addr()
		}
		x.addrs[family(subscriber)][subscriber] = true
		x.servers[family(server)][server] = true
	}
	return x
}

// has reports whether packets can belong to a line, or go to its stations.
func (x *slice) has(name string, k pipeline.LineKey, macs []pipeline.MAC) bool {
	if x.lines[name] || x.places[pipeline.LineKey{Port: k.Port, OuterVID: k.OuterVID, InnerVID: k.InnerVID}] || x.tags[pipeline.VLANKey{OuterVID: k.OuterVID, InnerVID: k.InnerVID}] {
		return true
	}
	for _, mac := range macs {
		if x.macs[mac] {
			return true
		}
	}
	return false
}

// around returns the keys of a table by prefix that contain one of the addresses.
func around[V any](table map[netip.Prefix]V, addrs *[2]map[netip.Addr]bool) map[netip.Prefix]V {
	all := make(map[netip.Prefix]V)
	var lengths [2][]int
	if len(addrs[0])+len(addrs[1]) > 0 {
		for p := range table {
			longer(&lengths, p)
		}
	}
	for f := range addrs {
		for a := range addrs[f] {
			for _, bits := range lengths[f] {
				p, _ := a.Prefix(bits)
				if v, there := table[p]; there {
					all[p] = v
				}
			}
		}
	}
	return all
}

// state returns the part of a compiled state that the packets can meet, without staged rule sets. touched lists lines by index.
func (x *slice) state(c *compile.Compiled) *pipeline.State {
	s := c.State
	s.Staged = nil
	index := make(map[pipeline.LineIndex]bool)
	s.Lines = make(map[pipeline.LineKey]pipeline.Line)
	for k, v := range c.State.Lines {
		if x.has(c.Lines[v.Index], k, nil) {
			s.Lines[k] = v
			index[v.Index] = true
		}
	}
	s.Sources = make(map[pipeline.SourceKey]struct{})
	for k := range c.State.Sources {
		if index[k.Line] {
			s.Sources[k] = struct{}{}
		}
	}
	s.Limits = make(map[pipeline.LimitKey]pipeline.Rate)
	for k, v := range c.State.Limits {
		if index[k.Line] {
			s.Limits[k] = v
		}
	}
	s.Bridge = make(map[pipeline.MAC]pipeline.BridgePort)
	for k := range x.macs {
		if v, there := c.State.Bridge[k]; there {
			s.Bridge[k] = v
		}
	}
	s.LinePorts = make(map[pipeline.VLANKey]pipeline.Port)
	for k := range x.tags {
		if v, there := c.State.LinePorts[k]; there {
			s.LinePorts[k] = v
		}
	}
	s.Subscribers = around(c.State.Subscribers, &x.addrs)
	for p := range x.prefixes {
		if v, there := c.State.Subscribers[p]; there {
			s.Subscribers[p] = v
		}
	}
	s.Remotes = around(c.State.Remotes, &x.servers)
	return &s
}

// documents returns the part of the documents that the packets can meet.
func (x *slice) documents(b *policy.Bundle, sw *policy.Switch) (*policy.Policy, *policy.Switch) {
	numbers := make(map[string]pipeline.Port, len(sw.Ports))
	for _, port := range sw.Ports {
		numbers[port.Name] = port.Number
	}
	part := *sw
	part.Lines = nil
	kept := make(map[string]bool)
	for i := range sw.Lines {
		l := &sw.Lines[i]
		if x.has(l.Name, pipeline.LineKey{Port: numbers[l.Port], OuterVID: l.VLAN, InnerVID: l.InnerVLAN}, l.MACs) {
			part.Lines = append(part.Lines, *l)
			kept[l.Name] = true
		}
	}
	p := *b.Policy
	p.Exemptions = nil
	for i := range b.Policy.Exemptions {
		e := &b.Policy.Exemptions[i]
		if e.Line != "" && kept[e.Line] || e.Line == "" && x.meets(e.Prefix) {
			p.Exemptions = append(p.Exemptions, *e)
		}
	}
	return &p, &part
}

// meets reports whether a prefix contains the address of one of the packets.
func (x *slice) meets(p netip.Prefix) bool {
	if x.prefixes[p] {
		return true
	}
	addrs := x.addrs[family(p.Addr())]
	if p.IsSingleIP() {
		return addrs[p.Addr()]
	}
	for a := range addrs {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// exempt returns the exemptions of a compiled state whose lines or prefixes the packets can meet.
func (x *slice) exempt(c *compile.Compiled) []compile.Exempt {
	var all []compile.Exempt
	for i := range c.Exempt {
		e := &c.Exempt[i]
		if e.Line != "" && x.lines[e.Line] || e.Line == "" && x.meets(e.Prefix) {
			all = append(all, *e)
		}
	}
	return all
}
