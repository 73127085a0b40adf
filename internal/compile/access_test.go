package compile

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
	"op25b/internal/strict"
)

const accessForms = `
apiVersion: op25b/v1
kind: Inventory
switches:
  - name: bras
    deviceID: 1
    p4runtime: h:1
    gnmi: h:2
    rejectFrom: ["2001:db8::1", 192.0.2.1]
    ports:
      - {port: 509, name: core, role: network}
      - {port: 1, name: olt-1, role: access}
      - {port: 2, name: olt-2, role: access}
    lines:
      - {name: plain, port: olt-1, group: free}
      - {name: session-a, port: olt-1, vlan: 100, pppoe: 1, group: paced, prefixes: [203.0.113.1/32, "2001:db8:1::/56"]}
      - {name: session-b, port: olt-1, vlan: 100, pppoe: 65534, group: free}
      - {name: no-session, port: olt-1, vlan: 100, group: watched, prefixes: [203.0.113.2/32]}
      - {name: qinq-here, port: olt-1, vlan: 200, innerVLAN: 1, group: free, prefixes: [203.0.113.3/32]}
      - {name: qinq-there, port: olt-2, vlan: 200, innerVLAN: 1, group: paced, prefixes: [203.0.113.4/32]}
      - {name: qinq-alone, port: olt-2, vlan: 200, innerVLAN: 2, pppoe: 1, group: free}
      - {name: one-tag, port: olt-2, vlan: 200, group: free}
---
apiVersion: op25b/v1
kind: Policy
name: access
lineGroups:
  - {name: free, laterFragments: monitor, undetermined: permit}
  - {name: paced, limit: {perSecond: 2, burst: 20}, sourceCheck: drop, laterFragments: permit, undetermined: drop}
  - {name: watched, sourceCheck: monitor, laterFragments: drop, undetermined: monitor}
  - {name: unused, sourceCheck: "off", limit: {perSecond: 1, burst: 1}}
services: [{name: submission, ports: [587, 465]}, {name: smtp, ports: [25]}, {name: pop3, ports: [110]}]
remotes: [{name: relay, relay: true, prefixes: [198.51.100.0/28]}]
phases:
  - name: classic
    effective: 2006-05-18
    rules:
      - {name: pop3, service: pop3, action: monitor}
      - {name: slow, groups: [paced, unused], service: smtp, action: limit}
      - {name: answers, service: smtp, legs: [down_src], action: reject}
      - {name: mail, service: smtp, action: reject}
  - name: servers
    effective: 2006-06-01
    synOnly: true
    rules:
      - {name: mail, service: smtp, action: drop}
      - {name: servers, service: smtp, legs: [up_src, down_dst], action: drop}
`

