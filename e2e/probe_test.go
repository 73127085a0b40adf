package e2e

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/proto"

	"op25b/e2e/vectors"
	"op25b/internal/compile"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/prove"
	"op25b/internal/reconcile"
	"op25b/internal/reference"
	"op25b/internal/softswitch/engine"
)

// probe sends a probe for a frame through the switch, and compares the answer with the model's decision. The counters, which are compared after all
// frames, must not count it, and no later frame may be handled otherwise because of it.
func (tw *twin) probe(port uint16, frame []byte) error {
	packet := probe(port, 0xc0ffee, frame)
	decision := tw.model.Decide(tw.clock.Sub(tw.began), uint16(pipeline.CPUPort), packet)
	if decision.Probed == nil {
		return fmt.Errorf("the model does not answer a probe for %x at port %d", frame, port)
	}
	return tw.packetOut(packet, decision, frame)
}

// packetOut sends a probe, whose answer must be the one that the model demands.
func (tw *twin) packetOut(packet []byte, decision reference.Decision, frame []byte) error {
	tag, got, back, err := throughEngine(tw.worker, packet)
	switch {
	case err != nil:
		return err
	case tag != binary.BigEndian.Uint32(packet[3:]) || !bytes.Equal(back, frame):
		return fmt.Errorf("a probe for %x: the switch answers with tag %#x about %x", frame, tag, back)
	case got.Clock != tw.clock.Sub(tw.began)%(time.Microsecond<<48):
		return fmt.Errorf("a probe at %v: the switch says that it is %v", tw.clock.Sub(tw.began), got.Clock)
	}
	want := tw.probed(decision.Probed)
	ports := probedPorts(got, binary.BigEndian.Uint16(packet[1:]), tw.ports)
	got.Clock, got.Egress, got.Group = 0, 0, 0
	if got != want || !slices.Equal(ports, outPorts(decision.Probed.Out)) {
		return fmt.Errorf("a probe for %x: the switch answers %+v, out at %d; the model says %+v:\n%v", frame, got, ports, want, decision.Probed)
	}
	switch got.Rule {
	case reference.FailClosedRule, reference.TinyFragmentRule, reference.SpoofedRule, 0: // the program's own
	case reference.UndeterminedRule:
		tw.undetermined++
	default:
		tw.ruled++
	}
	select {
	case d := <-tw.engine.Digests():
		d.Release()
		return fmt.Errorf("a probe for %x is reported as a mail flow", frame)
	default:
	}
	return nil
}

// probed returns the answer to a probe that the model demands, without the time and where the frame would go.
func (tw *twin) probed(d *reference.Decision) (want pipeline.Probed) {
	if !d.Asked {
		return want
	}
	verdict := map[reference.Verdict]pipeline.VerdictAction{
		reference.Permit: pipeline.Permit, reference.Monitor: pipeline.Monitor, reference.Drop: pipeline.Drop, reference.Limit: pipeline.Limit, reference.Reject: pipeline.Reject,
	}[d.Verdict]
	if d.Verdict == reference.Reject && !d.Rejected {
		verdict = pipeline.Drop
	}
	want = pipeline.Probed{Verdict: verdict, Rule: pipeline.RuleID(d.Rule), Line: pipeline.Line{Index: pipeline.LineIndex(d.LineIndex)}}
	for number, g := range tw.compiled.LineGroups {
		if g.Name == d.Group && d.LineIndex != 0 {
			want.Line.Group = number
		}
	}
	if d.Rule == reference.SpoofedRule && d.Verdict == reference.Drop {
		return want // the switch has not looked up the service
	}
	switch d.Service {
	case "":
	case reference.LaterFragmentService:
		want.Leg, want.Service = pipeline.UpDst, 254
	case reference.UndeterminedService:
		want.Leg, want.Service = pipeline.UpDst, 255
	default:
		want.Leg = map[reference.Leg]pipeline.Leg{
			reference.UpDst: pipeline.UpDst, reference.DownSrc: pipeline.DownSrc, reference.DownDst: pipeline.DownDst, reference.UpSrc: pipeline.UpSrc,
		}[d.Leg]
		for number, s := range tw.compiled.Services {
			if s.Name == d.Service {
				want.Service = number
			}
		}
	}
	return want
}

