package pipeline

import (
	"fmt"
	"net/netip"
)

// A MailFlow is one attempt to send mail that a rule watched or stopped. The data plane reports at most one in a window of 67 seconds for each
// line and remote address, and none that the policy permits.
//
// It has the addresses of both ends, which the secrecy of communications protects. The receiver is responsible for them.
type MailFlow struct {
	Line               LineIndex // 0: a line without an entry, or unknown because the frame was flooded
	Leg                Leg       // 0: no service was looked up, as for a spoofed source
	Service            Service   // likewise
	Rule               RuleID
	Action             VerdictAction // Monitor, Drop or Reject
	SYNACK             bool          // the answer to a SYN that was not stopped; else a SYN
	Subscriber, Remote netip.Addr    // of a tunnel, the outermost and the innermost address
}

// MailFlowDigest is the P4Runtime id of the digest that has mail flows.
const MailFlowDigest uint32 = mailFlowDigest

// ReadMailFlow reads one mail flow, whose members are big-endian numbers. It returns ErrForeign for one that is not this program's.
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

// flowAddr reads an address of 128 bits by its family, as p4src/define.p4 numbers it; an unknown family has no address.
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
