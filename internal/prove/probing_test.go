package prove

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
	"op25b/internal/strict"
)

// aSwitch is a switch with the entries of a compiled state and a layer.
func aSwitch(t testing.TB, c *compile.Compiled, layer []pipeline.Entry) *twin {
	t.Helper()
	tw, err := newTwin()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := entriesOf(&c.State)
	if err != nil {
		t.Fatal(err)
	}
	if err := tw.load(slices.Concat(entries, layer)); err != nil {
		t.Fatal(err)
	}
	return tw
}

// asked asks a switch about all packets, by packet-outs, and returns the deviations.
func asked(t testing.TB, tw *twin, p *Probing) (all []*Deviation) {
	t.Helper()
	for i := range p.Packets {
		header, payload := pipeline.ProbePacketOut(p.Packets[i].Port, uint32(i), p.Packets[i].Frame)
		out := tw.play(pipeline.CPUPort, append(slices.Clone(header[0].Value), payload...))
		if len(out) != 1 || len(out[0].Bytes) < 7 {
			t.Fatalf("probe %d: the switch sends %v", i, out)
		}
		in := out[0].Bytes
		tag, answer, _, ok := pipeline.ReadProbePacketIn([]pipeline.PacketField{{ID: 1, Value: in[:1]}, {ID: 2, Value: in[1:7]}}, in[7:])
		if !ok || tag != uint32(i) {
			t.Fatalf("probe %d: the switch answers %x", i, in)
		}
		if d := p.Check(i, answer); d != nil {
			all = append(all, d)
		}
	}
	return all
}

// rounds are as many rounds of probes as a test tries.
const rounds = 3

// TestProbesAgree verifies that a switch with the right entries has no deviation: in every phase of every example, for rounds of probes and for all
// packets.
func TestProbesAgree(t *testing.T) {
	for name, files := range map[string][]strict.File{
		"spinnet-2006": examples.SpinNet2006(), "spinnet-2022": examples.SpinNet2022(), "libmo-mobile": examples.LibmoMobile(),
	} {
		b, err := policy.Load(files)
		if err != nil {
			t.Fatal(err)
		}
		for _, sw := range b.Inventory.Switches {
			for i := range b.Policy.Phases {
				ph := &b.Policy.Phases[i]
				now := b.Policy.Begins(ph).Add(time.Hour)
				c, err := compiletest.Compile(b, nil, sw.Name, policy.Everywhere(ph.Name), now)
				if err != nil {
					t.Fatal(err)
				}
				layer := c.Sessions.Held(nil)
				of := &Subject{Switch: sw.Name, State: c, Bundle: b, Layer: layer, Now: now}
				tw := aSwitch(t, c, layer)
				for round := range rounds {
					p, err := Probes(of, 400, round)
					if err != nil {
						t.Fatal(err)
					}
					if n := len(p.Packets); n < 100 || n > 400 {
						t.Errorf("%s, %s: round %d has %d packets", name, sw.Name, round, n)
					}
					for _, d := range asked(t, tw, p) {
						t.Errorf("%s, %s, phase %s: %v", name, sw.Name, ph.Name, d)
					}
				}
				p, all, err := AllProbes(of, MaxPackets)
				if err != nil || !all {
					t.Fatal(all, err)
				}
				for _, d := range asked(t, tw, p) {
					t.Fatalf("%s, %s, phase %s: %v", name, sw.Name, ph.Name, d)
				}
				tables, _, n, err := p.Coverage(0)
				if hit, entries := (&Result{Tables: tables}).Hit(); err != nil || hit+n != entries || hit*100 < entries*85 {
					t.Errorf("%s, %s, phase %s: %d of %d entries hit, %d not, %v", name, sw.Name, ph.Name, hit, entries, n, err)
				}
			}
		}
	}
}

// TestProbesFindFaults verifies that one round of probes finds a switch whose entries are not those that the documents demand, and that the text names
// the packet and the entries that should decide.
func TestProbesFindFaults(t *testing.T) {
	b := policytest.Example(t)
	good := change(t, b, phaseAll)
	of := &Subject{Switch: good.Switch, State: good.New, Bundle: b, Now: october}
	for _, m := range mutants {
		if m.fault == nil {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			bad := *good.New
			m.fault(t, &bad)
			p, err := Probes(of, 400, 0)
			if err != nil {
				t.Fatal(err)
			}
			found := asked(t, aSwitch(t, &bad, nil), p)
			if len(found) == 0 {
				t.Fatalf("%d probes do not find it", len(p.Packets))
			}
			if err := p.Explain(found); err != nil {
				t.Fatal(err)
			}
			text := found[0].String()
			t.Log(len(found), text)
			for _, part := range []string{"the documents demand: ", "the switch would do:  ", "although it should have the entries"} {
				if !strings.Contains(text, part) {
					t.Errorf("the text lacks %q", part)
				}
			}
			again, err := p.Again(of, found)
			if err != nil || len(again.Packets) != len(found) {
				t.Fatalf("%d packets to try again of %d, %v", len(again.Packets), len(found), err)
			}
			if n := len(asked(t, aSwitch(t, &bad, nil), again)); n != len(found) {
				t.Errorf("of %d packets %d deviate again", len(found), n)
			}
			if n := len(asked(t, aSwitch(t, good.New, nil), again)); n != 0 {
				t.Errorf("%d packets deviate on a switch without a fault", n)
			}
		})
	}
}

// TestProbesKnowTheLayer verifies that what sessions and leases have added to a switch is no deviation.
func TestProbesKnowTheLayer(t *testing.T) {
	b := policytest.Example(t)
	c := change(t, b, phaseAll).New
	sw := &b.Inventory.Switches[0]
	var layer []pipeline.Entry
	for i := range sw.Lines {
		l := &sw.Lines[i]
		for _, p := range l.Prefixes {
			if _, exempt := c.State.Subscribers[p]; exempt || len(layer) == 20 {
				continue
			}
			var index pipeline.LineIndex
			for n, name := range c.Lines {
				if name == l.Name {
					index = n
				}
			}
			e, err := pipeline.SubscriberEntry(netip.PrefixFrom(p.Addr(), p.Bits()), pipeline.Subscriber{Class: compile.SubscriberExempt, Line: index})
			if err != nil {
				t.Fatal(err)
			}
			layer = append(layer, e)
		}
	}
	if len(layer) == 0 {
		t.Fatal("the example has no line without an exemption")
	}
	tw := aSwitch(t, c, layer)
	deviate := func(layer []pipeline.Entry) (n int) {
		p, _, err := AllProbes(&Subject{Switch: sw.Name, State: c, Bundle: b, Layer: layer, Now: october}, MaxPackets)
		if err != nil {
			t.Fatal(err)
		}
		return len(asked(t, tw, p))
	}
	if n := deviate(layer); n != 0 {
		t.Errorf("%d packets deviate", n)
	}
	if n := deviate(nil); n == 0 {
		t.Error("no packet shows the layer")
	}
}

// TestEachRoundIsAnother verifies that the rounds try all lines, prefixes and exemptions in turn.
func TestEachRoundIsAnother(t *testing.T) {
	var seen []int
	all := make([]int, 150)
	for i := range all {
		all[i] = i
	}
	for round := range 3 {
		turn(all, 64, round, func(i int) { seen = append(seen, i) })
	}
	if !slices.Equal(seen, all) {
		t.Errorf("three rounds try %v", seen)
	}
	turn(all, 64, 3, func(i int) {
		if i >= 64 {
			t.Errorf("the fourth round tries %d", i)
		}
	})
	turn([]int(nil), 64, 1, func(int) { t.Error("a round of nothing tries something") })
}
