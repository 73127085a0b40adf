package e2e

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"op25b/e2e/longform"
	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reference"
	"op25b/internal/reference/generate"
	"op25b/internal/softswitch/engine"
)

// seedFlag repeats a failed run with the seed that the run printed.
var seedFlag = flag.Uint64("seed", 0, "the seed that a failed run printed; 0 is a new one")

// A twin is a switch and the reference model with the same policy, on the same clock.
type twin struct {
	model  *reference.Model
	phase  string
	engine *engine.Engine
	worker *engine.Worker
	clock  *time.Time
	began  time.Time

	portRule, lineMail *engine.Counter
	wantRules          map[int]count // the expected values, by index of portRule
	wantLines          map[int]count // the expected values, by index of lineMail
	frames, passed     int
	// ruled is the number of probes that hit an entry of the table verdict, and undetermined the number of those whose rule entries and the program
	// have.
	ruled, undetermined int
	compiled            *compile.Compiled
	ports               map[uint16]pipeline.PortRole
	// answersNone is the number of SYN-ACKs that the model calls unsolicited. uncounted is the number of those that the switch did not count,
	// because another connection has the same index in its register.
	answersNone, uncounted int
}

type count struct{ packets, octets uint64 }

// newTwin loads a phase, and exemptions and leases that end, which it draws.
func newTwin(t testing.TB, src generate.Source, p *policy.Policy, inv *policy.Inventory, phase string) *twin {
	t.Helper()
	c, err := compiletest.Compile(&policy.Bundle{Policy: p, Inventory: inv}, nil, generate.SwitchName, policy.Everywhere(phase), generate.Now())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(0, 0)
	tw := &twin{
		model: reference.New(p, inv, generate.SwitchName, phase, generate.Now()), phase: phase, clock: &now, began: now,
		wantRules: map[int]count{}, wantLines: map[int]count{},
	}
	tw.compiled, tw.ports = c, map[uint16]pipeline.PortRole{}
	for _, p := range inv.Switches[0].Ports {
		tw.ports[uint16(p.Number)] = p.Role
	}
	soon := []pipeline.ClockSecond{0, 1, 2, 3, 5, 8, 13, 21, 34, farPast, farFuture}
	exemptUntil(c, tw.model, generate.Endings(src, p, inv, generate.SwitchName, soon))
	tw.engine = loadedWith(t, &c.State, engine.Options{Clock: func() time.Time { return now }})
	if src.IntN(4) == 3 { // ten seconds before the clock starts again at 0
		now = now.Add((1<<48 - 10<<20) * time.Microsecond)
	}
	tw.worker = tw.engine.NewWorker()
	var ok bool
	if tw.portRule, ok = tw.engine.Counter("SwitchIngress.filter.port_rule"); !ok {
		t.Fatal("no counter port_rule")
	}
	if tw.lineMail, ok = tw.engine.Counter("SwitchIngress.filter.line_mail"); !ok {
		t.Fatal("no counter line_mail")
	}
	return tw
}

// A second that is over, and one that is not, while a switch's clock is in its first years.
const (
	farPast   pipeline.ClockSecond = 3 << 26
	farFuture pipeline.ClockSecond = 1 << 26
)

// exemptUntil adds exemptions and leases that end to a compiled state and to the model.
func exemptUntil(c *compile.Compiled, m *reference.Model, endings []generate.Ending) {
	lines := map[string]pipeline.LineIndex{}
	for index, name := range c.Lines {
		lines[name] = index
	}
	leases := map[string]pipeline.Class{}
	for class, l := range c.Leases {
		leases[l.Name] = class
	}
	subscribers := maps.Clone(c.State.Subscribers)
	if subscribers == nil {
		subscribers = map[netip.Prefix]pipeline.Subscriber{}
	}
	for _, e := range endings {
		class := compile.SubscriberExempt
		if e.Lease != "" {
			class = leases[e.Lease]
		}
		e.AddTo(m)
		subscribers[e.Prefix] = pipeline.Subscriber{Class: class, Line: lines[e.Line], Until: e.Until}
	}
	c.State.Subscribers = subscribers
}

