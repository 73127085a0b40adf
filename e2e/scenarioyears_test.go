package e2e

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/examples"
	"op25b/internal/demo"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
)

// yearsLines returns the kinds of access with which the programme of 2006 to 2022 is played.
func yearsLines() []demo.Lines {
	if longform.On() {
		return allLines
	}
	return []demo.Lines{demo.Plain, demo.DSLite}
}

// playYears plays the programme of 2006 to 2022 on a rig, and compares the report with checkYears.
func playYears(t *testing.T, lines demo.Lines, rig func(*policy.Switch) demo.Rig) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	b, err := policy.Load(examples.SpinNet2022())
	if err != nil {
		t.Fatal(err)
	}
	sw := &b.Inventory.Switches[0]
	report, err := demo.Play(ctx, demo.Options{Files: examples.SpinNet2022(), Switch: sw.Name, Lines: lines, Rig: rig(sw)})
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() {
		demo.WriteTable(os.Stderr, report)
		t.Error("not what the policy says")
	}
	checkYears(t, report)
}

// checkYears compares a report with the programme of 2006 to 2022 as coded here. It uses neither the policy nor the demo's expectation.
func checkYears(t *testing.T, report *demo.Report) {
	t.Helper()
	var phases []string
	attempts := 0
	for _, p := range report.Phases {
		phases = append(phases, p.Phase)
		for _, a := range p.Attempts {
			attempts++
			plain, want := a.Port == 25 || a.Port == 110, demo.Delivered
			if a.Port == 110 || a.Port == 995 {
				want = demo.Read
			}
			blocked := false
			switch {
			case a.From == "business-fixed" && a.Port != 110: // exempt on port 25, and as good as a login on 587
			case a.To == "isp-relay" && a.Port == 587:
				blocked = p.Phase == "submission-opens" && a.After == "" // the lease lasts into the next phase, and no later phase needs it
			case a.To == "isp-relay":
				blocked = plain && (p.Phase == "tls-only" || p.Phase == "plain-ends-first" && a.From == "mobile-sim")
			case a.Port == 587 || p.Phase == "before":
			case p.Phase == "mobile-carriers" || p.Phase == "submission-opens":
				blocked = a.To == "carrier-mx"
			default:
				blocked = true
			}
			if blocked {
				want = demo.Blocked
			}
			if a.Result != want {
				t.Errorf("%s: %s to %s:%d over %s: %s, want %s %s", p.Phase, a.From, a.To, a.Port, a.Family, a.Result, want, a.Error)
			}
		}
	}
	if want := []string{"before", "mobile-carriers", "submission-opens", "all-destinations", "plain-counted", "plain-ends-first", "tls-only"}; !slices.Equal(phases, want) {
		t.Errorf("phases are %v, want %v", phases, want)
	}
	// 587 of the own servers again, after a login, in 2 phases, and 7 phases x 4 subscribers x 8 destinations (own servers on 25, 587, 465, 110 and 995,
	// carrier, provider on 25 and 587) x 2 families
	if attempts != 464 {
		t.Errorf("%d attempts, want 464", attempts)
	}
}

// TestYearsEmbedded plays the programme of 2006 to 2022 on the embedded switch.
func TestYearsEmbedded(t *testing.T) {
	t.Parallel() // it mostly waits for connections that nobody answers
	wants(t, "embedded", "")
	for _, lines := range yearsLines() {
		t.Run(string(lines), func(t *testing.T) {
			t.Parallel()
			playYears(t, lines, func(sw *policy.Switch) demo.Rig {
				rig, err := demo.NewEmbedded(sw, softswitch.Addrs{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = rig.Close() })
				return rig.Rig
			})
		})
	}
}

// TestYearsBMv2 plays the programme of 2006 to 2022 on the real bmv2.
func TestYearsBMv2(t *testing.T) {
	t.Parallel()
	path, reason := findBMv2()
	wants(t, "bmv2", reason)
	for _, lines := range yearsLines() {
		t.Run(string(lines), func(t *testing.T) {
			t.Parallel()
			playYears(t, lines, func(sw *policy.Switch) demo.Rig { return bmv2Rig(t, path, sw) })
		})
	}
}
