package api

import (
	"op25b/internal/prove"
	op25bv1 "op25b/proto/op25b/v1"
)

// proofMessage converts a proof, or the reason why it could not be finished, to a message. It returns nil if there is neither.
func proofMessage(r *prove.Result, err error) *op25bv1.Proof {
	if r == nil {
		if err == nil {
			return nil
		}
		return &op25bv1.Proof{Error: err.Error()}
	}
	m := &op25bv1.Proof{
		Proved: r.Err() == nil, Switches: uint32(r.Switches), Contents: uint32(r.Contents), Known: uint32(r.Known), Packets: uint64(r.Packets),
		States: uint64(r.States), Limited: r.Limited, Seconds: r.Took.Seconds(), UnhitCount: uint64(r.UnhitCount), Disagreements: uint64(r.Disagreements),
	}
	m.Tables, m.Unhit = proofTables(r.Tables), proofUnhit(r.Unhit)
	for _, c := range r.Counterexamples {
		x := &op25bv1.Counterexample{
			Switch: c.Switch, Port: uint32(c.Packet.Port), Frame: c.Packet.Frame, About: c.Packet.About, Want: c.Packet.Want.String(), Got: c.Got,
			Words: c.Words, Step: c.Step, Missed: c.Missed, Text: c.String(),
		}
		for _, e := range c.Entries {
			x.Entries = append(x.Entries, e.String())
		}
		m.Counterexamples = append(m.Counterexamples, x)
	}
	return m
}

func proofTables(all []prove.Table) (m []*op25bv1.ProofTable) {
	for _, t := range all {
		m = append(m, &op25bv1.ProofTable{Table: t.Name, Entries: uint64(t.Entries), Hit: uint64(t.Hit), Missed: t.Missed})
	}
	return m
}

func proofUnhit(all []prove.Unhit) (m []*op25bv1.ProofUnhit) {
	for _, u := range all {
		m = append(m, &op25bv1.ProofUnhit{Entry: u.Entry, Why: u.Why, Never: u.Never})
	}
	return m
}
