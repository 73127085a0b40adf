package drive

import (
	"testing"
	"time"

	"op25b/internal/policy"
	"op25b/internal/rollout"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
)

// fakeCounter has the counters of one switch as a test sets them.
type fakeCounter struct {
	Counter
	stopped map[uint32]uint64 // by line
}

func (fakeCounter) Interval() time.Duration     { return 10 * time.Second }
func (fakeCounter) LineInterval() time.Duration { return time.Minute }

func (f fakeCounter) Lines(string) (all []telemetry.LineCount) {
	for line, n := range f.stopped {
		c := telemetry.LineCount{Line: line}
		c.Outcomes[telemetry.Stopped].Packets = n
		all = append(all, c)
	}
	return all
}

// TestCount verifies which counters of a switch are counted as what, with the actions that the documents give the rules.
func TestCount(t *testing.T) {
	w := newWorld(t)
	in, err := w.book.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rules, err := in.Meanings("edge-east", policy.Everywhere("all-destinations"))
	if err != nil {
		t.Fatal(err)
	}
	var sw tally.Switch
	sw.Status.Switch = "edge-east"
	for i, r := range rules {
		sw.Actions = append(sw.Actions, tally.RuleAction{Rule: r.Name, Action: r.Action})
		sw.Totals = append(sw.Totals, tally.Total{Key: tally.Key{Rule: r.Name}, Count: telemetry.Count{Packets: 1 << i}})
	}
	total := uint64(1)<<len(rules) - 1
	sw.Reading = &telemetry.Reading{}
	for _, name := range []string{"core", "gateway-1", "gateway-2"} { // core is a network port
		x := telemetry.Interface{Name: name}
		x.Counters[telemetry.InPkts] = 100
		sw.Reading.Interfaces = append(sw.Reading.Interfaces, x)
	}
	c := count(in, sw)
	relays := uint64(0)
	for i, r := range rules {
		if r.Name == policy.RuleRelay {
			relays = 1 << i
		}
	}
	if relays == 0 || c.Relays != relays || c.Submission != 0 || c.Counted != total || c.Link != 200 || c.Lines != len(in.Bundle.Inventory.Switches[0].Lines) {
		t.Errorf("the counts are %+v; want %d to the relays, %d in all, and 200 on the link", c, relays, total)
	}
	// No policy may stop submission to others. If an action said so all the same, it would be counted.
	bad := *in.Bundle.Policy
	bad.Services = append(bad.Services, policy.Service{Name: "other-submission", Ports: []policy.TCPPort{policy.PortSubmission}})
	bad.Phases = append(bad.Phases, policy.Phase{Name: "bad", Rules: []policy.PhaseRule{{Name: "bad-rule", Service: "other-submission", Action: policy.Drop}}})
	wrong := *in
	bundle := *in.Bundle
	bundle.Policy, wrong.Bundle = &bad, &bundle
	sw.Actions = append(sw.Actions, tally.RuleAction{Rule: "bad-rule", Action: policy.Drop})
	sw.Totals = append(sw.Totals, tally.Total{Key: tally.Key{Rule: "bad-rule"}, Count: telemetry.Count{Packets: 7}})
	if c := count(&wrong, sw); c.Submission != 7 {
		t.Errorf("%d packets to 587 count as stopped, want 7", c.Submission)
	}
}

// TestAffected verifies that a line counts as newly affected if its mail was stopped since the switch was given the phase, and not before.
func TestAffected(t *testing.T) {
	now := time.Date(2006, 6, 15, 9, 0, 0, 0, time.UTC)
	counter := fakeCounter{stopped: map[uint32]uint64{1: 5, 2: 0, 3: 0}}
	p := &publisher{Driver: &Driver{Counters: counter, Forecasts: noForecast{}, Now: func() time.Time { return now }}, known: map[string]*knownLines{}}
	s := &Stored{Record: rollout.Record{Change: rollout.Change{Phase: "x"}}}
	ask := func(has bool) (c Counts) {
		c.At = now
		p.lines(&c, nil, s, "edge", has)
		return c
	}
	if c := ask(false); c.Affected != 0 || !c.ForecastKnown || !c.Since.Equal(now) {
		t.Errorf("at first: %+v", c)
	}
	counter.stopped[1], counter.stopped[2] = 6, 1 // both are stopped already before the phase
	if c := ask(false); c.Affected != 2 {
		t.Errorf("before the phase, %d lines are stopped, want 2", c.Affected)
	}
	now = now.Add(time.Minute)
	s.First = map[string]time.Time{"edge": now}
	now = now.Add(10 * time.Second)
	counter.stopped[7] = 1 // by the phase, and this controller has not learnt yet that the switch has it
	ask(false)
	if c := ask(true); c.Affected != 0 || !c.Since.Equal(now) || !c.ForecastKnown {
		t.Errorf("with the phase: %+v", c)
	}
	// The first samples of the lines may show what was stopped before.
	counter.stopped[5] = 1
	if c := ask(true); c.Affected != 0 || c.LinesCounted {
		t.Errorf("before the lines are sampled: %+v", c)
	}
	now = now.Add(80 * time.Second)
	if c := ask(true); c.Affected != 0 || c.LinesCounted {
		t.Errorf("when the lines are sampled once: %+v", c)
	}
	counter.stopped[1], counter.stopped[2], counter.stopped[3], counter.stopped[4] = 9, 9, 1, 1
	now = now.Add(80 * time.Second)
	counter.stopped[7] = 2
	if c := ask(true); c.Affected != 3 || !c.LinesCounted || !c.With { // lines 3, 4 and 7
		t.Errorf("%d lines are newly affected, want 3: %+v", c.Affected, c)
	}
	// The phase is taken back, as after the rehearsal, and given again.
	if c := ask(false); c.Affected != 0 {
		t.Errorf("without the phase again, %d lines are affected", c.Affected)
	}
	counter.stopped[6] = 1 // by the phase, which the switch still has
	ask(false)
	ask(true)
	now = now.Add(80 * time.Second)
	ask(true)
	for line := range uint32(8) {
		counter.stopped[line]++
	}
	if c := ask(true); c.Affected != 6 { // all but 1 and 2
		t.Errorf("after the rehearsal, %d lines are newly affected, want 6", c.Affected)
	}
}
