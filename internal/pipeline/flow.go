package pipeline

import (
	"fmt"
	"net/netip"
)

// A MailFlow reports one attempt to send mail that a rule monitored, dropped or rejected. For each line and remote address, the data
// plane reports at most one flow in 67 seconds. Permitted mail is not reported.
//
// A MailFlow contains the addresses of both ends, which are subject to the secrecy of communications. The receiver of the flow is
// responsible for protecting them.
type MailFlow struct {
	Line               LineIndex // 0 for an unnamed line, or if the line is unknown because the frame was flooded
	Leg                Leg       // 0 if no service was looked up, as for a spoofed source address
	Service            Service   // 0 if no service was looked up
	Rule               RuleID
	Action             VerdictAction // the verdict: Monitor, Drop or Reject
	SYNACK             bool          // true for a SYN-ACK, which replies to a SYN that was not stopped; false for a SYN
	Subscriber, Remote netip.Addr    // for a tunnel, the outer subscriber address and the inner remote address
}

// MailFlowDigest is the P4Runtime id of the digest that reports mail flows.
const MailFlowDigest uint32 = mailFlowDigest

// ReadMailFlow decodes the members of a digest entry, which are big-endian numbers. It returns ErrForeign if the number of members does
// not match this program.
func ReadMailFlow(members [][]byte) (MailFlow, error) {
	if len(members) != len(mailFlowMembers) {
		return MailFlow{}, fmt.Errorf("%w: a mail flow of %d members, want %d", ErrForeign, len(members), len(mailFlowMembers))
	}
	number := func(i int) uint64 { return toUint(members[i]) }
	return MailFlow{
		Line:       LineIndex(number(mailFlowLineMember)),
		Leg:        Leg(number(mailFlowLegMember)),
		Service:    Service(number(mailFlowServiceMember)),
		Rule:       RuleID(number(mailFlowRuleMember)),
		Action:     VerdictAction(number(mailFlowVerdictMember)),
		SYNACK:     number(mailFlowSynAckMember) == 1,
		Subscriber: flowAddr(members[mailFlowSubscriberMember], number(mailFlowSubscriberFamilyMember)),
		Remote:     flowAddr(members[mailFlowRemoteMember], number(mailFlowRemoteFamilyMember)),
	}, nil
}

// flowAddr decodes an address of 128 bits. family is the family number that p4src/define.p4 defines; for an unknown family, the result
// is the zero Addr.
func flowAddr(b []byte, family uint64) netip.Addr {
	switch family {
	case 1:
		var a [4]byte
		if fits(a[:], b) {
			return netip.AddrFrom4(a)
		}
	case 2:
		var a [16]byte
		if fits(a[:], b) {
			return netip.AddrFrom16(a)
		}
	}
	return netip.Addr{}
}
