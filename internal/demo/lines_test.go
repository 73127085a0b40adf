package demo

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"op25b/examples"
	"op25b/internal/compile"
	"op25b/internal/netsim"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t *testing.T, lines Lines) *policy.Bundle {
	t.Helper()
	files, err := lines.documents(examples.SpinNet2006(), Rig{P4Runtime: "127.0.0.1:1", GNMI: "127.0.0.1:2"}, "edge-1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLinesIsAFlag(t *testing.T) {
	for _, name := range strings.Split((*Lines)(nil).Type(), "|") {
		var l Lines
		if l.String() != "plain" {
			t.Errorf("the empty value is %s, want plain", l.String())
		}
		if err := l.Set(name); err != nil || l.String() != name {
			t.Errorf("Set(%s): %v, and the value is %s", name, err, l.String())
		}
	}
	l := QinQ
	want := `"atm" is not a kind of line; valid are plain, qinq, pppoe and dslite`
	if err := l.Set("atm"); err == nil || err.Error() != want || l != QinQ {
		t.Errorf("Set(atm): %v, want %s; the value is %s", err, want, l)
	}
}

// TestInventoryByLines verifies the lines' access and the switch's addresses in the rewritten
// inventory.
func TestInventoryByLines(t *testing.T) {
	type place struct {
		outer, inner pipeline.VID
		session      pipeline.Session
	}
	for lines, want := range map[Lines][]place{
		"":     {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}},
		Plain:  {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}},
		QinQ:   {{100, 200, 0}, {101, 201, 0}, {102, 202, 0}, {103, 203, 0}},
		PPPoE:  {{0, 0, 0x1001}, {0, 0, 0x1002}, {0, 0, 0x1003}, {0, 0, 0x1004}},
		DSLite: {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}},
	} {
		got := load(t, lines).Inventory
		if sw := got.Switches[0]; sw.P4Runtime != "127.0.0.1:1" || sw.GNMI != "127.0.0.1:2" {
			t.Errorf("%q: the switch is at %s and %s", lines, sw.P4Runtime, sw.GNMI)
		}
		for i, line := range got.Switches[0].Lines {
			if p := (place{line.VLAN, line.InnerVLAN, line.PPPoE}); p != want[i] {
				t.Errorf("%q: line %d is at %+v, want %+v", lines, i, p, want[i])
			}
		}
	}
}

func TestUnknownSwitch(t *testing.T) {
	if _, err := Plain.documents(examples.SpinNet2006(), Rig{}, "edge-9"); !errors.Is(err, compile.ErrUnknownSwitch) {
		t.Errorf("documents without the switch: %v, want %v", err, compile.ErrUnknownSwitch)
	}
}

// TestHostsByLines verifies the configuration of the host on the second line for each kind of
// access.
func TestHostsByLines(t *testing.T) {
	prefix := netip.MustParsePrefix
	b4 := netip.MustParseAddr("2001:db8:1::12")
	mac := func(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 2, last} }
	relay, carrier, provider := sites[0].aftr, sites[1].aftr, sites[2].aftr
	for lines, want := range map[Lines]netsim.HostConfig{
		Plain: {},
		QinQ:  {TPID: 0x88a8, VLAN: 101, InnerVLAN: 201},
		PPPoE: {PPPoE: []netsim.PPPoESession{
			{ID: 0x1002, Concentrator: mac(1), Destinations: prefixes("198.51.100.25/32", "2001:db8:25::25/128")},
			{ID: 0x1002, Concentrator: mac(2), Destinations: prefixes("203.0.113.25/32", "2001:db8:ca::25/128")},
			{ID: 0x1002, Concentrator: mac(3), Destinations: prefixes("203.0.113.129/32", "2001:db8:99::25/128")},
		}},
		DSLite: {Softwires: []netsim.Softwire{
			{B4: b4, AFTR: relay, EncapsulationLimit: true, Destinations: prefixes("198.51.100.25/32")},
			{B4: b4, AFTR: carrier, EncapsulationLimit: true, Destinations: prefixes("203.0.113.25/32")},
			{B4: b4, AFTR: provider, EncapsulationLimit: true, Destinations: prefixes("203.0.113.129/32")},
		}},
	} {
		sw := &load(t, lines).Inventory.Switches[0]
		got := netsim.HostConfig{IPv6: []netip.Prefix{prefix("2001:db8:1::12/128")}}
		want.IPv6 = got.IPv6
		if err := lines.connect(&got, 1, sw.Lines[1], sw); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("%s: %s", lines, diff)
		}
	}
	sw := &load(t, Plain).Inventory.Switches[0]
	lines := DSLite
	err := lines.connect(&netsim.HostConfig{}, 0, policy.Line{Name: "old", Prefixes: prefixes("192.0.2.1/32")}, sw)
	if err == nil || err.Error() != `line "old" has no IPv6 address among its prefixes [192.0.2.1/32]; DS-Lite needs one` {
		t.Errorf("a line without IPv6: %v", err)
	}
	sw.Ports = sw.Ports[:4]
	lines = PPPoE
	if err := lines.connect(&netsim.HostConfig{}, 0, policy.Line{PPPoE: 1}, sw); err == nil || !strings.Contains(err.Error(), `has no port "core-relay" with exactly one MAC address`) {
		t.Errorf("a switch without the servers' ports: %v", err)
	}
}