// send sends a frame through the switch and the model, after advancing their clock by the duration after. If the results differ, the error
// states the difference.
func (tw *twin) send(after time.Duration, port uint16, frame []byte) error {
	if len(frame) == 0 {
		return nil // no link carries an empty frame, and no switch accepts one
	}
	*tw.clock = tw.clock.Add(after)
	if port != uint16(pipeline.CPUPort) {
		if err := tw.probe(port, frame); err != nil {
			return err
		}
	}
	decision := tw.model.Decide(tw.clock.Sub(tw.began), port, frame)

	if decision.Probed != nil {
		return tw.packetOut(frame, decision, frame[7:])
	}
	unsolicited, stopped := decision.LineIndex<<2|int(pipeline.Unsolicited), decision.LineIndex<<2|int(pipeline.Stopped)
	before, _ := tw.lineMail.Read(unsolicited)
	stoppedBefore, _ := tw.lineMail.Read(stopped)
	var out []reference.Output
	emit := func(port uint32, f []byte) {
		out = append(out, reference.Output{Port: uint16(port), Frame: bytes.Clone(f)})
	}
	if tw.frames%16 != 0 {
		tw.worker.Process(uint32(port), frame, emit)
	} else { // processing with a trace must have the same effect
		tw.worker.Trace(uint32(port), frame, emit)
	}
	slices.SortFunc(out, func(a, b reference.Output) int { return int(a.Port) - int(b.Port) })
	after1, _ := tw.lineMail.Read(unsolicited)

	// Only the switch knows the token bucket's decision. Take it from the line's counter, because the output may be the same for either
	// decision.
	if stoppedAfter, _ := tw.lineMail.Read(stopped); decision.Timed && stoppedAfter != stoppedBefore {
		flow := decision.Flow
		solicited := decision.Unsolicited
		decision = *decision.Else
		decision.Unsolicited = solicited
		if decision.Flow == nil {
			decision.Flow = flow
		}
	}
	if !sameOutputs(out, decision.Out) {
		return fmt.Errorf("the switch sent%s\nthe model says\n%v", outputsText(out), decision)
	}
	tw.frames++
	if len(out) > 0 {
		tw.passed++
	}
	one := count{1, uint64(len(frame))}
	if decision.Rule != 0 {
		tw.wantRules[int(port)<<8|int(decision.Rule)] = tw.wantRules[int(port)<<8|int(decision.Rule)].plus(one)
	}
	if decision.Asked && decision.Outcome != reference.NoOutcome {
		at := decision.LineIndex<<2 | int(decision.Outcome)
		tw.wantLines[at] = tw.wantLines[at].plus(one)
	}
	counted := after1.Packets - before.Packets
	if counted > 0 {
		tw.wantLines[unsolicited] = tw.wantLines[unsolicited].plus(one)
	}
	switch {
	case decision.Unsolicited == reference.AnswersNone:
		tw.answersNone++
		if counted == 0 {
			tw.uncounted++
		}
	case decision.Unsolicited == reference.AnswersMaybe:
	case counted != 0:
		return fmt.Errorf("the switch counts an unsolicited SYN-ACK, the model says\n%v", decision)
	}
	return tw.flow(decision)
}

func (c count) plus(d count) count { return count{c.packets + d.packets, c.octets + d.octets} }

// flow compares the digest of the last frame with the model's. The digest may be missing, because the switch thins digests out.
func (tw *twin) flow(decision reference.Decision) error {
	select {
	case d := <-tw.engine.Digests():
		defer d.Release()
		if decision.Flow == nil {
			return fmt.Errorf("the switch tells of %x, the model of nothing:\n%v", d.Values, decision)
		}
		want := decision.Flow
		leg := map[reference.Leg]byte{reference.UpDst: 1, reference.DownSrc: 2, reference.DownDst: 3, reference.UpSrc: 4}[want.Leg]
		if want.Rule == reference.SpoofedRule && decision.Verdict == reference.Drop {
			leg = 0 // the switch has not looked up the leg
		}
		got := reference.Flow{
			LineIndex: int(d.Values[0][0])<<8 | int(d.Values[0][1]), Rule: d.Values[3][0], SYNACK: d.Values[5][0] == 1,
			Subscriber: addrOf(d.Values[8], d.Values[6][0]), Remote: addrOf(d.Values[9], d.Values[7][0]),
		}
		if got.LineIndex != want.LineIndex || got.Rule != want.Rule || got.SYNACK != want.SYNACK || got.Subscriber != want.Subscriber || got.Remote != want.Remote || d.Values[1][0] != leg {
			return fmt.Errorf("the switch tells of %+v, leg %d, the model of %+v", got, d.Values[1][0], want)
		}
	default:
	}
	return nil
}

