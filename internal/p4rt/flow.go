package p4rt

import (
	"fmt"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/pipeline"
)

// FlowDigest returns the entity to INSERT so that a switch sends mail flows. Each list has at most size flows and is
// sent at most delay after its first flow.
func FlowDigest(size int32, delay time.Duration) *p4v1.Entity {
	return &p4v1.Entity{Entity: &p4v1.Entity_DigestEntry{DigestEntry: &p4v1.DigestEntry{
		DigestId: pipeline.MailFlowDigest,
		// The data plane limits the number of flows, so a list that was not acknowledged need not be sent again.
		Config: &p4v1.DigestEntry_Config{MaxListSize: size, MaxTimeoutNs: delay.Nanoseconds(), AckTimeoutNs: time.Second.Nanoseconds()},
	}}}
}

// MailFlows decodes a digest list. It returns pipeline.ErrForeign if the list is not a list of mail flows or does
// not match this program.
func MailFlows(list *p4v1.DigestList) ([]pipeline.MailFlow, error) {
	if list.GetDigestId() != pipeline.MailFlowDigest {
		return nil, fmt.Errorf("%w: digest %#x", pipeline.ErrForeign, list.GetDigestId())
	}
	flows := make([]pipeline.MailFlow, 0, len(list.GetData()))
	for _, data := range list.GetData() {
		var members [][]byte
		for _, m := range data.GetStruct().GetMembers() {
			members = append(members, m.GetBitstring())
		}
		flow, err := pipeline.ReadMailFlow(members)
		if err != nil {
			return nil, err
		}
		flows = append(flows, flow)
	}
	return flows, nil
}

// LineMailRead returns the read filter for the mail counter of one line and outcome.
func LineMailRead(line pipeline.LineIndex, outcome pipeline.MailOutcome) *p4v1.Entity {
	counter, index := pipeline.LineMailCell(line, outcome)
	return &p4v1.Entity{Entity: &p4v1.Entity_CounterEntry{CounterEntry: &p4v1.CounterEntry{CounterId: counter, Index: &p4v1.Index{Index: index}}}}
}
