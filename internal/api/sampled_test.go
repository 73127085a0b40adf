package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/internal/policy"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
	op25bv1 "op25b/proto/op25b/v1"
)

// The enums of the API have every state and reason of the collector, under the same names.
func TestCollectionEnums(t *testing.T) {
	for s := telemetry.Disconnected; s <= telemetry.Stale; s++ {
		if got, want := op25bv1.CollectionState(s).String(), "COLLECTION_STATE_"+strings.ToUpper(s.String()); got != want {
			t.Errorf("%v is %s, want %s", s, got, want)
		}
	}
	for r := telemetry.ReasonScheduled; r <= telemetry.ReasonTLS; r++ {
		if got, want := op25bv1.CollectionReason(r).String(), "COLLECTION_REASON_"+strings.ToUpper(r.String()); got != want {
			t.Errorf("%v is %s, want %s", r, got, want)
		}
	}
}

// A switch has at most maxRowsOfSwitch rules and interfaces in an answer, and the number of the others. All rows are counted before an
// answer is built.
func TestCountersAreBounded(t *testing.T) {
	s := &tally.Sample{Status: telemetry.Status{Switch: "edge-1", State: telemetry.Disconnected, Err: errors.New(
		`gNMI target 192.0.2.1:9339: capabilities: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 192.0.2.1:9339: connect: connection refused"`)}}
	for i := range 1500 {
		s.Totals = append(s.Totals, tally.SampledTotal{Total: tally.Total{Key: tally.Key{Rule: fmt.Sprint("r", i)}}})
		s.Interfaces = append(s.Interfaces, tally.SampledInterface{Interface: telemetry.Interface{Name: fmt.Sprint("i", i)}})
	}
	f := &foundCounters{switches: []foundSwitch{{Switch: &policy.Switch{Name: "edge-1"}, sample: s}}}
	m := f.messages()[0]
	if len(m.Rules) != 1024 || m.RulesLeftOut != 476 || len(m.Interfaces) != 1024 || m.InterfacesLeftOut != 476 || f.rows() != 2048 {
		t.Errorf("%d rules and %d more, %d interfaces and %d more, %d rows", len(m.Rules), m.RulesLeftOut, len(m.Interfaces), m.InterfacesLeftOut, f.rows())
	}
	if want := "gNMI target 192.0.2.1:9339: connection refused"; m.Detail != want {
		t.Errorf("the detail is %q, want %q", m.Detail, want)
	}
	if err := tooManyRows(300_000, maxRows); err.Error() != "resource_exhausted: the answer would have 300000 rules and interfaces, more than 262144: name fewer switches, rules or interfaces" {
		t.Error(err)
	}
}

// A message is sent an interval after the last one, or earlier if the state of a collection has changed.
func TestPace(t *testing.T) {
	sent := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	p := pace{sent: sent}
	for i, tc := range []struct{ pause, at time.Duration }{
		{10 * time.Second, 10 * time.Second}, {time.Second, time.Second}, {10 * time.Second, time.Second}, // later news do not delay earlier ones
	} {
		at, sooner := p.look(tc.pause)
		if at != sent.Add(tc.at) || sooner != (tc.pause == tc.at) {
			t.Errorf("%d: at %v, sooner %v, want %v after the last message", i, at, sooner, tc.at)
		}
	}
}

func TestCounterWatcher(t *testing.T) {
	of := func(packets uint64, seconds int64) []*op25bv1.SwitchCounters {
		return []*op25bv1.SwitchCounters{{Switch: "a", Updated: stamp(time.Unix(seconds, 0)), Rules: []*op25bv1.RuleCounters{{Rule: "relay", Packets: packets}}}}
	}
	var w counterWatcher
	w.told = map[string][32]byte{}
	if got := w.news(of(1, 1)); len(got.GetSwitches()) != 1 || got.Switches[0].Updated == nil {
		t.Errorf("first: %v", got)
	}
	if got := w.news(of(1, 2)); got != nil {
		t.Errorf("only the age of the values differs: %v", got)
	}
	if got := w.news(of(2, 3)); len(got.GetSwitches()) != 1 {
		t.Errorf("a counter differs: %v", got)
	}
	if got := w.news(nil); !slices.Equal(got.GetGone(), []string{"a"}) {
		t.Errorf("a switch has left the inventory: %v", got)
	}
}
