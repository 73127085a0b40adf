package e2e

import (
	"bytes"
	"net/netip"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/proto"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/prove"
	"op25b/internal/reconcile"
	"op25b/internal/reference"
)

// TestProbesFindFaults verifies on every target that no probe deviates on a switch that was brought to a policy, and that one round finds a lost
// entry of the relays, a rule for them with another action, and an entry that matches fewer of them.
func TestProbesFindFaults(t *testing.T) {
	s := loadSetting(t)
	c, err := s.compile("all", nil)
	if err != nil {
		t.Fatal(err)
	}
	of := &prove.Subject{Switch: s.sw.Name, State: c, Bundle: s.bundle, Now: vectorsNow}
	onEveryTarget(t, &c.State, func(t *testing.T, d *device) {
		// deviating returns how many packets deviate.
		deviating := func(p *prove.Probing, err error) (n int) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			var probes []p4rt.FrameProbe
			for _, x := range p.Packets {
				probes = append(probes, p4rt.FrameProbe{Port: x.Port, Frame: x.Frame})
			}
			answers, err := d.session.ProbeFrames(t.Context(), probes)
			if err != nil {
				t.Fatal(err)
			}
			for i, a := range answers {
				if p.Check(i, a) != nil {
					n++
				}
			}
			return n
		}
		all := func() int {
			t.Helper()
			p, _, err := prove.AllProbes(of, prove.MaxPackets)
			return deviating(p, err)
		}
		for round := range 3 {
			if n := deviating(prove.Probes(of, 400, round)); n != 0 {
				t.Fatalf("round %d: %d packets deviate", round, n)
			}
		}
		if n := all(); n != 0 {
			t.Fatalf("%d packets deviate", n)
		}
		entries, err := reconcile.Read(t.Context(), d.session)
		if err != nil {
			t.Fatal(err)
		}
		write := func(kind p4v1.Update_Type, e *p4v1.Entity) {
			t.Helper()
			if err := d.session.Write(t.Context(), []*p4v1.Update{{Type: kind, Entity: e}}); err != nil {
				t.Fatal(err)
			}
		}
		first := func(table string, is func(*p4v1.TableEntry) bool) *p4v1.Entity {
			t.Helper()
			for _, e := range entries {
				if entity := p4rt.Entity(e); e.Table() == table && is(entity.GetTableEntry()) {
					return entity
				}
			}
			t.Fatalf("no such entry of %s", table)
			return nil
		}
		const permit, drop = 0x01000005, 0x01000007
		relays := netip.MustParsePrefix("198.51.100.16/28")
		lost := first("remote_v4", func(e *p4v1.TableEntry) bool {
			lpm := e.GetMatch()[0].GetLpm()
			return bytes.Equal(lpm.GetValue(), relays.Addr().AsSlice()) && lpm.GetPrefixLen() == int32(relays.Bits())
		})
		var running pipeline.Epoch
		for _, e := range entries {
			if epoch, is := e.IsRunningEpoch(); is {
				running = epoch
			}
		}
		rule := first("verdict", func(e *p4v1.TableEntry) bool {
			return e.GetAction().GetAction().GetActionId() == permit && e.GetMatch()[0].GetExact().GetValue()[0] == byte(running) &&
				e.GetAction().GetAction().GetParams()[0].GetValue()[0] == reference.RelayRule
		})
		swapped, narrow := proto.CloneOf(rule), proto.CloneOf(lost)
		swapped.GetTableEntry().GetAction().GetAction().ActionId = drop
		lpm := narrow.GetTableEntry().GetMatch()[0].GetLpm()
		lpm.PrefixLen, lpm.Value = 29, netip.MustParseAddr("198.51.100.24").AsSlice()
		for _, fault := range []struct {
			name           string
			broken, mended func()
		}{
			{"a lost entry", func() { write(p4v1.Update_DELETE, lost) }, func() { write(p4v1.Update_INSERT, lost) }},
			{"a swapped action", func() { write(p4v1.Update_MODIFY, swapped) }, func() { write(p4v1.Update_MODIFY, rule) }},
			{
				"an entry that matches too little",
				func() { write(p4v1.Update_DELETE, lost); write(p4v1.Update_INSERT, narrow) },
				func() { write(p4v1.Update_DELETE, narrow); write(p4v1.Update_INSERT, lost) },
			},
		} {
			fault.broken()
			if deviating(prove.Probes(of, 400, 0)) == 0 {
				t.Errorf("%s: no packet of a round deviates", fault.name)
			}
			fault.mended()
			if n := all(); n != 0 {
				t.Errorf("%s, mended: %d packets deviate", fault.name, n)
			}
		}
	})
}
