package api

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/plan"
	op25bv1 "op25b/proto/op25b/v1"
)

// planMessage converts a plan to a message, without its files.
func planMessage(p *plan.Plan) *op25bv1.Plan {
	t := &p.Totals
	m := &op25bv1.Plan{
		Base: p.Base, Time: timestamppb.New(p.Time), Policy: p.Policy, UtcOffset: p.UTCOffset.String(), Changes: p.Changes, Notes: p.Notes,
		Totals: &op25bv1.Totals{
			Switches: uint32(t.Switches), SwitchesChanged: uint32(t.SwitchesChanged), SwitchesDrifted: uint32(t.SwitchesDrifted),
			SwitchesUnread: uint32(t.SwitchesUnread), SwitchesRefused: uint32(t.SwitchesRefused), SwitchesWaiting: uint32(t.SwitchesWaiting),
			SwitchesGone: uint32(t.SwitchesGone),
			Added:        uint64(t.Added), Changed: uint64(t.Changed), Removed: uint64(t.Removed), Updates: uint64(t.Updates), Drifted: uint64(t.Drifted),
			Stops: uint32(t.Stops), Opens: uint32(t.Opens),
		},
	}
	for _, d := range p.Documents {
		m.Documents = append(m.Documents, &op25bv1.DocumentDiff{Path: d.Path, Added: d.Added, Removed: d.Removed, Unified: d.Unified, Truncated: d.Truncated})
	}
	m.Removals = removalMessages(p.Removals)
	m.Proof = proofMessage(p.Proof, p.ProofErr)
	for _, s := range p.Switches {
		m.Switches = append(m.Switches, switchPlanMessage(s))
	}
	return m
}

func switchPlanMessage(s *plan.SwitchPlan) *op25bv1.SwitchPlan {
	m := &op25bv1.SwitchPlan{
		Switch: s.Switch, Address: s.Address, Standing: string(s.Standing), Reason: s.Reason, Waits: s.Waits(), AppliedRevision: s.AppliedRevision,
		PhaseBefore: s.PhaseBefore.String(), PhaseAfter: s.PhaseAfter.String(), Drift: entryDiffMessage(s.Drift), Change: entryDiffMessage(s.Change),
		Updates: uint64(s.Updates),
	}
	if s.Err != nil {
		m.Error = s.Err.Error()
	}
	for _, step := range s.Steps {
		m.Steps = append(m.Steps, &op25bv1.PlanStep{Why: step.Why, Updates: uint32(step.Updates)})
	}
	for _, f := range s.Tables {
		m.Tables = append(m.Tables, &op25bv1.TableFill{Table: f.Table, Entries: uint64(f.Entries), Size: uint64(f.Size)})
	}
	for _, x := range s.Meaning {
		m.Meaning = append(m.Meaning, &op25bv1.Sentence{Kind: string(x.Kind), Severity: string(x.Severity), Text: x.Text, Count: uint32(x.Count), What: x.What, Terms: x.Terms})
	}
	return m
}

func entryDiffMessage(d *plan.EntryDiff) *op25bv1.Difference {
	if d == nil {
		return nil
	}
	m := &op25bv1.Difference{
		Added: uint64(d.Added), Changed: uint64(d.Changed), Removed: uint64(d.Removed), Foreign: uint64(d.Foreign), Truncated: d.Truncated(),
	}
	for i := range d.Entries {
		c := &d.Entries[i]
		x := &op25bv1.EntryChange{Kind: string(c.Kind), Table: c.Table()}
		if !c.Old.IsZero() {
			x.Old = c.Old.String()
		}
		if !c.New.IsZero() {
			x.New = c.New.String()
		}
		m.Entries = append(m.Entries, x)
	}
	return m
}
