package policy

import (
	"fmt"
)

// policy performs the checks that concern only the policy.
func (v *validator) policy() {
	p := v.p
	v.word(p.src, "name", p.Name, "policy name")
	if p.UTCOffset < -MaxOffset || p.UTCOffset > MaxOffset {
		v.inPolicy("utcOffset", fmt.Sprintf("the UTC offset is %d minutes", p.UTCOffset), fmt.Sprintf("valid are %d to %d", -MaxOffset, MaxOffset))
	}
	v.lineGroups()
	v.services()
	v.nat64()
	v.remotes()
	v.exemptions()
	v.leases()
	v.phases()
}

// lineGroups checks the knobs and rates of line groups.
func (v *validator) lineGroups() {
	p := v.p
	v.counted("lineGroups", len(p.LineGroups), MaxLineGroups, "line groups")
	v.named(p.src, Names(p.LineGroups), pathTo("lineGroups", "name"), "line group")
	for i, g := range p.LineGroups {
		for _, knob := range []struct {
			key   string
			value Knob
		}{{"undetermined", g.Undetermined}, {"laterFragments", g.LaterFragments}} {
			if !knob.value.valid() {
				v.inPolicy(at("lineGroups", i, knob.key), fmt.Sprintf("line group %q has %s: %s", g.Name, knob.key, knob.value), "it must be "+knob.value.Accepts())
			}
		}
		if !g.Access.valid() {
			v.inPolicy(at("lineGroups", i, "access"), fmt.Sprintf("line group %q has access: %s", g.Name, g.Access), "it must be "+g.Access.Accepts())
		}
		if !g.Addressing.valid() {
			v.inPolicy(at("lineGroups", i, "addressing"), fmt.Sprintf("line group %q has addressing: %s", g.Name, g.Addressing), "it must be "+g.Addressing.Accepts())
		}
		if _, _, ok := g.SourceCheck.Code(); !ok {
			v.inPolicy(at("lineGroups", i, "sourceCheck"), fmt.Sprintf("line group %q has sourceCheck: %s", g.Name, g.SourceCheck), "it must be "+g.SourceCheck.Accepts())
		}
		if g.Limit != (Rate{}) && !(g.Limit.PerSecond >= 1 && g.Limit.PerSecond <= MaxConnections && g.Limit.Burst >= 1 && g.Limit.Burst <= MaxConnections) {
			v.inPolicy(at("lineGroups", i, "limit"), fmt.Sprintf("line group %q has the limit %d a second with a burst of %d", g.Name, g.Limit.PerSecond, g.Limit.Burst),
				fmt.Sprintf("both must be whole numbers from 1 to %d", MaxConnections))
		}
	}
}

// services checks that each TCP port belongs to only one service. It also checks that the mail ports 25, 587 and 465 share no service
// with another port, to which the standing rules would then apply too.
func (v *validator) services() {
	p := v.p
	v.counted("services", len(p.Services), MaxServices, "services")
	v.named(p.src, Names(p.Services), pathTo("services", "name"), "service")
	first := make(map[TCPPort]string)
	for i, s := range p.Services {
		if len(s.Ports) == 0 {
			v.inPolicy(at("services", i, "ports"), fmt.Sprintf("service %q has no ports", s.Name), "give the TCP ports of its servers")
		}
		for j, port := range s.Ports {
			path := at(at("services", i, "ports"), j, "")
			if port == 0 {
				v.inPolicy(path, fmt.Sprintf("service %q has port 0", s.Name), "TCP ports are 1 to 65535")
			}
			if earlier, again := first[port]; again {
				v.inPolicy(path, fmt.Sprintf("port %d of service %q is listed twice", port, s.Name), "the first is at "+p.src.Place(earlier)+": keep one")
				continue
			}
			first[port] = path
		}
		smtp, submission := s.has(TCPPort.IsSMTP), s.has(TCPPort.IsSubmission)
		other := s.has(func(port TCPPort) bool { return !port.IsMail() })
		switch {
		case smtp && (submission || other):
			v.inPolicy(at("services", i, "ports"), fmt.Sprintf("service %q has port 25 and others", s.Name),
				"what is decided for mail port 25 must not reach other ports: give 25 a service of its own")
		case submission && other:
			v.inPolicy(at("services", i, "ports"), fmt.Sprintf("service %q has a submission port, 587 or 465, and others", s.Name),
				"submission passes in every phase, and others would with it: give it a service of its own")
		}
	}
	for _, need := range []struct {
		port TCPPort
		why  string
	}{
		{PortSMTP, "there would be nothing to block"},
		{PortSubmission, "it must pass in every phase (RFC 5068), and is counted as it does"},
		{PortSubmissions, "it must pass in every phase (RFC 8314), and is counted as it does"},
	} {
		if _, ok := first[need.port]; !ok && len(p.Services) > 0 {
			v.inPolicy("services", fmt.Sprintf("no service has port %d", need.port), need.why+fmt.Sprintf(": add a service with ports: [%d]", need.port))
		}
	}
}
