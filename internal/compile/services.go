package compile

import (
	"op25b/internal/pipeline"

	"op25b/internal/policy"
)

// The priorities of service entries. Both ports of a segment may belong to services. The server's port has priority, and port 25 has the
// highest priority, so that no port at the other end can exempt a segment from the rules for port 25.
const (
	priorityRemoteSMTP = 40
	priorityHandshake  = 35
	priorityRemote     = 30
	prioritySubscriber = 20
)

// serviceEntries returns the entries that map TCP ports to legs and services. They are the same in every phase.
//
// For segments from a line, the server ports of every service have entries. For segments toward a line, only server port 25 has an entry. If
// a rule applies to DownDst, the other services have entries too, so that their replies reach a client that happens to use port 25. The
// subscriber's own port 25 has entries if a rule applies to UpSrc or DownDst. A SYN to that port and a SYN-ACK from it then take precedence
// over the port at the other end, which a client may choose freely.
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
