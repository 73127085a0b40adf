package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/rollout"
	"op25b/internal/rollout/drive"
	"op25b/internal/rollout/rings"
	"op25b/internal/strict"
)

// The fleet of the wrong policies has twelve embedded switches in four rings. Each switch has the four subscribers and three servers of
// examples/spinnet-2006 as virtual hosts, which send mail all the time. In force is the phase of 2006 in which mail to the carriers is stopped.
const wrongSwitches = 12

var wrongRings = [][]int{{1}, {2, 3}, {4, 5, 6}, {7, 8, 9, 10, 11, 12}}

// The expected outcomes of the phase, by line and server. Each host tries them in turn.
var wrongTraffic = []struct {
	line, server string
	passes       bool
}{
	{"adsl-home", "198.51.100.25:25", true},  // our relay
	{"adsl-home", "203.0.113.129:587", true}, // submission to another provider
	{"adsl-home", "203.0.113.129:25", true},  // another provider's MX: only monitored in this phase
	{"adsl-bot", "203.0.113.25:25", false},   // a carrier's MX
	{"adsl-bot", "203.0.113.129:25", true},
	{"business-fixed", "203.0.113.25:25", true}, // the line is exempt
	{"business-fixed", "203.0.113.129:25", true},
	{"mobile-sim", "198.51.100.25:25", true},
	{"mobile-sim", "203.0.113.129:587", true},
}

// wrongEvery is the pause of a host between two connections.
const wrongEvery = 250 * time.Millisecond

// A wrongPolicy is a change of the documents with a mistake.
type wrongPolicy struct {
	name string
	// replace lists texts of the documents and what stands in their place, one after the other.
	replace []string
	mass    bool // whether the operator confirms a mass change
	// stopped is what must stop it: validation, mass change, the twin, or the name of a gate. rings is the number of rings that have it by then.
	stopped string
	rings   int
}

const (
	relays   = `[198.51.100.16/28, "2001:db8:25::/64"]`
	carriers = `[203.0.113.0/26, "2001:db8:ca::/48"]`
	last     = "  - line: business-fixed-12\n    owner: noc@isp.example\n    reason: fixed address with a mail server of its own\n    ticket: OP25B-17\n    review: 2999-01-01\n    expires: 2999-03-31"
	block    = "{name: smtp-carrier, service: smtp, remote: mobile-carrier, action: drop}"
)

var wrongPolicies = []wrongPolicy{
	{"587 is caught by the service smtp", []string{"{name: smtp, ports: [25]}", "{name: smtp, ports: [25, 587]}"}, false, "validation", 0},
	{"a relay is forgotten, and nobody confirms the mass change", []string{"198.51.100.16/28, ", ""}, false, "mass change", 0},
	{"an exemption is lost", []string{last, ""}, false, "foreseen", 0},
	{"the block of the next phase is copied", []string{"remote: any, action: monitor", "remote: any, action: drop"}, false, "foreseen", 0},
	{"a line group is missing in a rule", []string{block, strings.Replace(block, "service:", "groups: [isdn, bflets, hikari-premium, mobile], service:", 1)}, false, "foreseen", 0},
	{"a relay is forgotten", []string{"198.51.100.16/28, ", ""}, true, "relays", 1},
	{"a relay's address is mistyped", []string{"198.51.100.16/28", "198.51.10.16/28"}, true, "relays", 1},
	{"a carrier's prefix is too wide", []string{"203.0.113.0/26", "203.0.113.0/24"}, true, "affected", 1},
	{"two classes are swapped", []string{relays, "RELAYS", carriers, relays, "RELAYS", carriers}, false, "affected", 1},
	{"a carrier's server is among our relays", []string{"[198.51.100.16/28, ", "[198.51.100.16/28, 203.0.113.25/32, ", "    relay: true\n", "    relay: true\n    within: [mobile-carrier]\n"}, false, "stopping", 1},
	{"an exempt line has a mistyped VLAN", []string{"port: access-3\n        vlan: 0", "port: access-3\n        vlan: 10"}, true, "affected", 1},
}

// An outcome is where a rollout was stopped: by what, and after how many rings and lines.
type wrongOutcome struct {
	by           string
	rings, lines int
	harmed       int
	why          string
}

