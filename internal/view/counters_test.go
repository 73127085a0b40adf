package view

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	op25bv1 "op25b/proto/op25b/v1"
)

func counter[T any](v T) *T { return &v }

// syncedOf returns a switch with current values.
func syncedOf(packets uint64) *op25bv1.SwitchCounters {
	return &op25bv1.SwitchCounters{
		Switch: "edge-1", Address: "192.0.2.1:9339", State: op25bv1.CollectionState_COLLECTION_STATE_SYNCED, Owner: "noc-1", OwnerAddress: "192.0.2.10:2525",
		Since: at("2026-11-22T08:00:00Z"), Updated: at("2026-11-22T08:59:57Z"), RatesOver: durationpb.New(50 * time.Second),
		Rules: []*op25bv1.RuleCounters{
			{Rule: "relay", Leg: "up_dst", Phase: "all-destinations", Packets: 30, Octets: 1800, PacketsPerSecond: counter(0.02), OctetsPerSecond: counter(1.2)},
			{Rule: "smtp-all", Leg: "up_dst", Phase: "before", Packets: 18446744073709551615, Octets: 18446744073709551615, PacketsPerSecond: counter(0.0)},
			{Rule: "smtp-all", Leg: "up_dst", Phase: "all-destinations; mobile-carriers: adsl, isdn, bflets, hikari-premium", Packets: packets, Octets: 60 * packets, PacketsPerSecond: counter(9.94)},
			{Rule: "tiny-fragment", Phase: "all-destinations", Packets: 7, Octets: 420, PacketsPerSecond: counter(9.96)},
		},
		RulesLeftOut: 476,
		Interfaces: []*op25bv1.InterfaceCounters{
			{
				Interface: "access-1", Port: 1, OperStatus: "UP", InPackets: counter[uint64](1_000_000), InOctets: counter[uint64](60_000_000), InPacketsPerSecond: counter(1500.4),
				InDiscards: counter[uint64](0), InErrors: counter[uint64](2), OutPackets: counter[uint64](5),
			},
			{Interface: "spare", OperStatus: "DOWN"},
		},
		InterfacesLeftOut: 1,
	}
}

func lostOf() *op25bv1.SwitchCounters {
	return &op25bv1.SwitchCounters{
		Switch: "edge-2", State: op25bv1.CollectionState_COLLECTION_STATE_DISCONNECTED, Reason: op25bv1.CollectionReason_COLLECTION_REASON_UNREACHABLE,
		Detail: "gNMI target 192.0.2.2:9339: connection refused", Since: at("2026-11-22T08:57:50Z"), Updated: at("2026-11-22T08:57:48Z"), Owner: "noc-1", RejectedValues: 3,
		Rules: []*op25bv1.RuleCounters{{Rule: "relay", Leg: "any", Packets: 3, Octets: 180}},
	}
}

func countersOf() *op25bv1.ListCountersResponse {
	return &op25bv1.ListCountersResponse{Controller: "noc-1", UtcOffset: "+09:00", Switches: []*op25bv1.SwitchCounters{
		syncedOf(1200), lostOf(),
		{Switch: "edge-3", State: op25bv1.CollectionState_COLLECTION_STATE_SYNCED, Updated: at("2026-11-22T09:00:00Z"), Owner: "noc-1"},
		{
			Switch: "edge-4", State: op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE, Reason: op25bv1.CollectionReason_COLLECTION_REASON_OWNER_NOT_ASKED,
			Detail: "no controller answers at https://192.0.2.11:2525: connection refused", Owner: "noc-2", OwnerAddress: "192.0.2.11:2525",
		},
		{Switch: "edge-5", State: op25bv1.CollectionState_COLLECTION_STATE_NOT_OWNED, Reason: op25bv1.CollectionReason_COLLECTION_REASON_NO_OWNER},
	}}
}

