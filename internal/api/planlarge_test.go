package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// largeFleet returns documents with six switches, the lines of the numbers from first to last on each, and an exemption for each of the first
// exempt lines of all switches.
func largeFleet(t testing.TB, lines, exempt int) []strict.File {
	t.Helper()
	files := examples.SpinNet2006()
	var inventory, exemptions strings.Builder
	inventory.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n")
	for sw := 1; sw <= 6; sw++ {
		fmt.Fprintf(&inventory, "  - name: edge-%d\n    deviceID: %d\n    p4runtime: 192.0.2.%d:9559\n    gnmi: 192.0.2.%d:9339\n    ports:\n      - {port: 1, name: dslam, role: access}\n"+
			"      - {port: 2, name: core, role: network}\n    lines:\n", sw, sw, sw, sw)
		for i := range lines {
			name := fmt.Sprintf("line-%d-%d", sw, i)
			fmt.Fprintf(&inventory, "      - {name: %s, port: dslam, vlan: %d, innerVLAN: %d, group: bflets, addressing: static, prefixes: [10.%d.%d.%d/32]}\n",
				name, 1+i/4000, 1+i%4000, sw, i/256, i%256)
			if exempt > 0 {
				exempt--
				fmt.Fprintf(&exemptions, "  - {line: %s, owner: noc@isp.example, reason: own server, expires: 2007-%02d-28}\n", name, 1+i%12)
			}
		}
	}
	for i, f := range files {
		text := string(f.Data)
		if strings.Contains(text, "kind: Inventory") {
			files[i].Data = []byte(inventory.String())
			continue
		}
		if strings.Contains(text, "kind: Exemptions") {
			list := exemptions.String()
			if list == "" {
				list = "  []\n"
			}
			files[i].Data = []byte("apiVersion: op25b/v1\nkind: Exemptions\nexemptions:\n" + list)
		}
	}
	return files
}

// TestPlanOf20000Exemptions verifies that the plan of 20,000 exemptions on six switches fits on a page, and that it states their number.
func TestPlanOf20000Exemptions(t *testing.T) {
	w := newWorld(t, nil)
	w.now = time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC)
	intentOf := func(exempt int, base *intent.Intent) *intent.Intent {
		proposal, err := w.book.Propose(within(t), largeFleet(t, 3334, exempt))
		if err != nil {
			t.Fatal(err)
		}
		if base != nil {
			return proposal.Intent
		}
		in, err := w.book.Put(within(t), proposal, intent.By{Who: "test", Reason: "test"})
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	one := intentOf(0, nil)
	away := func(context.Context, *policy.Switch) (plan.Reader, error) { return nil, errors.New("away") }
	planner, err := plan.New(plan.Config{At: w.book.At, Now: func() time.Time { return w.now }, Dial: away})
	if err != nil {
		t.Fatal(err)
	}
	made, err := planner.Make(within(t), plan.Request{Base: one, Proposed: intentOf(20_000, one)})
	if err != nil {
		t.Fatal(err)
	}
	text := planText(t, made, false, false)
	if lines := strings.Count(text, "\n"); lines >= 60 {
		t.Errorf("%d lines, want fewer than 60", lines)
	}
	for _, want := range []string{"6 switches: edge-1, edge-2, edge-3, edge-4, edge-5, edge-6,", "20,000 exemptions of lines added until 2007-01-28 to 2007-12-28, owner"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the plan:\n%.3000s", want, text)
		}
	}
	t.Logf("%d lines", strings.Count(text, "\n"))
}
