package compile

import (
	"slices"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// portEntries returns the roles of the network ports, and the ports of the two flood groups in ascending order. Access ports have no entry,
// because the pipeline treats a port without an entry as an access port.
func portEntries(sw *policy.Switch) (roles map[pipeline.Port]pipeline.PortRole, network, all []pipeline.Port) {
	roles = make(map[pipeline.Port]pipeline.PortRole)
	for _, port := range sw.Ports {
		all = append(all, port.Number)
		if port.Role == pipeline.Network {
			roles[port.Number] = pipeline.Network
			network = append(network, port.Number)
		}
	}
	slices.Sort(network)
	slices.Sort(all)
	return roles, network, all
}

// portNumbers returns the numbers of a switch's ports by name.
func portNumbers(sw *policy.Switch) map[string]pipeline.Port {
	numbers := make(map[string]pipeline.Port, len(sw.Ports))
	for _, port := range sw.Ports {
		numbers[port.Name] = port.Number
	}
	return numbers
}

// lineEntries returns the entries of a switch's lines, and the port for each combination of VLAN tags. Neither untagged frames nor tags that
// are used on two ports have an entry.
func lineEntries(n *Numbers, sw *policy.Switch, index lineNumbers) (map[pipeline.LineKey]pipeline.Line, map[pipeline.VLANKey]pipeline.Port) {
	lines := make(map[pipeline.LineKey]pipeline.Line, len(sw.Lines))
	ways := make(map[pipeline.VLANKey]pipeline.Port)
	shared := make(map[pipeline.VLANKey]struct{})
	ports := portNumbers(sw)
	for _, line := range sw.Lines {
		key := pipeline.LineKey{Port: ports[line.Port], OuterVID: line.VLAN, InnerVID: line.InnerVLAN, Session: line.PPPoE}
		lines[key] = pipeline.Line{Group: n.group(line.Group), Index: index[line.Name]}
		tags := pipeline.VLANKey{OuterVID: line.VLAN, InnerVID: line.InnerVLAN}
		if other, again := ways[tags]; again && other != key.Port {
			shared[tags] = struct{}{}
		}
		ways[tags] = key.Port
	}
	for tags := range shared {
		delete(ways, tags)
	}
	delete(ways, pipeline.VLANKey{})
	return lines, ways
}

// bridgeEntries returns the ports of the stations that the inventory lists.
func bridgeEntries(sw *policy.Switch) map[pipeline.MAC]pipeline.BridgePort {
	bridge := make(map[pipeline.MAC]pipeline.BridgePort)
	ports := portNumbers(sw)
	for _, line := range sw.Lines {
		for _, mac := range line.MACs {
			bridge[mac] = pipeline.BridgePort{Port: ports[line.Port], Role: pipeline.Access}
		}
	}
	for _, port := range sw.Ports {
		for _, mac := range port.MACs {
			bridge[mac] = pipeline.BridgePort{Port: port.Number, Role: pipeline.Network}
		}
	}
	return bridge
}

// sourceChecks returns the source check of each line group that checks sources.
func sourceChecks(p *policy.Policy, n *Numbers) map[pipeline.LineGroup]pipeline.SourceCheck {
	checks := make(map[pipeline.LineGroup]pipeline.SourceCheck)
	for _, g := range p.LineGroups {
		if check, on, _ := g.SourceCheck.Code(); on {
			checks[n.group(g.Name)] = check
		}
	}
	return checks
}

// sourceEntries returns the prefixes of the lines whose source addresses are checked.
func sourceEntries(p *policy.Policy, sw *policy.Switch, index lineNumbers) map[pipeline.SourceKey]struct{} {
	checked := make(map[string]bool, len(p.LineGroups))
	for _, g := range p.LineGroups {
		_, checked[g.Name], _ = g.SourceCheck.Code()
	}
	sources := make(map[pipeline.SourceKey]struct{})
	for _, line := range sw.Lines {
		if !checked[line.Group] {
			continue
		}
		for _, prefix := range line.Prefixes {
			sources[pipeline.SourceKey{Line: index[line.Name], Prefix: prefix}] = struct{}{}
		}
	}
	return sources
}

// limitEntries returns the rates of lines, with one bucket for each direction. The entries are the same in every phase.
func limitEntries(p *policy.Policy, sw *policy.Switch, index lineNumbers) map[pipeline.LimitKey]pipeline.Rate {
	rates := make(map[string]policy.Rate, len(p.LineGroups))
	for _, g := range p.LineGroups {
		if g.Limit != (policy.Rate{}) {
			rates[g.Name] = g.Limit
		}
	}
	limits := make(map[pipeline.LimitKey]pipeline.Rate)
	for _, line := range sw.Lines {
		rate, ok := rates[line.Group]
		if !ok {
			continue
		}
		for _, from := range []pipeline.PortRole{pipeline.Access, pipeline.Network} {
			limits[pipeline.LimitKey{Line: index[line.Name], From: from}] = pipeline.Rate{PerSecond: uint32(rate.PerSecond), Burst: uint32(rate.Burst)}
		}
	}
	return limits
}

// rejectFrom returns a switch's source addresses for ICMP errors, one per family.
func rejectFrom(sw *policy.Switch) pipeline.RejectFrom {
	var from pipeline.RejectFrom
	for _, addr := range sw.RejectFrom {
		if addr.Is4() {
			from.IPv4 = addr
		} else {
			from.IPv6 = addr
		}
	}
	return from
}
