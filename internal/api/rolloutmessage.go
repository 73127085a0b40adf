package api

import (
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/rollout"
	"op25b/internal/rollout/drive"
	op25bv1 "op25b/proto/op25b/v1"
)

func rolloutMessage(s *drive.Stored) *op25bv1.Rollout {
	m := &op25bv1.Rollout{
		Id: s.ID, Phase: s.Record.Change.Phase, Groups: s.Record.Change.Groups, State: rolloutStates[s.State], Ring: uint32(s.Ring), Since: timestamppb.New(s.Since),
		Findings: findingMessages(s.Record, s.Findings), Author: s.Author, Reason: s.Reason, SteeredBy: s.By, Note: s.Note, Wanted: uint32(s.Rings()), Policy: s.Record.Change.Policy,
		Resumes: rolloutStates[s.Resumes],
	}
	for _, stage := range s.Stages {
		n := s.Tickets[stage.Name]
		m.Rings = append(m.Rings, &op25bv1.Ring{
			Name: stage.Name, Switches: stage.Switches, Soak: durationpb.New(stage.Soak),
			TicketBound: uint32(stage.Gates.Tickets.Lines), TicketLines: uint32(n.Lines), UnplacedTickets: uint32(n.Unplaced),
		})
	}
	for _, gate := range s.Accepted {
		m.Accepted = append(m.Accepted, string(gate))
	}
	return m
}

func findingMessages(r rollout.Record, all []rollout.Finding) (m []*op25bv1.Finding) {
	for _, f := range all {
		m = append(m, &op25bv1.Finding{
			Gate: string(f.Gate), Verdict: findingVerdicts[f.Verdict], Ring: f.Ring, Switches: f.Switches, Text: f.Text, Accepted: r.Accepts(f),
		})
	}
	return m
}

func seenMessage(s *drive.Seen) *op25bv1.RolloutSeen {
	m := &op25bv1.RolloutSeen{Time: timestamppb.New(s.Time), Leader: s.Leader, Gates: findingMessages(s.Record, s.Gates)}
	for _, r := range s.Rings {
		m.Rings = append(m.Rings, &op25bv1.RingSeen{
			Confirmed: uint32(r.Confirmed), Lines: uint64(r.Lines), Affected: r.Affected, Forecast: r.Forecast, ForecastKnown: r.ForecastKnown, Counted: stamp(r.Counted),
		})
	}
	return m
}