func accessForm(t *testing.T, phase string) *Compiled {
	t.Helper()
	b, err := policy.Load([]strict.File{{Name: "access.yaml", Data: []byte(accessForms)}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Compile(b, nil, "bras", policy.Everywhere(phase), policytest.Moment(t, "2006-06-01T00:00:00Z"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.State.Entries(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAccessForms verifies the entries of lines with VLAN tags and PPPoE sessions, the ports found by VLAN tags, and the entries for the
// settings of line groups.
func TestAccessForms(t *testing.T) {
	s := accessForm(t, "classic").State
	const free, paced, watched, unused = 1, 2, 3, 4
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	want := pipeline.State{
		Ports: map[pipeline.Port]pipeline.PortRole{509: pipeline.Network},
		Lines: map[pipeline.LineKey]pipeline.Line{
			{Port: 1}:                                         {Group: free, Index: 1},
			{Port: 1, OuterVID: 100, Session: 1}:              {Group: paced, Index: 2},
			{Port: 1, OuterVID: 100, Session: 65534}:          {Group: free, Index: 3},
			{Port: 1, OuterVID: 100}:                          {Group: watched, Index: 4},
			{Port: 1, OuterVID: 200, InnerVID: 1}:             {Group: free, Index: 5},
			{Port: 2, OuterVID: 200, InnerVID: 1}:             {Group: paced, Index: 6},
			{Port: 2, OuterVID: 200, InnerVID: 2, Session: 1}: {Group: free, Index: 7},
			{Port: 2, OuterVID: 200}:                          {Group: free, Index: 8},
		},
		// Three lines on one port share VLAN 100. Lines on two ports share VLAN 200 with inner VLAN 1, so these tags have no entry.
		LinePorts:    map[pipeline.VLANKey]pipeline.Port{{OuterVID: 100}: 1, {OuterVID: 200, InnerVID: 2}: 2, {OuterVID: 200}: 2},
		SourceChecks: map[pipeline.LineGroup]pipeline.SourceCheck{paced: pipeline.SourceDrop, watched: pipeline.SourceMonitor},
		Sources: map[pipeline.SourceKey]struct{}{
			{Line: 2, Prefix: prefix("203.0.113.1/32")}: {}, {Line: 2, Prefix: prefix("2001:db8:1::/56")}: {},
			{Line: 4, Prefix: prefix("203.0.113.2/32")}: {}, {Line: 6, Prefix: prefix("203.0.113.4/32")}: {},
		},
		Limits: map[pipeline.LimitKey]pipeline.Rate{
			{Line: 2, From: pipeline.Access}: {PerSecond: 2, Burst: 20}, {Line: 2, From: pipeline.Network}: {PerSecond: 2, Burst: 20},
			{Line: 6, From: pipeline.Access}: {PerSecond: 2, Burst: 20}, {Line: 6, From: pipeline.Network}: {PerSecond: 2, Burst: 20},
		},
		RejectFrom:   pipeline.RejectFrom{IPv4: addr("192.0.2.1"), IPv6: addr("2001:db8::1")},
		Subscribers:  map[netip.Prefix]pipeline.Subscriber{},
		Bridge:       map[pipeline.MAC]pipeline.BridgePort{},
		NetworkPorts: []pipeline.Port{509},
		AllPorts:     []pipeline.Port{1, 2, 509},
	}
	s.Services, s.Remotes, s.Verdicts, s.Staged = nil, nil, nil, nil // TestLegs and stagedRead verify these fields
	if diff := cmp.Diff(want, s, policytest.CompareAddresses); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLegs verifies the service entries of all legs, which are the same in both phases because one of the phases has rules for servers
// behind lines. It also verifies the entries and the texts of the rules.
func TestLegs(t *testing.T) {
	const submission, smtp, pop3 = 1, 2, 3
	exact := func(n uint16) pipeline.PortMatch { return pipeline.PortMatch{Port: n, Exact: true} }
	services := map[pipeline.ServiceKey]pipeline.ServiceValue{
		{Role: pipeline.Access, DstPort: exact(25)}:   {Leg: pipeline.UpDst, Service: smtp, Priority: 40},
		{Role: pipeline.Access, DstPort: exact(587)}:  {Leg: pipeline.UpDst, Service: submission, Priority: 30},
		{Role: pipeline.Access, DstPort: exact(465)}:  {Leg: pipeline.UpDst, Service: submission, Priority: 30},
		{Role: pipeline.Access, DstPort: exact(110)}:  {Leg: pipeline.UpDst, Service: pop3, Priority: 30},
		{Role: pipeline.Access, SrcPort: exact(25)}:   {Leg: pipeline.UpSrc, Service: smtp, Priority: 20},
		{Role: pipeline.Network, SrcPort: exact(25)}:  {Leg: pipeline.DownSrc, Service: smtp, Priority: 40},
		{Role: pipeline.Network, SrcPort: exact(587)}: {Leg: pipeline.DownSrc, Service: submission, Priority: 30},
		{Role: pipeline.Network, SrcPort: exact(465)}: {Leg: pipeline.DownSrc, Service: submission, Priority: 30},
		{Role: pipeline.Network, SrcPort: exact(110)}: {Leg: pipeline.DownSrc, Service: pop3, Priority: 30},
		{Role: pipeline.Network, DstPort: exact(25)}:  {Leg: pipeline.DownDst, Service: smtp, Priority: 20},

		{Role: pipeline.Access, SrcPort: exact(25), Handshake: pipeline.SYNACK}: {Leg: pipeline.UpSrc, Service: smtp, Priority: 35},
		{Role: pipeline.Network, DstPort: exact(25), Handshake: pipeline.SYN}:   {Leg: pipeline.DownDst, Service: smtp, Priority: 35},
	}
	group := pipeline.Exactly[pipeline.LineGroup]
	leg := pipeline.Exactly[pipeline.Leg]
	service := pipeline.Exactly[pipeline.Service]
	standing := func(first int32) map[pipeline.VerdictKey]pipeline.Verdict {
		relay := pipeline.Exactly(pipeline.Class(1))
		return map[pipeline.VerdictKey]pipeline.Verdict{
			{Service: service(submission), RemoteClass: relay, Priority: first}:                                {Action: pipeline.Permit, Rule: 2},
			{Service: service(smtp), RemoteClass: relay, Priority: first}:                                      {Action: pipeline.Permit, Rule: 2},
			{Service: service(submission), Priority: first - 1}:                                                {Action: pipeline.Permit, Rule: 3},
			{Service: service(smtp), SubscriberClass: pipeline.Exactly(SubscriberExempt), Priority: first - 2}: {Action: pipeline.Permit, Rule: 4},
			{Group: group(1), Leg: leg(pipeline.UpDst), Service: service(254), Priority: 1}:                    {Action: pipeline.Monitor, Rule: 251},
			{Group: group(1), Leg: leg(pipeline.UpDst), Service: service(255), Priority: 1}:                    {Action: pipeline.Permit, Rule: 253},
			{Group: group(3), Leg: leg(pipeline.UpDst), Service: service(254), Priority: 1}:                    {Action: pipeline.Drop, Rule: 251},
			{Group: group(3), Leg: leg(pipeline.UpDst), Service: service(255), Priority: 1}:                    {Action: pipeline.Monitor, Rule: 253},
		}
	}
	for phase, want := range map[string]struct {
		synOnly bool
		first   int32
		rules   map[pipeline.VerdictKey]pipeline.Verdict
		texts   map[string]string
	}{
		"classic": {
			first: 7,
			rules: map[pipeline.VerdictKey]pipeline.Verdict{
				{Leg: leg(pipeline.UpDst), Service: service(pop3), Priority: 4}:                    {Action: pipeline.Monitor, Rule: 5},
				{Group: group(2), Leg: leg(pipeline.UpDst), Service: service(smtp), Priority: 3}:   {Action: pipeline.Limit, Rule: 6},
				{Group: group(2), Leg: leg(pipeline.DownSrc), Service: service(smtp), Priority: 3}: {Action: pipeline.Limit, Rule: 6},
				{Group: group(4), Leg: leg(pipeline.UpDst), Service: service(smtp), Priority: 3}:   {Action: pipeline.Limit, Rule: 6},
				{Group: group(4), Leg: leg(pipeline.DownSrc), Service: service(smtp), Priority: 3}: {Action: pipeline.Limit, Rule: 6},
				{Leg: leg(pipeline.DownSrc), Service: service(smtp), Priority: 2}:                  {Action: pipeline.Reject, Rule: 7},
				{Leg: leg(pipeline.UpDst), Service: service(smtp), Priority: 1}:                    {Action: pipeline.Reject, Rule: 8},
				{Leg: leg(pipeline.DownSrc), Service: service(smtp), Priority: 1}:                  {Action: pipeline.Reject, Rule: 8},
			},
			texts: map[string]string{
				"pop3":           "pop3 (TCP 110) of every line to any server passes, and is counted as what a drop would stop",
				"slow":           "smtp (TCP 25) of lines of paced, unused to any server passes, but for new connections above the line's rate, which are dropped",
				"answers":        "smtp (TCP 25) of every line with any server, on down_src, is dropped",
				"mail":           "smtp (TCP 25) of every line to any server is dropped, and a line's new connection is answered with an ICMP error",
				"later-fragment": "a fragment from a line that TCP may be in, but not its ports, passes uncounted; on lines of free it passes, and is counted as what a drop would stop; on lines of watched it is dropped",
				"undetermined":   "what comes from a line and cannot be read to its TCP ports is dropped; on lines of free it passes; on lines of watched it passes, and is counted as what a drop would stop",
				"spoofed":        "what comes from a line with a source address that is not the line's is not looked for; on lines of watched it passes, and is counted as what a drop would stop; on lines of paced it is dropped",
			},
		},
		"servers": {
			synOnly: true,
			first:   5,
			rules: map[pipeline.VerdictKey]pipeline.Verdict{
				{Leg: leg(pipeline.UpDst), Service: service(smtp), Priority: 2}:   {Action: pipeline.Drop, Rule: 8},
				{Leg: leg(pipeline.DownSrc), Service: service(smtp), Priority: 2}: {Action: pipeline.Drop, Rule: 8},
				{Leg: leg(pipeline.UpSrc), Service: service(smtp), Priority: 1}:   {Action: pipeline.Drop, Rule: 9},
				{Leg: leg(pipeline.DownDst), Service: service(smtp), Priority: 1}: {Action: pipeline.Drop, Rule: 9},
			},
			texts: map[string]string{
				"mail":    "smtp (TCP 25) of every line to any server is dropped; in the drain, segments without SYN pass and are counted",
				"servers": "smtp (TCP 25) of every line with any server, on up_src, down_dst, is dropped; in the drain, segments without SYN pass and are counted",
			},
		},
	} {
		t.Run(phase, func(t *testing.T) {
			c := accessForm(t, phase)
			if diff := cmp.Diff(services, c.State.Services); diff != "" {
				t.Errorf("services, -want +got:\n%s", diff)
			}
			verdicts := standing(want.first)
			for key, verdict := range want.rules {
				verdicts[key] = verdict
			}
			if diff := cmp.Diff(verdicts, c.State.Verdicts); diff != "" {
				t.Errorf("verdicts, -want +got:\n%s", diff)
			}
			if c.State.SynOnly != want.synOnly {
				t.Errorf("SynOnly is %v", c.State.SynOnly)
			}
			for name, text := range want.texts {
				if r, _ := c.RuleByName(name); r.Text != text {
					t.Errorf("%s:\ngot  %s\nwant %s", name, r.Text, text)
				}
			}
			for name, action := range map[string]policy.Action{"later-fragment": policy.Drop, "undetermined": policy.Drop, "spoofed": policy.Drop, "tiny-fragment": policy.Drop} {
				if r, _ := c.RuleByName(name); r.Action != action {
					t.Errorf("%s: %s, want %s", name, r.Action, action)
				}
			}
		})
	}
}

// TestServicesOfOneSide verifies that a rule for UpSrc or DownDst adds service entries only for its own leg.
func TestServicesOfOneSide(t *testing.T) {
	for leg, more := range map[policy.Leg]map[pipeline.ServiceKey]pipeline.Leg{
		policy.UpSrc: {
			{Role: pipeline.Access, SrcPort: pipeline.PortMatch{Port: 25, Exact: true}}:                             pipeline.UpSrc,
			{Role: pipeline.Access, SrcPort: pipeline.PortMatch{Port: 25, Exact: true}, Handshake: pipeline.SYNACK}: pipeline.UpSrc,
		},
		policy.DownDst: {
			{Role: pipeline.Network, DstPort: pipeline.PortMatch{Port: 25, Exact: true}}:                          pipeline.DownDst,
			{Role: pipeline.Network, DstPort: pipeline.PortMatch{Port: 25, Exact: true}, Handshake: pipeline.SYN}: pipeline.DownDst,
			toLine(587): pipeline.DownSrc, toLine(465): pipeline.DownSrc,
		},
	} {
		b := policytest.Example(t)
		last := &b.Policy.Phases[2]
		last.Rules = append(last.Rules, policy.PhaseRule{Name: "server", Service: "smtp", Legs: []policy.Leg{leg}, Action: policy.Monitor})
		want := map[pipeline.ServiceKey]pipeline.Leg{
			fromLine(25): pipeline.UpDst, fromLine(587): pipeline.UpDst, fromLine(465): pipeline.UpDst, toLine(25): pipeline.DownSrc,
		}
		for key, leg := range more {
			want[key] = leg
		}
		for _, ph := range b.Policy.Phases {
			c, err := Compile(b, nil, "edge-1", policy.Everywhere(ph.Name), policytest.Moment(t, "2006-06-01T00:00:00Z"))
			if err != nil {
				t.Fatal(err)
			}
			got := map[pipeline.ServiceKey]pipeline.Leg{}
			for key, value := range c.State.Services {
				got[key] = value.Leg
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, phase %q, -want +got:\n%s", leg, ph.Name, diff)
			}
		}
	}
}