// sinceOf returns an answer with counts from history.
func sinceOf() *op25bv1.ListCountersResponse {
	some := syncedOf(1200)
	some.Interfaces, some.InterfacesLeftOut = nil, 0
	some.Counted = &op25bv1.CountedSince{
		From: at("2026-11-21T09:00:00Z"), To: at("2026-11-22T09:00:00Z"), Recorded: durationpb.New(23*time.Hour + 30*time.Minute),
		Rules: []*op25bv1.RuleCounters{{Rule: "relay", Leg: "up_dst", Phase: "all-destinations", Packets: 4, Octets: 240}},
	}
	none := syncedOf(1200)
	none.Switch, none.Interfaces, none.InterfacesLeftOut = "edge-2", nil, 0
	none.Counted = &op25bv1.CountedSince{From: at("2026-11-21T09:00:00Z"), To: at("2026-11-22T09:00:00Z"), Recorded: durationpb.New(24 * time.Hour)}
	unknown := syncedOf(1200)
	unknown.Switch, unknown.Interfaces, unknown.InterfacesLeftOut = "edge-3", nil, 0
	unknown.Counted = &op25bv1.CountedSince{From: at("2026-11-21T09:00:00Z"), To: at("2026-11-22T09:00:00Z"), Recorded: durationpb.New(0)}
	return &op25bv1.ListCountersResponse{Controller: "noc-1", UtcOffset: "+09:00", Switches: []*op25bv1.SwitchCounters{some, none, unknown}}
}

// counted returns the messages of a watch. They are from two controllers, and contain changes of
// counters and states.
func counted() []*op25bv1.WatchCountersResponse {
	first, later, lost := syncedOf(1200), syncedOf(1230), lostOf()
	first.Rules, first.RulesLeftOut = first.Rules[2:], 0
	later.Rules, later.RulesLeftOut = later.Rules[2:], 0
	later.Interfaces[0].OperStatus = "DOWN"
	back := lostOf()
	back.State, back.Reason, back.Detail, back.Owner, back.RejectedValues = op25bv1.CollectionState_COLLECTION_STATE_SYNCED, 0, "", "noc-2", 0
	back.Rules = append(back.Rules, &op25bv1.RuleCounters{Rule: "smtp-all", Leg: "up_dst", Phase: "before", Packets: 1, Octets: 60})
	return []*op25bv1.WatchCountersResponse{
		{Controller: "noc-1", Switches: []*op25bv1.SwitchCounters{first}},
		{Controller: "noc-2", Switches: []*op25bv1.SwitchCounters{lost}},
		{Controller: "noc-1", Switches: []*op25bv1.SwitchCounters{later}},
		{Controller: "noc-2", Switches: []*op25bv1.SwitchCounters{back}},
		{Controller: "noc-1", Switches: []*op25bv1.SwitchCounters{later}, Gone: []string{"edge-2"}},
	}
}

// TestNothingRecorded verifies that a switch of which less than a second was recorded, which is shown as 0s, is not said to have counted nothing.
func TestNothingRecorded(t *testing.T) {
	for recorded, known := range map[time.Duration]bool{0: false, 300 * time.Millisecond: false, time.Second: true} {
		r := sinceOf()
		r.Switches = r.Switches[2:]
		r.Switches[0].Counted.Recorded = durationpb.New(recorded)
		var b strings.Builder
		if err := Table(&b, options()).Counters(r); err != nil {
			t.Fatal(err)
		}
		if text := b.String(); strings.Contains(text, "No packet matched a rule") != known || strings.Contains(text, "Nothing was recorded") == known {
			t.Errorf("%v recorded:\n%s", recorded, text)
		}
	}
}

// TestWordsOfCollections verifies that every state and every reason of a collection has a text.
func TestWordsOfCollections(t *testing.T) {
	for n, name := range op25bv1.CollectionState_name {
		if collectionNames[op25bv1.CollectionState(n)] == "" {
			t.Errorf("%s has no words", name)
		}
	}
	of := make(map[string]string)
	for n, name := range op25bv1.CollectionReason_name {
		text := collectionReasons[op25bv1.CollectionReason(n)]
		if other := of[text]; text == "" || other != "" {
			t.Errorf("%s has the words %q, which %s has too", name, text, other)
		}
		of[text] = name
	}
	if len(collectionNames) != len(op25bv1.CollectionState_name) || len(collectionReasons) != len(op25bv1.CollectionReason_name) {
		t.Error("there are words for values that do not exist")
	}
	if got := collectionText(99) + ", " + collectionReason(99); got != "99, 99" {
		t.Errorf("values of a newer controller: %s", got)
	}
}
