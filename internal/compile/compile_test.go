package compile

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
	"op25b/internal/strict"
)

// The numbers of the worked example, determined by hand. Names have their positions in the example's lists, and rule ids follow the
// order of first appearance.
const (
	groupADSL, groupBFlets, groupMobile                   pipeline.LineGroup = 1, 3, 5
	serviceSMTP, serviceSubmission, serviceSubmissions    pipeline.Service   = 1, 2, 3
	classRelay, classCarrier                              pipeline.Class     = 1, 2
	idRelay, idSubmission, idExempt, idCarrier, idSMTPAll pipeline.RuleID    = 2, 3, 4, 5, 6
)

// exampleState returns the entries that edge-1 has in every phase of the example. It is written by hand.
func exampleState() pipeline.State {
	mac := func(kind, n byte) pipeline.MAC { return pipeline.MAC{2, 0, 0, 0, kind, n} }
	prefix := netip.MustParsePrefix
	return pipeline.State{
		Lines: map[pipeline.LineKey]pipeline.Line{
			{Port: 1}: {Group: groupADSL, Index: 1},
			{Port: 2}: {Group: groupADSL, Index: 2},
			{Port: 3}: {Group: groupBFlets, Index: 3},
			{Port: 4}: {Group: groupMobile, Index: 4},
		},
		LinePorts: map[pipeline.VLANKey]pipeline.Port{}, // all lines are untagged
		Ports:     map[pipeline.Port]pipeline.PortRole{11: pipeline.Network, 12: pipeline.Network, 13: pipeline.Network},
		Services: map[pipeline.ServiceKey]pipeline.ServiceValue{
			fromLine(25):  {Leg: pipeline.UpDst, Service: serviceSMTP, Priority: 40},
			fromLine(587): {Leg: pipeline.UpDst, Service: serviceSubmission, Priority: 30},
			fromLine(465): {Leg: pipeline.UpDst, Service: serviceSubmissions, Priority: 30},
			toLine(25):    {Leg: pipeline.DownSrc, Service: serviceSMTP, Priority: 40},
		},
		SourceChecks: map[pipeline.LineGroup]pipeline.SourceCheck{},
		Sources:      map[pipeline.SourceKey]struct{}{},
		Limits:       map[pipeline.LimitKey]pipeline.Rate{},
		RejectFrom:   pipeline.RejectFrom{IPv4: netip.MustParseAddr("198.51.100.1"), IPv6: netip.MustParseAddr("2001:db8:ff::1")},
		Remotes: map[netip.Prefix]pipeline.Class{
			prefix("198.51.100.16/28"): classRelay, prefix("2001:db8:25::/64"): classRelay,
			prefix("203.0.113.0/26"): classCarrier, prefix("2001:db8:ca::/48"): classCarrier,
		},
		Subscribers: map[netip.Prefix]pipeline.Subscriber{
			prefix("192.0.2.13/32"): {Class: SubscriberExempt, Line: 3}, prefix("2001:db8:1::13/128"): {Class: SubscriberExempt, Line: 3},
		},
		Bridge: map[pipeline.MAC]pipeline.BridgePort{
			mac(1, 1): {Port: 1, Role: pipeline.Access}, mac(1, 2): {Port: 2, Role: pipeline.Access},
			mac(1, 3): {Port: 3, Role: pipeline.Access}, mac(1, 4): {Port: 4, Role: pipeline.Access},
			mac(2, 1): {Port: 11, Role: pipeline.Network}, mac(2, 2): {Port: 12, Role: pipeline.Network}, mac(2, 3): {Port: 13, Role: pipeline.Network},
		},
		NetworkPorts: []pipeline.Port{11, 12, 13},
		AllPorts:     []pipeline.Port{1, 2, 3, 4, 11, 12, 13},
	}
}

// fromLine returns the key of the service entry for a server's port in segments from a line. toLine returns the key for segments to a
// line.
func fromLine(n uint16) pipeline.ServiceKey {
	return pipeline.ServiceKey{Role: pipeline.Access, DstPort: pipeline.PortMatch{Port: n, Exact: true}}
}

func toLine(n uint16) pipeline.ServiceKey {
	return pipeline.ServiceKey{Role: pipeline.Network, SrcPort: pipeline.PortMatch{Port: n, Exact: true}}
}

