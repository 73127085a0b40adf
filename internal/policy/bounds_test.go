package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"op25b/e2e/longform"
	"op25b/internal/strict"
)

// fleetText returns an inventory of switches with 8,000 lines each: 400,000 lines for 50 switches.
func fleetText(switches int) string {
	var b strings.Builder
	b.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n")
	for s := range switches {
		fmt.Fprintf(&b, "  - name: edge-%d\n    deviceID: %d\n    p4runtime: edge-%d:9559\n    gnmi: edge-%d:9339\n    ports:\n"+
			"      - {port: 500, name: core, role: network}\n      - {port: 1, name: a0, role: access}\n      - {port: 2, name: a1, role: access}\n    lines:\n", s, 1+s, s, s)
		for i := range 8000 {
			fmt.Fprintf(&b, "      - {name: line-%d-%d, port: a%d, vlan: %d, group: adsl, macs: [\"02:00:%02x:00:%02x:%02x\"], prefixes: [10.%d.%d.%d/32, \"2001:db8:%x:%x::/64\"]}\n",
				s, i, i/4000, 1+i%4000, s, i>>8, i&255, s, i>>8, i&255, s, i)
		}
	}
	return b.String()
}

const smallPolicy = `apiVersion: op25b/v1
kind: Policy
name: p
lineGroups: [{name: adsl}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]
remotes: [{name: relay, relay: true, prefixes: [198.51.100.0/28]}]
phases: [{name: all, effective: 2006-10-01, rules: [{name: smtp-all, service: smtp, action: drop}]}]
`

// TestRoomForLines verifies that the documents of 400,000 lines stay within strict.MaxNodes. Only the
// long form of the tests loads all 400,000 lines.
func TestRoomForLines(t *testing.T) {
	switches := 5
	if longform.On() {
		switches = 50
	}
	files := []strict.File{{Name: "inventory.yaml", Data: []byte(fleetText(switches))}, {Name: "policy.yaml", Data: []byte(smallPolicy)}}
	if n := strict.Nodes(files) * 50 / switches; n > strict.MaxNodes {
		t.Errorf("400,000 lines count as %d, and the bound is %d", n, strict.MaxNodes)
	}
	if _, err := Load(files); err != nil {
		t.Errorf("%.1000s", err)
	}
}

// TestBoundsOfDocuments verifies (I12) that documents designed to exhaust resources are refused
// cheaply, and that the message states the bound.
func TestBoundsOfDocuments(t *testing.T) {
	const head = "apiVersion: op25b/v1\nkind: Inventory\nswitches:\n"
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "k%d: 1\n", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ text, want string }{
		"nodes":          {head + strings.Repeat("- a\n", strict.MaxNodes), "the documents have more than 12800000 keys, values and items together; divide the inventory among several controllers"},
		"keys":           {head + keys(100_000), "there are at least 1000 faults, and these are the first; correct them and try again"},
		"anchors":        {head + strings.Repeat("- &a 1\n", 10_000), "more than 1000 anchors and aliases, and none is supported"},
		"aliases":        {head + "- &a 1\n" + strings.Repeat("- *a\n", 10_000), "more than 1000 anchors and aliases, and none is supported"},
		"documents":      {strings.Repeat("--- a\n", 10_000), "the file has more than 1000 documents"},
		"question marks": {strings.Repeat("? a\n", 200_000), "the file has more than 100000 question marks; write keys without question marks"},
		"a long word":    {"apiVersion: op25b/v1\nkind: " + strings.Repeat("Inventor", 100_000), "unknown kind \"InventorInventor"},
	} {
		_, err := Load([]strict.File{{Name: "f.yaml", Data: []byte(c.text)}})
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 400_000 {
			t.Errorf("%s: %.300v", name, err)
		}
	}
}

// TestLoadHeedsContext verifies that LoadContext returns soon after its context is cancelled, at
// whatever stage that happens.
func TestLoadHeedsContext(t *testing.T) {
	gone := errors.New("the caller has gone")
	files := []strict.File{{Name: "inventory.yaml", Data: []byte(fleetText(1))}, {Name: "policy.yaml", Data: []byte(smallPolicy)}}
	for after := range 12 {
		ctx, cancel := context.WithCancelCause(t.Context())
		calls := 0
		_, err := LoadContext(countedContext{ctx, func() {
			if calls++; calls == 1+after*after {
				cancel(gone)
			}
		}}, files, nil)
		if !errors.Is(err, gone) {
			t.Errorf("after %d looks: %v", after*after, err)
		}
		if calls > 12+after*after {
			t.Errorf("after %d looks it went on for %d", after*after, calls-after*after)
		}
		cancel(nil)
	}
}

// A countedContext calls looked whenever its Err method is called.
type countedContext struct {
	context.Context
	looked func()
}

// Err calls looked and returns the error of the embedded context.
func (c countedContext) Err() error {
	c.looked()
	return c.Context.Err()
}
