package pipeline

import (
	"fmt"
	"net/netip"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// A MailFlow is one attempt at mail that a rule watched or stopped, as the data plane tells it: at most one a window of 67 seconds for each
// line and remote address. What the policy permits is not told.
//
// It names both ends. Whoever receives it answers for what becomes of them: they are what the secrecy of communications protects.
type MailFlow struct {
	Line               LineIndex // 0: a line that no entry names, or one that is not known because the frame was flooded
	Leg                Leg       // 0: no service was asked, as for a spoofed source
	Service            Service   // likewise
	Rule               RuleID
	Action             VerdictAction // what became of the segment: Monitor, Drop or Reject
	SYNACK             bool          // the answer to a SYN that was not stopped; else a SYN
	Subscriber, Remote netip.Addr    // of a tunnel, the outermost address of the one and the innermost of the other
}

// mailFlowName is the digest's P4 type; p4c makes the digest's id of it.
const mailFlowName = "mail_flow_t"

// mailFlowMembers are the members of a mail flow in their order.
var mailFlowMembers = []string{
	"line", "leg", "service", "rule", "verdict", "syn_ack", "subscriber_family", "remote_family", "subscriber", "remote",
}

// FlowDigest is the entity whose INSERT makes a switch send mail flows, in lists of at most size, each at most delay after its first.
func FlowDigest(size int32, delay time.Duration) *p4v1.Entity {
	return &p4v1.Entity{Entity: &p4v1.Entity_DigestEntry{DigestEntry: &p4v1.DigestEntry{
		DigestId: mailFlowDigest,
		// Flows are thinned by the data plane, so that a list that nobody acknowledges need not be sent again.
		Config: &p4v1.DigestEntry_Config{MaxListSize: size, MaxTimeoutNs: delay.Nanoseconds(), AckTimeoutNs: time.Second.Nanoseconds()},
	}}}
}

// MailFlows reads a digest list. It returns ErrForeign for a list that is not of mail flows, or not of this program's.
func MailFlows(list *p4v1.DigestList) ([]MailFlow, error) {
	if list.GetDigestId() != mailFlowDigest {
		return nil, fmt.Errorf("%w: digest %#x", ErrForeign, list.GetDigestId())
	}
	flows := make([]MailFlow, 0, len(list.GetData()))
	for _, data := range list.GetData() {
		members := data.GetStruct().GetMembers()
		if len(members) != len(mailFlowMembers) {
			return nil, fmt.Errorf("%w: a mail flow of %d members, want %d", ErrForeign, len(members), len(mailFlowMembers))
		}
		number := func(i int) uint64 { return toUint(members[i].GetBitstring()) }
		flows = append(flows, MailFlow{
			Line: LineIndex(number(0)), Leg: Leg(number(1)), Service: Service(number(2)), Rule: RuleID(number(3)),
			Action: VerdictAction(number(4)), SYNACK: number(5) == 1,
			Subscriber: flowAddr(members[8].GetBitstring(), number(6)), Remote: flowAddr(members[9].GetBitstring(), number(7)),
		})
	}
	return flows, nil
}

// flowAddr reads an address of 128 bits by its family, as p4src/define.p4 numbers it; an unknown family has no address.
func flowAddr(b []byte, family uint64) netip.Addr {
	switch family {
	case 1:
		return addr(b, 32)
	case 2:
		return addr(b, 128)
	}
	return netip.Addr{}
}