// exampleVerdicts returns the verdict entries of a phase of the example, written by hand. The parameters are the actions that differ
// between the phases.
func exampleVerdicts(carrier, all pipeline.VerdictAction) map[pipeline.VerdictKey]pipeline.Verdict {
	up, down := pipeline.Exactly(pipeline.UpDst), pipeline.Exactly(pipeline.DownSrc)
	smtp, submission, submissions := pipeline.Exactly(serviceSMTP), pipeline.Exactly(serviceSubmission), pipeline.Exactly(serviceSubmissions)
	toRelay, toCarrier, exempt := pipeline.Exactly(classRelay), pipeline.Exactly(classCarrier), pipeline.Exactly(SubscriberExempt)
	return map[pipeline.VerdictKey]pipeline.Verdict{
		{Service: smtp, RemoteClass: toRelay, Priority: 5}:              {Action: pipeline.Permit, Rule: idRelay},
		{Service: submission, RemoteClass: toRelay, Priority: 5}:        {Action: pipeline.Permit, Rule: idRelay},
		{Service: submissions, RemoteClass: toRelay, Priority: 5}:       {Action: pipeline.Permit, Rule: idRelay},
		{Service: submission, Priority: 4}:                              {Action: pipeline.Permit, Rule: idSubmission},
		{Service: submissions, Priority: 4}:                             {Action: pipeline.Permit, Rule: idSubmission},
		{Service: smtp, SubscriberClass: exempt, Priority: 3}:           {Action: pipeline.Permit, Rule: idExempt},
		{Leg: up, Service: smtp, RemoteClass: toCarrier, Priority: 2}:   {Action: carrier, Rule: idCarrier},
		{Leg: down, Service: smtp, RemoteClass: toCarrier, Priority: 2}: {Action: carrier, Rule: idCarrier},
		{Leg: up, Service: smtp, Priority: 1}:                           {Action: all, Rule: idSMTPAll},
		{Leg: down, Service: smtp, Priority: 1}:                         {Action: all, Rule: idSMTPAll},
	}
}

