package pipeline

import (
	"fmt"
	"net/netip"
)

// A MailFlow reports one attempt to send mail that a rule monitored, dropped or rejected. For each line and remote address, the data
// plane reports at most one flow in a window of 67 seconds. Permitted mail is not reported.
//
// A MailFlow contains the addresses of both ends, which the secrecy of communications protects. The receiver of the flow is responsible
// for them.
type MailFlow struct {
	Line               LineIndex // 0 for a line without an entry, or if the line is unknown because the frame was flooded
	Leg                Leg       // 0 if no service was looked up, as for a spoofed source
	Service            Service   // 0 if no service was looked up
	Rule               RuleID
	Action             VerdictAction // Monitor, Drop or Reject
	SYNACK             bool          // set for a SYN-ACK, the answer to a SYN that was not stopped; clear for a SYN
	Subscriber, Remote netip.Addr    // for a tunnel, the outermost and the innermost address
}

// MailFlowDigest is the P4Runtime id of the digest that contains mail flows.
const MailFlowDigest uint32 = mailFlowDigest

// ReadMailFlow decodes one mail flow, whose members are big-endian numbers. It returns ErrForeign if the members do not match this
// program.
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

// flowAddr decodes an address of 128 bits by its family number, as defined in p4src/define.p4. An unknown family has no address.
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
