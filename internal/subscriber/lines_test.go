package subscriber

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"op25b/internal/policy"
	"op25b/internal/strict"
)

const documents = `
apiVersion: op25b/v1
kind: Policy
name: p
lineGroups:
  - {name: dial, addressing: dynamic}
  - {name: fixed, addressing: static}
services:
  - {name: smtp, ports: [25]}
  - {name: submission, ports: [587]}
  - {name: submissions, ports: [465]}
remotes:
  - {name: relay, relay: true, prefixes: [198.51.100.16/28]}
phases:
  - {name: stop, effective: 2026-01-01, rules: [{name: all, service: smtp, action: drop}]}
---
apiVersion: op25b/v1
kind: Inventory
switches:
  - name: edge-1
    deviceID: 1
    p4runtime: 127.0.0.1:9559
    gnmi: 127.0.0.1:9339
    rejectFrom: [198.51.100.1]
    identify: nas-port-id
    ports: [{port: 1, name: olt, role: access}, {port: 2, name: core, role: network}]
    lines:
      - {name: a, port: olt, vlan: 1, group: dial, identity: "ge-1:100"}
      - {name: b, port: olt, vlan: 2, group: dial}
      - {name: shop, port: olt, vlan: 3, group: fixed, prefixes: [192.0.2.13/32, "2001:db8:1:300::/56"]}
      - {name: exception, port: olt, vlan: 4, group: dial, addressing: static}
  - name: edge-2
    deviceID: 2
    p4runtime: 127.0.0.1:9560
    gnmi: 127.0.0.1:9340
    identify: nas-port-id
    ports: [{port: 1, name: olt, role: access}, {port: 2, name: core, role: network}]
    lines:
      - {name: c, port: olt, vlan: 1, group: dial, identity: "ge-1:100"}
  - name: edge-3
    deviceID: 3
    p4runtime: 127.0.0.1:9561
    gnmi: 127.0.0.1:9341
    ports: [{port: 1, name: olt, role: access}, {port: 2, name: core, role: network}]
    lines:
      - {name: d, port: olt, vlan: 1, group: dial}
`

func lines(t *testing.T) *Lines {
	t.Helper()
	b, err := policy.Load([]strict.File{{Name: "all.yaml", Data: []byte(documents)}})
	if err != nil {
		t.Fatal(err)
	}
	return NewLines(b)
}

// TestFind verifies which line the attributes of an event name.
func TestFind(t *testing.T) {
	l := lines(t)
	for name, c := range map[string]struct {
		attributes map[policy.Identify]string
		switches   []string
		line       string
		outcome    Outcome
	}{
		"identity":                {map[policy.Identify]string{policy.IdentifyNASPortID: "ge-1:100"}, []string{"edge-1"}, "a", ""},
		"same on another switch":  {map[policy.Identify]string{policy.IdentifyNASPortID: "ge-1:100"}, []string{"edge-2"}, "c", ""},
		"on either switch":        {map[policy.Identify]string{policy.IdentifyNASPortID: "ge-1:100"}, nil, "", Ambiguous},
		"name":                    {map[policy.Identify]string{policy.IdentifyNASPortID: "b", policy.IdentifyUserName: "c"}, nil, "b", ""},
		"another attribute":       {map[policy.Identify]string{policy.IdentifyUserName: "b"}, nil, "", NoLine},
		"case matters":            {map[policy.Identify]string{policy.IdentifyNASPortID: "B"}, nil, "", NoLine},
		"no attribute":            {nil, nil, "", NoLine},
		"fixed line":              {map[policy.Identify]string{policy.IdentifyNASPortID: "shop"}, nil, "", NoLine},
		"static exception":        {map[policy.Identify]string{policy.IdentifyNASPortID: "exception"}, nil, "", NoLine},
		"switch without sessions": {map[policy.Identify]string{policy.IdentifyNASPortID: "d"}, nil, "", NoLine},
		"not of this server":      {map[policy.Identify]string{policy.IdentifyNASPortID: "b"}, []string{"edge-2"}, "", NoLine},
	} {
		if line, outcome := l.Find(c.attributes, c.switches); line.Name != c.line || outcome != c.outcome {
			t.Errorf("%s: %v, %q; want %q, %q", name, line, outcome, c.line, c.outcome)
		}
	}
	if got := l.PerSwitch(); !maps.Equal(got, map[string]int{"edge-1": 2, "edge-2": 1}) {
		t.Errorf("%v", got)
	}
	if line, ok := l.Line("a"); !ok || line != (Line{"edge-1", "a", "dial"}) {
		t.Errorf("%v, %v", line, ok)
	}
	if _, ok := l.Line("shop"); ok {
		t.Error("a fixed line has sessions")
	}
}

// TestOfName verifies that an event can give the name of its line, and that its attributes do not matter then.
func TestOfName(t *testing.T) {
	l := lines(t)
	for _, c := range []struct {
		line     string
		switches []string
		want     Outcome
	}{
		{"a", nil, ""},
		{"a", []string{"edge-2", "edge-1"}, ""},
		{"a", []string{"edge-2"}, NoLine},
		{"shop", nil, NoLine},
		{"d", nil, NoLine},
		{"nobody", nil, NoLine},
	} {
		e := Event{Line: c.line, Identities: map[policy.Identify]string{policy.IdentifyNASPortID: "b"}}
		if line, outcome := l.Of(e, c.switches); outcome != c.want || (outcome == "") != (line.Name == c.line) {
			t.Errorf("%s: %v, %q; want %q", c.line, line, outcome, c.want)
		}
	}
	if line, _ := l.Of(Event{Identities: map[policy.Identify]string{policy.IdentifyNASPortID: "b"}}, nil); line.Name != "b" {
		t.Errorf("%v", line)
	}
}

// TestOwn verifies that a session gets no address of another line, a relay or a switch, however the prefixes overlap.
func TestOwn(t *testing.T) {
	l := lines(t)
	for _, c := range []struct {
		prefix string
		own    bool
	}{
		{"192.0.2.14/32", true},
		{"2001:db8:2::/56", true},
		{"192.0.2.13/32", false},
		{"192.0.2.0/24", false},
		{"2001:db8:1:300::/64", false},
		{"2001:db8:1::/48", false},
		{"198.51.100.17/32", false},
		{"198.51.100.1/32", false},
	} {
		own, refused := l.Own("a", []netip.Prefix{prefix(c.prefix)})
		if (len(own) == 1) != c.own || (refused == 0) != c.own {
			t.Errorf("%s: %v, %d refused", c.prefix, own, refused)
		}
	}
	all := []netip.Prefix{prefix("192.0.2.13/32"), prefix("2001:db8:1:300::/64")}
	if own, refused := l.Own("shop", all); !slices.Equal(own, all) || refused != 0 {
		t.Errorf("a line's own prefixes: %v, %d refused", own, refused)
	}
}