func TestCompileExample(t *testing.T) {
	b := policytest.Example(t)
	for phase, actions := range map[string][2]policy.Action{
		"before":           {policy.Monitor, policy.Monitor},
		"mobile-carriers":  {policy.Drop, policy.Monitor},
		"all-destinations": {policy.Drop, policy.Drop},
	} {
		t.Run(phase, func(t *testing.T) {
			c, err := Compile(b, nil, "edge-1", policy.Everywhere(phase), policytest.Moment(t, "2006-10-01T00:00:00Z"))
			if err != nil {
				t.Fatal(err)
			}
			code := map[policy.Action]pipeline.VerdictAction{policy.Monitor: pipeline.Monitor, policy.Drop: pipeline.Drop}
			want := exampleState()
			want.Verdicts = exampleVerdicts(code[actions[0]], code[actions[1]])
			c.State.Staged = nil // see stagedRead
			if diff := cmp.Diff(want, c.State, policytest.CompareAddresses); diff != "" {
				t.Errorf("state, -want +got:\n%s", diff)
			}

			outcome := map[policy.Action]string{policy.Monitor: "passes, and is counted as what a drop would stop", policy.Drop: "is dropped"}
			wantRules := map[pipeline.RuleID]Rule{
				1: {1, "fail-closed", policy.Drop, "what a line sends to port 25, and what comes to it from port 25, is dropped where no rule speaks of it"},
				2: {2, "relay", policy.Permit, "mail of every line to the ISP's own relays (own-relay) passes: smtp (TCP 25), submission (TCP 587), submissions (TCP 465)"},
				3: {3, "submission", policy.Permit, "submission of every line to any server passes: submission (TCP 587), submissions (TCP 465)"},
				4: {4, "exempt", policy.Permit, "mail of an exempt address to any server passes: smtp (TCP 25)"},
				5: {5, "smtp-carrier", actions[0], "smtp (TCP 25) of every line to mobile-carrier " + outcome[actions[0]]},
				6: {6, "smtp-all", actions[1], "smtp (TCP 25) of every line to any server " + outcome[actions[1]]},

				251: {251, "later-fragment", policy.Permit, "a fragment from a line that TCP may be in, but not its ports, passes uncounted"},
				252: {252, "tiny-fragment", policy.Drop, "TCP from a line that is cut off before its ports is dropped"},
				253: {253, "undetermined", policy.Drop, "what comes from a line and cannot be read to its TCP ports is dropped"},
				254: {254, "spoofed", policy.Permit, "what comes from a line with a source address that is not the line's is not looked for"},
			}
			if diff := cmp.Diff(wantRules, c.Rules); diff != "" {
				t.Errorf("rules, -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(map[pipeline.LineIndex]string{1: "adsl-home", 2: "adsl-bot", 3: "business-fixed", 4: "mobile-sim"}, c.Lines); diff != "" {
				t.Errorf("lines, -want +got:\n%s", diff)
			}
			if got := [3]string{c.Policy, c.InForce.String(), c.Switch}; got != [3]string{"spinnet-2006", phase, "edge-1"} {
				t.Errorf("compiled for %v", got)
			}
			if r, ok := c.RuleByName("smtp-all"); !ok || r.ID != idSMTPAll {
				t.Errorf("RuleByName(smtp-all) = %v, %v", r, ok)
			}
			if r, ok := c.RuleByName("smtp-none"); ok {
				t.Errorf("RuleByName(smtp-none) = %v", r)
			}
		})
	}
}

// TestExemptionEnds verifies that an exemption applies until the end of its last day at the policy's UTC offset.
func TestExemptionEnds(t *testing.T) {
	b := policytest.Example(t)
	for at, exempt := range map[string]int{
		"2006-05-18T00:00:00+09:00": 2,
		"2007-03-31T23:59:59+09:00": 2,
		"2007-04-01T00:00:00+09:00": 0,
		"2007-03-31T15:00:00Z":      0,
	} {
		c, err := Compile(b, nil, "edge-1", policy.Everywhere("all-destinations"), policytest.Moment(t, at))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(c.State.Subscribers); got != exempt {
			t.Errorf("at %s: %d exempt prefixes, want %d", at, got, exempt)
		}
		if expired := len(c.Expired) == 1 && c.Expired[0].Line == "business-fixed"; expired != (exempt == 0) {
			t.Errorf("at %s: expired %v", at, c.Expired)
		}
	}
}

const twoSwitches = `
apiVersion: op25b/v1
kind: Inventory
switches:
  - name: edge-1
    deviceID: 1
    p4runtime: 127.0.0.1:9559
    gnmi: 127.0.0.1:9339
    ports:
      - {port: 7, name: core, role: network}
      - {port: 3, name: olt, role: access}
      - {port: 5, name: spare, role: access}
    lines:
      - {name: a, port: olt, vlan: 100, group: bflets, prefixes: [192.0.2.0/28]}
      - {name: b, port: olt, vlan: 4094, group: adsl}
  - name: edge-2
    deviceID: 2
    p4runtime: "[2001:db8::2]:9559"
    gnmi: edge-2.example:9339
    ports:
      - {port: 509, name: core, role: network}
      - {port: 1, name: olt, role: access}
    lines:
      - {name: fixed, port: olt, group: bflets, prefixes: [192.0.2.16/28]}
---
apiVersion: op25b/v1
kind: Policy
name: tagged
lineGroups: [{name: adsl}, {name: bflets}]
services:
  - {name: smtp, ports: [25]}
  - {name: submission, ports: [587, 465]}
remotes:
  - {name: carrier, prefixes: [203.0.113.0/24]}
  - {name: relay-a, relay: true, prefixes: [198.51.100.0/28]}
  - {name: relay-b, relay: true, within: [carrier], prefixes: [203.0.113.16/28]}
phases:
  - name: only
    effective: 2006-05-18
    rules:
      - {name: both, groups: [bflets, adsl], service: smtp, action: drop}
`

// twoSwitchesExempt are the exemptions beside twoSwitches.
const twoSwitchesExempt = `apiVersion: op25b/v1
kind: Exemptions
exemptions:
  - {line: a, owner: noc, reason: server, expires: 2030-01-01}
  - {line: fixed, owner: noc, reason: server, expires: 2030-01-01}
  - {prefix: 192.0.2.128/25, owner: noc, reason: lab, expires: 2030-01-01}
`

// TestCompileTagged compiles documents with VLANs, two switches, two relay classes, a rule for several groups, and an exempt prefix.
func TestCompileTagged(t *testing.T) {
	b, err := policy.Load([]strict.File{{Name: "tagged.yaml", Data: []byte(twoSwitches)}, {Name: "exempt.yaml", Data: []byte(twoSwitchesExempt)}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Compile(b, nil, "edge-1", policy.Everywhere("only"), policytest.Moment(t, "2006-06-01T00:00:00Z"))
	if err != nil {
		t.Fatal(err)
	}
	prefix := netip.MustParsePrefix
	up, down := pipeline.Exactly(pipeline.UpDst), pipeline.Exactly(pipeline.DownSrc)
	smtp, submission := pipeline.Exactly(pipeline.Service(1)), pipeline.Exactly(pipeline.Service(2))
	permit := func(id pipeline.RuleID) pipeline.Verdict { return pipeline.Verdict{Action: pipeline.Permit, Rule: id} }
	want := pipeline.State{
		Lines: map[pipeline.LineKey]pipeline.Line{
			{Port: 3, OuterVID: 100}:  {Group: 2, Index: 1},
			{Port: 3, OuterVID: 4094}: {Group: 1, Index: 2},
		},
		LinePorts: map[pipeline.VLANKey]pipeline.Port{{OuterVID: 100}: 3, {OuterVID: 4094}: 3},
		Ports:     map[pipeline.Port]pipeline.PortRole{7: pipeline.Network},
		Services: map[pipeline.ServiceKey]pipeline.ServiceValue{
			fromLine(25):  {Leg: pipeline.UpDst, Service: 1, Priority: 40},
			fromLine(587): {Leg: pipeline.UpDst, Service: 2, Priority: 30},
			fromLine(465): {Leg: pipeline.UpDst, Service: 2, Priority: 30},
			toLine(25):    {Leg: pipeline.DownSrc, Service: 1, Priority: 40},
		},
		Remotes:     map[netip.Prefix]pipeline.Class{prefix("203.0.113.0/24"): 1, prefix("198.51.100.0/28"): 2, prefix("203.0.113.16/28"): 3},
		Subscribers: map[netip.Prefix]pipeline.Subscriber{prefix("192.0.2.0/28"): {Class: 1, Line: 1}, prefix("192.0.2.128/25"): {Class: 1}},
		Verdicts: map[pipeline.VerdictKey]pipeline.Verdict{
			{Service: smtp, RemoteClass: pipeline.Exactly(pipeline.Class(2)), Priority: 4}:          permit(2),
			{Service: submission, RemoteClass: pipeline.Exactly(pipeline.Class(2)), Priority: 4}:    permit(2),
			{Service: smtp, RemoteClass: pipeline.Exactly(pipeline.Class(3)), Priority: 4}:          permit(2),
			{Service: submission, RemoteClass: pipeline.Exactly(pipeline.Class(3)), Priority: 4}:    permit(2),
			{Service: submission, Priority: 3}:                                                      permit(3),
			{Service: smtp, SubscriberClass: pipeline.Exactly(pipeline.Class(1)), Priority: 2}:      permit(4),
			{Leg: up, Service: smtp, Group: pipeline.Exactly(pipeline.LineGroup(1)), Priority: 1}:   {Action: pipeline.Drop, Rule: 5},
			{Leg: up, Service: smtp, Group: pipeline.Exactly(pipeline.LineGroup(2)), Priority: 1}:   {Action: pipeline.Drop, Rule: 5},
			{Leg: down, Service: smtp, Group: pipeline.Exactly(pipeline.LineGroup(1)), Priority: 1}: {Action: pipeline.Drop, Rule: 5},
			{Leg: down, Service: smtp, Group: pipeline.Exactly(pipeline.LineGroup(2)), Priority: 1}: {Action: pipeline.Drop, Rule: 5},
		},
		SourceChecks: map[pipeline.LineGroup]pipeline.SourceCheck{},
		Sources:      map[pipeline.SourceKey]struct{}{},
		Limits:       map[pipeline.LimitKey]pipeline.Rate{},
		Bridge:       map[pipeline.MAC]pipeline.BridgePort{},
		NetworkPorts: []pipeline.Port{7},
		AllPorts:     []pipeline.Port{3, 5, 7},
	}
	if diff := cmp.Diff(want, c.State, policytest.CompareAddresses); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, want := c.Rules[5].Text, "smtp (TCP 25) of lines of bflets, adsl to any server is dropped"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}

	c, err = Compile(b, nil, "edge-2", policy.Everywhere("only"), policytest.Moment(t, "2006-06-01T00:00:00Z"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[netip.Prefix]pipeline.Subscriber{prefix("192.0.2.16/28"): {Class: 1, Line: 1}, prefix("192.0.2.128/25"): {Class: 1}}, c.State.Subscribers, policytest.CompareAddresses); diff != "" {
		t.Errorf("exempt on edge-2, -want +got:\n%s", diff)
	}
}

func TestCompileRefuses(t *testing.T) {
	b := policytest.Example(t)
	now := policytest.Moment(t, "2006-10-01T00:00:00Z")
	_, err := Compile(b, nil, "edge1", policy.Everywhere("before"), now)
	if want := `unknown switch "edge1"; did you mean "edge-1"? switches: edge-1`; !errors.Is(err, ErrUnknownSwitch) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	_, err = Compile(b, nil, "edge-1", policy.Everywhere("befor"), now)
	if want := `unknown phase "befor"; did you mean "before"? phases: before, mobile-carriers, all-destinations`; !errors.Is(err, policy.ErrUnknownPhase) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	// A policy that blocks submission is refused even if the caller skips Validate.
	p := *b.Policy
	p.Phases = []policy.Phase{{Name: "bad", Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: 10, Day: 1}}, Rules: []policy.PhaseRule{
		{Name: "close-587", Service: "submission", Action: policy.Drop}, {Name: "smtp-all", Service: "smtp", Action: policy.Drop},
	}}}
	if c, err := Compile(&policy.Bundle{Policy: &p, Inventory: b.Inventory}, nil, "edge-1", policy.Everywhere("bad"), now); !errors.Is(err, policy.ErrInvalid) {
		t.Errorf("got %v, %v, want ErrInvalid", c, err)
	}
	// An inventory in which a source check would drop all of a line's traffic is refused too.
	b.Policy.LineGroups[0].SourceCheck, b.Policy.LineGroups[0].Addressing = policy.SourceDrop, policy.Static
	b.Inventory.Switches[0].Lines[1].Prefixes = nil
	const want = `compile switch "edge-1": switches[0].lines[1]: line "adsl-bot" has no prefixes, and line group "adsl" has sourceCheck: drop; ` +
		`all that the line sends would be dropped: give the line its prefixes, or another group`
	if c, err := Compile(b, nil, "edge-1", policy.Everywhere("before"), now); !errors.Is(err, policy.ErrInvalid) || err.Error() != want {
		t.Errorf("got  %v, %v\nwant %s", c, err, want)
	}
}

// TestExemptForItsLineAlone verifies that the addresses of an exempt line are exempt only on that line, unless the policy exempts
// them on every line.
func TestExemptForItsLineAlone(t *testing.T) {
	prefix := netip.MustParsePrefix
	for name, test := range map[string]struct {
		more []policy.Exemption
		want pipeline.Subscriber
	}{
		"its line alone":        {nil, pipeline.Subscriber{Class: 1, Line: 3}},
		"within a prefix":       {[]policy.Exemption{{Prefix: prefix("192.0.2.0/24"), Owner: "noc", Reason: "lab", Expires: policy.Date{Year: 2007, Month: 1, Day: 1}}}, pipeline.Subscriber{Class: 1}},
		"beside another prefix": {[]policy.Exemption{{Prefix: prefix("192.0.2.128/25"), Owner: "noc", Reason: "lab", Expires: policy.Date{Year: 2007, Month: 1, Day: 1}}}, pipeline.Subscriber{Class: 1, Line: 3}},
		"within an expired one": {[]policy.Exemption{{Prefix: prefix("192.0.2.0/24"), Owner: "noc", Reason: "lab", Expires: policy.Date{Year: 2006, Month: 1, Day: 1}}}, pipeline.Subscriber{Class: 1, Line: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			b := policytest.Example(t)
			b.Policy.Exemptions = append(b.Policy.Exemptions, test.more...)
			c, err := Compile(b, nil, "edge-1", policy.Everywhere("before"), policytest.Moment(t, "2006-06-01T00:00:00Z"))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.State.Subscribers[prefix("192.0.2.13/32")]; got != test.want {
				t.Errorf("the line's address is %+v, want %+v", got, test.want)
			}
		})
	}
}

// TestSharing verifies that Sharing returns the same entries as State, even if an exempt line's prefix lies inside an exempt prefix.
func TestSharing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, inv := policytest.DrawBundle(t)
		if rapid.Bool().Draw(t, "around lines") {
			p.Exemptions = append(p.Exemptions, policy.Exemption{Prefix: netip.MustParsePrefix("192.0.2.0/25"), Owner: "noc", Reason: "test", Expires: policy.Date{Year: 2010, Month: 1, Day: 1}})
		}
		compiler, err := NewCompiler(&policy.Bundle{Policy: p, Inventory: inv}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []time.Time{time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)} {
			c, err := compiler.Compile("edge", policy.Everywhere(p.Phases[0].Name), at)
			if err != nil {
				t.Fatal(err)
			}
			want, err := c.State.Entries()
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Sharing().Entries()
			if err != nil {
				t.Fatal(err)
			}
			same := func(a, b pipeline.Entry) bool { return a.Key == b.Key && a.Value == b.Value }
			if !slices.EqualFunc(got, want, same) {
				t.Fatalf("%d entries, want %d", len(got), len(want))
			}
		}
	})
}
