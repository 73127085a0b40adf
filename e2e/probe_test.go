package e2e

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"op25b/e2e/vectors"
	"op25b/internal/compile"
	"op25b/internal/pipeline"
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
