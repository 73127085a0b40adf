package rollout

import (
	"strings"
	"testing"
	"time"
)

// well returns the measure of a switch on which every gate passes.
func well(name string) Measure {
	return Measure{
		Switch: name, At: epoch.Add(time.Hour), From: epoch,
		Steady: epoch, LinesCounted: true, RelayPermits: 1000, RelayPermitsBefore: 1000, Before: time.Hour, CountedBefore: 5000, Still: time.Second, StillLink: 30,
		Stopped: 500, StoppedBefore: 500, FullestTable: "verdict", Full: 0.5, Affected: 10, Forecast: 10, ForecastKnown: true, Lines: 1000,
	}
}

// TestEvaluate verifies what each gate says of each kind of measurement, and the text that an operator reads.
func TestEvaluate(t *testing.T) {
	stage := Stage{Name: "first", Switches: []string{"a", "b"}}
	for _, tc := range []struct {
		name   string
		change func(*Reading)
		gate   GateName
		want   string // the finding, or "pass"
	}{
		{"nothing is wrong", func(*Reading) {}, Submission, "pass"},
		{"submission", func(r *Reading) { r.Ring[0].SubmissionStopped = 3 }, Submission, "submission of ring first (a): go-back: 3 packets to port 587 or 465 of other providers were stopped"},
		{"submission on a switch without new samples", func(r *Reading) { r.Ring[0].SubmissionStopped, r.Ring[0].At = 3, epoch.Add(time.Second) }, Submission, "submission of ring first (a): go-back: 3 packets to port 587 or 465 of other providers were stopped"},
		{"not probed", func(r *Reading) { r.Ring[1].Unprobed = "it was not probed since the change" }, Probes, "probes of ring first (b): no-data: it was not probed since the change"},
		{"answers no probe", func(r *Reading) { r.Ring[1].Unanswered = "it was not probed: no CPU port" }, Probes, "probes of ring first (b): hold: it was not probed: no CPU port"},
		{"stale", func(r *Reading) { r.Ring[0].At = epoch.Add(50 * time.Minute) }, Submission, "submission of ring first (a): no-data: the last sample is 10m5s old"},
		{"no sample", func(r *Reading) { r.Ring[0].At = time.Time{} }, Counting, "counting of ring first (a): no-data: there is no sample"},
		{"no sample since", func(r *Reading) { r.Ring[0].From = r.Ring[0].At }, Relays, "relays of ring first (a): no-data: there is no sample after the change"},
		{"no measure of b", func(r *Reading) { r.Ring = r.Ring[:1] }, Tables, "tables of ring first (b): no-data: there is no measurement"},
		{"relays collapse", func(r *Reading) { r.Ring[0].RelayPermits = 99 }, Relays, "relays of ring first (a): go-back: 99 packets were permitted to the relays, and 1000 before the change in as long a time"},
		{"relays at a tenth", func(r *Reading) { r.Ring[0].RelayPermits = 100 }, Relays, "pass"},
		{"hardly any mail before", func(r *Reading) { r.Ring[0].RelayPermits, r.Ring[0].RelayPermitsBefore = 0, 19 }, Relays, "pass"},
		{"too early for the relays", func(r *Reading) { r.Ring[0].RelayPermits, r.Ring[0].Steady = 0, r.Ring[0].At.Add(-time.Minute) }, Relays, "relays of ring first (a): no-data: only 1m0s since the change"},
		{"counters stand still", func(r *Reading) { r.Ring[1].Still, r.Ring[1].StillLink = 10*time.Minute, 1_000_000 }, Counting, "counting of ring first (b): go-back: no counter has moved for 10m0s while the access ports received 1000000 packets; before the change, 833 packets were counted in as long a time"},
		{"no mail for a while", func(r *Reading) { r.Ring[1].Still, r.Ring[1].StillLink = 2*time.Minute, 1_000_000 }, Counting, "pass"},
		{"hardly any mail before, and no mail since", func(r *Reading) {
			r.Ring[1].Still, r.Ring[1].StillLink, r.Ring[1].CountedBefore = time.Hour, 1_000_000, 199
		}, Counting, "pass"},
		{"nobody is awake", func(r *Reading) { r.Ring[1].Still, r.Ring[1].StillLink = time.Hour, 999 }, Counting, "pass"},
		{"nothing is known of the time before", func(r *Reading) { r.Ring[1].Still, r.Ring[1].StillLink, r.Ring[1].Before = time.Hour, 1_000_000, 0 }, Counting, "pass"},
		{"drift", func(r *Reading) { r.Ring[0].Unwell = "drift: 1 entry of table verdict is missing" }, Switches, "switches of ring first (a): go-back: drift: 1 entry of table verdict is missing"},
		{"no living controller", func(r *Reading) { r.Ring[1].Unseen = "no living controller reports the switch: owner-gone" }, Switches, "switches of ring first (b): no-data: no living controller reports the switch: owner-gone"},
		{"full", func(r *Reading) { r.Ring[0].Full = 0.951 }, Tables, "tables of ring first (a): go-back: table verdict is 95.1 % full, and may be 95 %"},
		{"not so full", func(r *Reading) { r.Ring[0].Full = 0.95 }, Tables, "pass"},
		{"tables unknown", func(r *Reading) { r.Ring[0].FullestTable = "" }, Tables, "tables of ring first (a): no-data: the use of the tables is not known"},
		{"more affected", func(r *Reading) { r.Ring[0].Affected = 15 }, Affected, "affected of ring first: hold: 25 lines are newly affected, and the forecast says 20"},
		{"as many affected as accepted", func(r *Reading) { r.Ring[0].Affected = 14 }, Affected, "pass"},
		{"no forecast", func(r *Reading) { r.Ring[1].ForecastKnown = false }, Affected, "affected of ring first (b): hold: there is no forecast"},
		{"more stopped than in the control", func(r *Reading) { r.Ring[0].Affected = 100 }, Rejects, "rejects of ring first: hold: mail of 110 of 2000 lines was newly stopped, and of 20 of 2000 lines in the control ring"},
		{"another controller", func(r *Reading) { r.Ring[1].Recounted = epoch.Add(time.Minute) }, Affected, "affected of ring first (b): hold: the lines are counted only since 2006-06-15T09:01:00Z, when the switch got another controller"},
		{"not seen with the change", func(r *Reading) { r.Ring[0].Steady = time.Time{} }, Relays, "relays of ring first (a): no-data: there is no sample since the switch was seen with the change"},
		{"lines not sampled yet", func(r *Reading) { r.Ring[1].LinesCounted = false }, Affected, "affected of ring first (b): no-data: the counters of lines have not been sampled long enough since the change"},
		{"more affected before all lines are sampled", func(r *Reading) { r.Ring[0].LinesCounted, r.Ring[0].Affected = false, 15 }, Affected, "affected of ring first: hold: 25 lines are newly affected, and the forecast says 20"},
		{"lines not compared yet", func(r *Reading) { r.Ring[1].LinesCounted = false }, Rejects, "rejects of ring first (b): no-data: there are no new samples"},
		{"fewer stopped", func(r *Reading) { r.Ring[0].Affected = 0 }, Rejects, "pass"},
		{"control without samples", func(r *Reading) { r.Control[0].At = time.Time{} }, Rejects, "rejects of ring first (c): no-data: there are no new samples of the control ring"},
		{"stops nothing any more", func(r *Reading) { r.Documents, r.Ring[0].Stopped = true, 49 }, Stopping, "stopping of ring first (a): hold: 49 packets were stopped, and 500 before the change in as long a time"},
		{"stops a tenth", func(r *Reading) { r.Documents, r.Ring[0].Stopped = true, 50 }, Stopping, "pass"},
		{"stopped hardly anything before", func(r *Reading) { r.Documents, r.Ring[0].Stopped, r.Ring[0].StoppedBefore = true, 0, 19 }, Stopping, "pass"},
		{"too early for what is stopped", func(r *Reading) { r.Documents, r.Ring[0].Steady = true, r.Ring[0].At.Add(-time.Minute) }, Stopping, "stopping of ring first (a): no-data: only 1m0s since the change"},
		{"what is stopped is not known", func(r *Reading) { r.Documents, r.Ring[0].At = true, time.Time{} }, Stopping, "stopping of ring first (a): no-data: there is no sample"},
		{"a phase may stop nothing", func(r *Reading) { r.Ring[0].Stopped = 0 }, Stopping, "pass"},
		{"tickets are not watched", func(r *Reading) { r.Tickets = Tickets{Lines: 50} }, TicketsOpened, "pass"},
		{"no control", func(r *Reading) { r.Control, r.Ring[0].Affected = nil, 500 }, Rejects, "pass"},
	} {
		in := Reading{Time: epoch.Add(time.Hour + 5*time.Second), Ring: []Measure{well("a"), well("b")}, Control: []Measure{well("c"), well("d")}}
		tc.change(&in)
		found := DefaultGates().Evaluate(stage, in)
		seen := map[GateName]bool{}
		for _, f := range found {
			seen[f.Gate] = true
			if f.Gate != tc.gate {
				continue
			}
			got := f.String()
			if f.Verdict == Pass {
				got = "pass"
			}
			if got != tc.want {
				t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
			}
		}
		for _, g := range gateNames() {
			if !seen[g] {
				t.Errorf("%s: gate %s says nothing", tc.name, g)
			}
		}
	}
}

// TestNothingMeasured verifies that a ring of which nothing is known passes no gate except the comparison, for which a ring may lack a control.
func TestNothingMeasured(t *testing.T) {
	gates := DefaultGates()
	gates.Tickets = TicketBound{Lines: 1, Within: time.Minute}
	for _, f := range gates.Evaluate(Stage{Name: "first", Switches: []string{"a"}}, Reading{Time: epoch}) {
		if optional := f.Gate == Rejects; (f.Verdict == Pass) != optional || !optional && f.Verdict != NoData {
			t.Errorf("nothing is known, and %v", f)
		}
	}
}

// TestTextsOfVerdicts verifies that every verdict has a name of its own.
func TestTextsOfVerdicts(t *testing.T) {
	seen := map[string]bool{}
	for v := NoData; v <= GoBack; v++ {
		if name := v.String(); seen[name] || strings.TrimSpace(name) == "" {
			t.Errorf("verdict %d is %q", v, name)
		} else {
			seen[name] = true
		}
	}
}