// probedPorts returns the ports by which a frame would leave, in ascending order. Group 1 has the network ports, and group 2 all ports.
func probedPorts(got pipeline.Probed, in uint16, roles map[uint16]pipeline.PortRole) (ports []uint16) {
	if got.Egress != 0 {
		return []uint16{uint16(got.Egress)}
	}
	for port, role := range roles {
		if port != in && (got.Group == 2 || got.Group == 1 && role == pipeline.Network) {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}

func outPorts(out []reference.Output) (ports []uint16) {
	for _, o := range out {
		ports = append(ports, o.Port)
	}
	return ports
}

// throughEngine sends a probe through the engine of a switch, without P4Runtime. tag is that of the answer, and back the frame in it.
func throughEngine(worker *engine.Worker, packet []byte) (tag uint32, got pipeline.Probed, back []byte, err error) {
	var out []reference.Output
	worker.Process(uint32(pipeline.CPUPort), packet, func(port uint32, f []byte) {
		out = append(out, reference.Output{Port: uint16(port), Frame: bytes.Clone(f)})
	})
	const header = 1 + 6 // the kind and the time
	if len(out) != 1 || out[0].Port != uint16(pipeline.CPUPort) || len(out[0].Frame) < header {
		return 0, got, nil, fmt.Errorf("the probe %x: the switch sent%s", packet, outputsText(out))
	}
	answer := out[0].Frame
	tag, got, back, ok := pipeline.ReadProbePacketIn([]pipeline.PacketField{{ID: 1, Value: answer[:1]}, {ID: 2, Value: answer[1:header]}}, answer[header:])
	if !ok {
		return 0, got, nil, fmt.Errorf("the probe %x: the switch answers %x", packet, answer)
	}
	return tag, got, back, nil
}

// probe returns a probe as a packet for throughEngine.
func probe(port uint16, tag uint32, frame []byte) []byte {
	header, payload := pipeline.ProbePacketOut(pipeline.Port(port), tag, frame)
	return append(slices.Clone(header[0].Value), payload...)
}

// named gives the numbers in an answer to a probe their names.
func (s *vectorSetting) named(c *compile.Compiled, port uint32, got pipeline.Probed) vectors.Probed {
	roles := map[uint16]pipeline.PortRole{}
	for _, p := range s.sw.Ports {
		roles[uint16(p.Number)] = p.Role
	}
	probed := vectors.Probed{
		Rule:      c.Rules[got.Rule].Name,
		Leg:       vectors.Leg(map[pipeline.Leg]string{pipeline.UpDst: "up_dst", pipeline.UpSrc: "up_src", pipeline.DownSrc: "down_src", pipeline.DownDst: "down_dst"}[got.Leg]),
		Line:      cmp.Or(c.Lines[got.Line.Index], vectors.Unnamed),
		Undecided: got.Verdict == pipeline.Limit || got.Verdict == pipeline.Reject,
	}
	for _, p := range probedPorts(got, uint16(port), roles) {
		probed.Ports = append(probed.Ports, uint32(p))
	}
	return probed
}

// BenchmarkProbes asks each target about 400 packets, and reports the time beside that of as many packets that the switch only returns.
func BenchmarkProbes(b *testing.B) {
	const packets = 400
	for _, target := range []string{"embedded", "bmv2"} {
		b.Run(target, func(b *testing.B) {
			var d *device
			if state := filtering(1, 1, 1); target == "embedded" {
				d = attachEmbedded(b, state)
			} else {
				path, reason := findBMv2()
				if reason != "" {
					b.Skip(reason)
				}
				d = attachBMv2(b, path, state)
			}
			probes := make([]p4rt.FrameProbe, packets)
			frame := segment(b, netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("203.0.113.129"), 25)
			for i := range probes {
				probes[i] = p4rt.FrameProbe{Port: accessPort, Frame: frame}
			}
			floor, asked := time.Duration(0), time.Duration(0)
			for b.Loop() {
				began := time.Now()
				for range packets {
					if _, err := d.session.Clock(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				floor += time.Since(began)
				began = time.Now()
				if _, err := d.session.ProbeFrames(b.Context(), probes); err != nil {
					b.Fatal(err)
				}
				asked += time.Since(began)
			}
			b.ReportMetric(float64(asked.Milliseconds())/float64(b.N), "ms/round")
			b.ReportMetric(float64(floor.Milliseconds())/float64(b.N), "ms/floor")
		})
	}
}

// TestProbesFindFaults verifies on every target that no probe deviates on a switch that was brought to a policy, and that one round finds a lost entry of
// the relays, a rule for them with another action, and an entry that matches fewer of them.
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
