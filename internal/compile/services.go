package compile

import (
	"op25b/internal/pipeline"

	"op25b/internal/policy"
)

// Priorities of service entries. A segment has a port at each end, and both may be a service's: what the server's port says comes first,
// and 25 before all, so that no port at the other end takes a segment out of the rules for it.
const (
	priorityRemoteSMTP = 40
	priorityHandshake  = 35
	priorityRemote     = 30
	prioritySubscriber = 20
)

// serviceEntries are the ports that are looked at, and what they stand for. They are the same in every phase.
//
// From a line, servers' ports of every service. Toward a line, port 25 of servers; other services only where a rule is for DownDst, to let
// their answers pass to a client that happens to use port 25. The subscriber's own port 25 is looked at where a rule is for UpSrc or DownDst;
// there a SYN toward it, and a SYN-ACK from it, come before what the other end's port says, for a client may choose its own.
func serviceEntries(p *policy.Policy, n *Numbers) map[pipeline.ServiceKey]pipeline.ServiceValue {
	entries := make(map[pipeline.ServiceKey]pipeline.ServiceValue)
	upSrc, downDst := p.UsesLeg(policy.UpSrc), p.UsesLeg(policy.DownDst)
	for _, s := range p.Services {
		value := func(leg pipeline.Leg, priority int32) pipeline.ServiceValue {
			return pipeline.ServiceValue{Leg: leg, Service: n.service(s.Name), Priority: priority}
		}
		for _, number := range s.Ports {
			port := pipeline.PortMatch{Port: uint16(number), Exact: true}
			remote := int32(priorityRemote)
			if number.IsSMTP() {
				remote = priorityRemoteSMTP
			}
			entries[pipeline.ServiceKey{Role: pipeline.Access, DstPort: port}] = value(pipeline.UpDst, remote)
			if number.IsSMTP() || downDst {
				entries[pipeline.ServiceKey{Role: pipeline.Network, SrcPort: port}] = value(pipeline.DownSrc, remote)
			}
			if number.IsSMTP() && upSrc {
				entries[pipeline.ServiceKey{Role: pipeline.Access, SrcPort: port}] = value(pipeline.UpSrc, prioritySubscriber)
				entries[pipeline.ServiceKey{Role: pipeline.Access, SrcPort: port, Handshake: pipeline.SYNACK}] = value(pipeline.UpSrc, priorityHandshake)
			}
			if number.IsSMTP() && downDst {
				entries[pipeline.ServiceKey{Role: pipeline.Network, DstPort: port}] = value(pipeline.DownDst, prioritySubscriber)
				entries[pipeline.ServiceKey{Role: pipeline.Network, DstPort: port, Handshake: pipeline.SYN}] = value(pipeline.DownDst, priorityHandshake)
			}
		}
	}
	return entries
}
