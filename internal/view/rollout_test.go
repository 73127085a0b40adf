package view

import (
	"google.golang.org/protobuf/types/known/durationpb"

	op25bv1 "op25b/proto/op25b/v1"
)

// The rollouts that the tests show.
var (
	rolloutRings = []*op25bv1.Ring{
		{Name: "first", Switches: []string{"edge-1"}, Soak: durationpb.New(30 * 60e9), TicketBound: 5, TicketLines: 3, UnplacedTickets: 2},
		{Name: "early", Switches: []string{"edge-2", "edge-3"}, Soak: durationpb.New(2 * 3600e9), TicketBound: 5},
		{Name: "rest\x1b[31m", Switches: []string{"edge-4", "edge-5", "edge-6", "edge-7", "edge-8", "edge-9"}, Soak: durationpb.New(90e9)},
	}
	soakingRollout = &op25bv1.Rollout{
		Id: "3", Phase: "all-destinations", Rings: rolloutRings, State: op25bv1.RolloutState_ROLLOUT_STATE_SOAKING, Ring: 1, Wanted: 2,
		Since: at("2006-06-15T00:00:00Z"), Author: "noc", Reason: "OP25B-41",
	}
	heldRollout = &op25bv1.Rollout{
		Id: "3", Phase: "all-destinations", Groups: []string{"adsl", "bflets"}, Rings: rolloutRings, State: op25bv1.RolloutState_ROLLOUT_STATE_HELD, Ring: 1, Wanted: 2,
		Since: at("2006-06-15T00:00:00Z"), Author: "noc", Reason: "OP25B-41", SteeredBy: "shift-2", Note: "back from lunch",
		Findings: []*op25bv1.Finding{
			{Gate: "affected", Verdict: op25bv1.FindingVerdict_FINDING_VERDICT_HOLD, Ring: "early", Text: "25 lines are newly affected, and the forecast says 20"},
			{Gate: "counting", Verdict: op25bv1.FindingVerdict_FINDING_VERDICT_NO_DATA, Ring: "early", Switches: rolloutRings[2].Switches, Text: "the last sample is 40s old"},
		},
	}
	backRollout = &op25bv1.Rollout{
		Id: "2", Phase: "drain", Rings: rolloutRings, State: op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK, Ring: 1, Since: at("2006-06-15T00:00:00Z"), Author: "noc", Reason: "OP25B-40",
		Findings: []*op25bv1.Finding{{Gate: "submission", Verdict: op25bv1.FindingVerdict_FINDING_VERDICT_GO_BACK, Ring: "first", Switches: []string{"edge-1"}, Text: "3 packets to port 587 or 465 of other providers were stopped"}},
	}
	documentsRollout = &op25bv1.Rollout{
		Id: "4", Policy: "spinnet-2006", Rings: rolloutRings, State: op25bv1.RolloutState_ROLLOUT_STATE_REHEARSING, Wanted: 1, Since: at("2006-06-15T00:00:00Z"), Author: "noc", Reason: "OP25B-44",
	}
	rollouts   = &op25bv1.ListRolloutsResponse{Rollouts: []*op25bv1.Rollout{documentsRollout, soakingRollout, backRollout}, UtcOffset: "+09:00"}
	noRollouts = &op25bv1.ListRolloutsResponse{}
)
