package api

import (
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/intent"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// historyOf returns the revisions in descending order. Each revision is preceded by the dates that came into force while it was the
// current revision.
func historyOf(revisions []store.Revision, dated []intent.Dated) *op25bv1.HistoryResponse {
	answer := &op25bv1.HistoryResponse{}
	for _, r := range revisions {
		for _, d := range slices.Backward(dated) {
			if d.Revision == r.Number {
				answer.Entries = append(answer.Entries, &op25bv1.HistoryEntry{Entry: &op25bv1.HistoryEntry_Date{Date: dateEvent(d)}})
			}
		}
		m := storedRevision(r)
		answer.Revisions = append(answer.Revisions, m)
		answer.Entries = append(answer.Entries, &op25bv1.HistoryEntry{Entry: &op25bv1.HistoryEntry_Revision{Revision: m}})
	}
	return answer
}

func dateEvent(d intent.Dated) *op25bv1.DateEvent {
	m := &op25bv1.DateEvent{
		Kind: op25bv1.DateEvent_PHASE, Time: timestamppb.New(d.At), Recorded: timestamppb.New(d.Recorded), RecordedBy: d.By,
		Revision: d.Revision, Phase: d.Phase, ExemptionsEnded: uint32(d.Count),
	}
	if d.Kind == intent.ExemptionsEnded {
		m.Kind = op25bv1.DateEvent_EXEMPTIONS
	}
	for _, t := range d.Turned {
		m.Turns = append(m.Turns, &op25bv1.DateTurn{
			From: t.From, To: t.To, Groups: t.Groups, ByDefault: t.ByDefault, EveryLine: t.EveryLine, Switches: t.Switches,
		})
	}
	for _, e := range d.Ended {
		m.Exemptions = append(m.Exemptions, &op25bv1.EndedExemption{Line: e.Line, Prefix: e.Prefix, Owner: e.Owner, Ticket: e.Ticket})
	}
	return m
}
