package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/demo"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
)

// targetFlag selects the switch on which the scenario runs. By default, the scenario runs on all available switches.
var targetFlag = flag.String("target", "", "embedded or bmv2: run the scenario on this switch only, and fail if it is not there")

// wants decides whether to run a test on a target. If reason is not empty, the target is not available. The test is then skipped with one
// line, or fails if the flag -target selects the target.
func wants(t *testing.T, target, reason string) {
	t.Helper()
	switch {
	case *targetFlag != "" && *targetFlag != "embedded" && *targetFlag != "bmv2":
		t.Fatalf("-target %q: valid are embedded and bmv2", *targetFlag)
	case *targetFlag != "" && *targetFlag != target:
		t.Skipf("-target %s was asked for", *targetFlag)
	case reason != "" && *targetFlag == target:
		t.Fatal(reason)
	case reason != "":
		fmt.Fprintln(os.Stderr, "SKIPPED", t.Name()+":", reason)
		t.Skip(reason)
	}
}

func bundle(t *testing.T) (*policy.Bundle, *policy.Switch) {
	t.Helper()
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	return b, &b.Inventory.Switches[0]
}

// allLines are the kinds of access that the scenario covers.
var allLines = []demo.Lines{demo.Plain, demo.QinQ, demo.PPPoE, demo.DSLite}

// play plays the rollout of 2006 on a rig. It checks the report with checkProgramme, the forecasts of the later phases, and the controller's
// metrics with checkMetrics.
func play(t *testing.T, sw *policy.Switch, lines demo.Lines, rig demo.Rig) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	asked := &forecasts{made: map[[2]string][]string{}}
	api, north, file := freeAddr(t), freeAddr(t), filepath.Join(t.TempDir(), "history.db")
	report, err := demo.Play(ctx, demo.Options{
		Files: examples.SpinNet2006(), Switch: sw.Name, Lines: lines, Rig: rig, Listen: api, GNMI: north, History: file, After: asked.after,
		Show: func(ctx context.Context, r *demo.Report) error {
			if err := checkMetrics(ctx, api, rig.GNMI, r); err != nil {
				return err
			}
			return checkViews(t, ctx, sw.Name, api, rig.GNMI, north, r)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	checkHistory(t, file, report)
	if !report.OK() {
		demo.WriteTable(os.Stderr, report)
		t.Fatal("not what the policy says")
	}
	checkProgramme(t, report)
	asked.check(t, report)
}

// checkProgramme compares a report with the rollout of 2006 as coded here. It uses neither the policy nor the demo's expectation.
func checkProgramme(t *testing.T, report *demo.Report) {
	t.Helper()
	var phases []string
	attempts := 0
	for _, p := range report.Phases {
		phases = append(phases, p.Phase)
		for _, a := range p.Attempts {
			attempts++
			blocked := false
			switch {
			case a.From == "business-fixed", a.To == "isp-relay", a.Port == 587:
			case p.Phase == "mobile-carriers":
				blocked = a.To == "carrier-mx"
			case p.Phase == "all-destinations":
				blocked = true
			}
			want := demo.Delivered
			if blocked {
				want = demo.Blocked
			}
			if a.Result != want {
				t.Errorf("%s: %s to %s:%d over %s: %s, want %s %s", p.Phase, a.From, a.To, a.Port, a.Family, a.Result, want, a.Error)
			}
		}
		sent := uint64(0)
		for _, c := range p.Counters {
			sent += c.Sent
			if c.Packets != c.Sent || c.Octets != c.SentBytes {
				t.Errorf("%s: %s %s: %d packets and %d octets over gNMI, %d and %d sent", p.Phase, c.Interface, c.Rule, c.Packets, c.Octets, c.Sent, c.SentBytes)
			}
		}
		if sent == 0 {
			t.Errorf("%s: nothing was sent", p.Phase)
		}
	}
	if got, want := fmt.Sprint(phases), "[before mobile-carriers all-destinations]"; got != want {
		t.Errorf("phases are %s, want %s", got, want)
	}
	// 3 phases x 4 subscribers x 4 destinations (relay, carrier, provider on 25, provider on 587) x 2 families
	if attempts != 96 {
		t.Errorf("%d mails were sent, want 96", attempts)
	}
}

// TestScenarioEmbedded plays the rollout of 2006 on the embedded switch with every kind of access. The same mails must be delivered and
// blocked with each.
func TestScenarioEmbedded(t *testing.T) {
	wants(t, "embedded", "")
	for _, lines := range allLines {
		t.Run(string(lines), func(t *testing.T) {
			t.Parallel()
			_, sw := bundle(t)
			rig, err := demo.NewEmbedded(sw, softswitch.Addrs{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer rig.Close()
			play(t, sw, lines, rig.Rig)
		})
	}
}