func addrOf(b []byte, family byte) netip.Addr {
	if family == 1 {
		b = b[12:]
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// counters compares every cell of both counters with the model's sums, and the number of probes that the switch has counted.
func (tw *twin) counters() error {
	probes, ok := tw.engine.Counter("SwitchIngress.to_controller.probes")
	if !ok {
		return errors.New("no counter probes")
	}
	counted := 0
	for i := range 4 << 11 {
		v, err := probes.Read(i)
		if err != nil {
			return err
		}
		counted += int(v.Packets)
	}
	if counted < tw.ruled || counted > tw.ruled+tw.undetermined {
		return fmt.Errorf("the switch has counted %d probes; %d hit entries, and %d may have", counted, tw.ruled, tw.undetermined)
	}
	for name, c := range map[string]struct {
		counter *engine.Counter
		want    map[int]count
		size    int
	}{"port_rule": {tw.portRule, tw.wantRules, 512 << 8}, "line_mail": {tw.lineMail, tw.wantLines, 1 << 16}} {
		for i := range c.size {
			v, err := c.counter.Read(i)
			if err != nil {
				return err
			}
			if got := (count{v.Packets, v.Bytes}); got != c.want[i] {
				return fmt.Errorf("%s[%#x] is %+v, the model says %+v", name, i, got, c.want[i])
			}
		}
	}
	return nil
}

func sameOutputs(a, b []reference.Output) bool {
	return slices.EqualFunc(a, b, func(x, y reference.Output) bool { return x.Port == y.Port && bytes.Equal(x.Frame, y.Frame) })
}

func outputsText(out []reference.Output) string {
	text := ""
	for _, o := range out {
		text += fmt.Sprintf(" %d:%x", o.Port, o.Frame)
	}
	if text == "" {
		return " nothing"
	}
	return text
}

// TestModel sends random frames under random policies through the pipeline and the reference model. The output frames and ports, every counter,
// and the reports of mail flows must agree. With OP25B_LONG=1, the test sends more than a million frames.
func TestModel(t *testing.T) {
	policies, frames := 40, 300
	if longform.On() {
		policies, frames = 1100, 1000
	}
	seed := uint64(time.Now().UnixNano())
	if *seedFlag != 0 {
		seed = *seedFlag
	}
	r := rand.New(rand.NewPCG(seed, 0))
	total, passed, none, uncounted := 0, 0, 0, 0
	for i := range policies {
		p, inv := generate.Documents(r)
		tw := newTwin(t, r, p, inv, p.Phases[r.IntN(len(p.Phases))].Name)
		world := generate.NewWorld(p, inv, generate.SwitchName)
		for range frames {
			port, frame := world.Frame(r)
			if err := tw.send(time.Duration(r.IntN(200_000))*time.Microsecond, port, frame); err != nil {
				t.Fatalf("seed %d, policy %d, phase %q: frame %d, port %d: %x\n%v", seed, i, tw.phase, tw.frames, port, frame, err)
			}
		}
		if err := tw.counters(); err != nil {
			t.Fatalf("seed %d, policy %d: %v", seed, i, err)
		}
		total, passed, none, uncounted = total+tw.frames, passed+tw.passed, none+tw.answersNone, uncounted+tw.uncounted
	}
	if uncounted*20 > none+20 {
		t.Errorf("of %d unsolicited SYN-ACKs the switch did not count %d", none, uncounted)
	}
	fmt.Printf("model: %d frames under %d policies, %d passed, pipeline and model agree; of %d unsolicited SYN-ACKs %d shared a place\n", total, policies, passed, none, uncounted)
}

// TestModelShrinks is like TestModel, but sends fewer frames. They are drawn by rapid, which shrinks a failing case.
func TestModelShrinks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p, inv := generate.Documents(generate.Rapid(rt))
		tw := newTwin(t, generate.Rapid(rt), p, inv, p.Phases[0].Name)
		world := generate.NewWorld(p, inv, generate.SwitchName)
		for range 10 {
			port, frame := world.Frame(generate.Rapid(rt))
			if err := tw.send(time.Millisecond, port, frame); err != nil {
				rt.Fatalf("port %d: %x\n%v", port, frame, err)
			}
		}
	})
}

// FuzzModel sends frames from the fuzzer under a policy with several line groups and phases. The frames are either raw bytes or drawn from
// them.
func FuzzModel(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 25))
	p, inv := generate.Documents(r)
	for len(p.LineGroups) < 3 || len(p.Phases) < 2 {
		p, inv = generate.Documents(r)
	}
	tw := newTwin(f, r, p, inv, p.Phases[1].Name)
	world := generate.NewWorld(p, inv, generate.SwitchName)
	for range 200 {
		port, frame := world.Frame(r)
		f.Add(frame, port)
		entropy := make([]byte, 64)
		for i := range entropy {
			entropy[i] = byte(r.IntN(256))
		}
		f.Add(entropy, uint16(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, port uint16) {
		if port == 0 {
			port, data = world.Frame(generate.Bytes(data))
		}
		if port > uint16(pipeline.CPUPort) || len(data) > engine.MaxFrame || len(data) == 0 {
			t.Skip()
		}
		if err := tw.send(time.Millisecond, port, data); err != nil {
			t.Fatalf("port %d: %x\n%v", port, data, err)
		}
	})
}