// run starts a rollout of the current documents with texts replaced, as the API does, and follows it until something stops it. It returns by with the
// text "done" if nothing does.
func (f *wrongFleet) run(x wrongPolicy) (o wrongOutcome) {
	t, ctx := f.t, f.t.Context()
	t.Helper()
	in, err := f.book.Current(ctx)
	if err != nil {
		t.Fatal(err)
	}
	files := f.edited(x.replace)
	f.harmed()
	p, err := f.book.Propose(ctx, files)
	if err != nil {
		return wrongOutcome{by: "validation", why: err.Error()}
	}
	if err := plan.CheckMass(plan.Removals(in, p.Intent, time.Now(), 5), 5, x.mass); err != nil {
		return wrongOutcome{by: "mass change", why: err.Error()}
	}
	if err := errors.Join(rings.CheckDocuments(f.stages, in.Bundle, p.Bundle), f.planner.Fits(ctx, p.Intent)); err != nil {
		return wrongOutcome{by: "validation", why: err.Error()}
	}
	if err := errors.Join(f.planner.Proved(ctx, in, p.Intent), f.planner.Proved(ctx, p.Intent, in)); err != nil {
		return wrongOutcome{by: "twin", why: err.Error()}
	}
	if _, err := f.book.Stage(ctx, p, intent.By{Who: "noc", Reason: x.name}); err != nil {
		t.Fatal(err)
	}
	r := rollout.Record{Change: rollout.Change{Documents: p.Base, Policy: p.Bundle.Policy.Name}, Stages: f.stages, Baseline: 10 * time.Second}
	if _, err := f.driver.Start(ctx, r, drive.By{Who: "noc", Role: "operator", Reason: x.name}); err != nil {
		t.Fatal(err)
	}
	watching, cancel := context.WithTimeout(ctx, 4*time.Minute)
	records := f.driver.Watch(watching)
	defer func() {
		cancel()
		for range records {
		}
	}()
	var last *drive.Stored
	for s := range records {
		last = s
		if n := s.Rings(); n > o.rings && s.State != rollout.Done {
			o.rings = n
		}
		holds := slices.IndexFunc(s.Findings, func(f rollout.Finding) bool { return f.Verdict >= rollout.Hold })
		switch {
		case s.State == rollout.Done:
			o.by, o.harmed = "done", f.harmed()
		case s.State == rollout.GoingBack, s.State == rollout.Held && holds >= 0:
			o.by, o.why, o.harmed = string(s.Findings[holds].Gate), s.Findings[holds].String(), f.harmed()
		default:
			continue
		}
		break
	}
	if o.by == "" {
		t.Fatalf("%s: the rollout stays %s in ring %d: %v", x.name, last.State, last.Ring, last.Findings)
	}
	for _, stage := range f.stages[:o.rings] {
		o.lines += 4 * len(stage.Switches)
	}
	if o.by != "done" {
		if _, err := f.driver.Change(ctx, drive.By{Who: "noc", Reason: "wrong"}, func(r rollout.Record) (rollout.Record, error) {
			return r.Abort("noc", "wrong", time.Now())
		}); err != nil && !errors.Is(err, rollout.ErrState) {
			t.Fatal(err)
		}
	}
	f.eventually("the rollout has ended", func() bool {
		s, err := f.driver.Current(ctx)
		return err == nil && s.State.Ended()
	})
	f.settled(f.store)
	return o
}

// edited returns the documents of the fleet with texts replaced.
func (f *wrongFleet) edited(pairs []string) []strict.File {
	f.t.Helper()
	files := slices.Clone(f.files)
	for i := 0; i < len(pairs); i += 2 {
		found := false
		for j := range files {
			found = found || bytes.Contains(files[j].Data, []byte(pairs[i]))
			files[j].Data = bytes.ReplaceAll(files[j].Data, []byte(pairs[i]), []byte(pairs[i+1]))
		}
		if !found {
			f.t.Fatalf("the documents have no %q", pairs[i])
		}
	}
	return files
}

// TestWrongPolicies verifies that a wrong policy for each way to be stopped is stopped before the last ring, by what the page says. With
// OP25B_LONG=1, it tries all wrong policies, and one without a mistake, which reaches all rings.
func TestWrongPolicies(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	newWrongFleet(t, "").try(t, true)
}

// wrongBMv2 are the switches that are bmv2 in TestWrongPoliciesBMv2: one in each ring.
var wrongBMv2 = []int{1, 3, 6, 9}

// TestWrongPoliciesBMv2 is TestWrongPolicies with a bmv2 in each ring. Without OP25B_LONG=1, it tries one policy that reaches the first ring. A policy may be stopped in any ring but the last: the mail through bmv2 is
// less, and a gate may have too little of it to judge the first ring, which is a single bmv2.
func TestWrongPoliciesBMv2(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	path, reason := findBMv2()
	wants(t, "bmv2", reason)
	newWrongFleet(t, path, wrongBMv2...).try(t, false)
}

// try brings the wrong policies to the fleet. exact demands that each is stopped in the ring of the page.
func (f *wrongFleet) try(t *testing.T, exact bool) {
	if longform.On() {
		title := []string{"Our own mail relays", "The mail relays"}
		if o := f.run(wrongPolicy{name: "a title changes", replace: title}); o.by != "done" || o.rings != len(wrongRings) {
			t.Errorf("a policy without a mistake was stopped by %s in ring %d: %s", o.by, o.rings, o.why)
		} else {
			t.Logf("a policy without a mistake reached %d rings, and %d lines had wrong outcomes", o.rings, o.harmed)
		}
		f.files = f.edited(title)
	}
	page, err := os.ReadFile("../docs/rollout.md")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, x := range wrongPolicies {
		if !longform.On() && (tried[x.stopped] || !exact && (x.rings == 0 || len(tried) > 0)) {
			continue
		}
		tried[x.stopped] = true
		o := f.run(x)
		row := fmt.Sprintf("| %s | %s | %d | %d |", x.name, o.by, o.rings, o.lines)
		t.Logf("%s %d | %s", row, o.harmed, o.why)
		if o.by == "done" {
			t.Fatalf("%s reached all rings; %d lines had wrong outcomes", x.name, o.harmed)
		}
		if o.by != x.stopped || o.rings != x.rings && (exact || o.rings == len(wrongRings)) {
			t.Errorf("%s: stopped by %s after %d rings, want %s after %d: %s", x.name, o.by, o.rings, x.stopped, x.rings, o.why)
		}
		if exact && !bytes.Contains(page, []byte(row)) {
			t.Errorf("docs/rollout.md does not have the row %s", row)
		}
	}
	if !longform.On() {
		fmt.Printf("wrong policies: %d, each stopped in another way; OP25B_LONG=1 tries all %d, and one without a mistake\n", len(tried), len(wrongPolicies))
	}
}
