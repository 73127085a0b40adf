package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/compile/compiletest"
	"op25b/internal/openconfig"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reference"
	"op25b/internal/reference/generate"
)

// TestOneVerdict sends the same random frames under the same random policies through bmv2 and the embedded switch. It compares every counter,
// and the output of every port byte for byte (I6). With OP25B_LONG=1, the test sends 200,000 frames.
//
// The two switches have separate clocks, so the test omits frames whose handling depends on a clock. These are new connections that a meter
// limits (see TestLimit), and rejects of a line after its first, because rejects per second are limited. bmv2 restarts for each policy, so
// that its limit of rejects is unused.
func TestOneVerdict(t *testing.T) {
	path, reason := findBMv2()
	wants(t, "bmv2", reason)
	policies, frames := 10, 200
	if longform.On() {
		policies, frames = 400, 500
	}
	seed := uint64(time.Now().UnixNano())
	if *seedFlag != 0 {
		seed = *seedFlag
	}
	r := rand.New(rand.NewPCG(seed, 0))
	in, out, answered, counters := 0, 0, 0, 0
	for range policies {
		p, inv := generate.Documents(r)
		phase := p.Phases[r.IntN(len(p.Phases))].Name
		compiled, err := compiletest.Compile(&policy.Bundle{Policy: p, Inventory: inv}, nil, generate.SwitchName, policy.Everywhere(phase), generate.Now())
		if err != nil {
			t.Fatal(err)
		}
		world := generate.NewWorld(p, inv, generate.SwitchName)
		model := reference.New(p, inv, generate.SwitchName, phase, generate.Now())
		exemptUntil(compiled, model, generate.Endings(r, p, inv, generate.SwitchName, []pipeline.ClockSecond{0, farPast, farFuture}))
		var all []sent
		for len(all) < frames {
			port, frame := world.Frame(r)
			if !slices.Contains(compiled.State.AllPorts, pipeline.Port(port)) {
				continue // nothing is connected to the port
			}
			d := model.Decide(0, port, frame)
			if len(frame) == 0 || d.Timed || d.Verdict == reference.Reject && !d.Rejected || d.Unsolicited == reference.AnswersMaybe {
				continue
			}
			if d.Rejected {
				answered++
			}
			all = append(all, sent{pipeline.Port(port), frame})
		}
		t.Run("policy", func(t *testing.T) {
			real, embedded := attachBMv2(t, path, &compiled.State), attachEmbedded(t, &compiled.State)
			for batch := range slices.Chunk(all, 50) {
				want, got := real.through(t, batch), embedded.through(t, batch)
				for _, p := range compiled.State.AllPorts {
					if !slices.EqualFunc(want[p], got[p], bytes.Equal) {
						t.Fatalf("seed %d: port %d: bmv2 sent\n%s\nthe embedded switch\n%s\nof the frames\n%s", seed, p, dump(want[p]), dump(got[p]), dumpSent(batch))
					}
					out += len(want[p])
				}
				in += len(batch)
			}
			want, got := counted(t, real, len(compiled.Lines)), counted(t, embedded, len(compiled.Lines))
			if want != got {
				t.Fatalf("seed %d: bmv2 counted\n%s\nthe embedded switch\n%s", seed, want, got)
			}
			counters += strings.Count(want, "\n")
		})
		if t.Failed() {
			break
		}
	}
	if out == 0 || counters == 0 || answered == 0 && longform.On() { // in a short run, it can happen that no policy has a rule that rejects
		t.Errorf("seed %d: the frames show nothing: %d came out, %d were answered, %d counters", seed, out, answered, counters)
	}
	fmt.Printf("one verdict: %d frames under %d policies into each switch, %d out of each, the same; %d answers and %d counters the same\n", in, policies, out, answered, counters)
}

func dump(frames [][]byte) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "  %x\n", f)
	}
	return b.String()
}

func dumpSent(frames []sent) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "  %d: %x\n", f.port, f.frame)
	}
	return b.String()
}

// counted returns all nonzero counters of the rules on ports and of the lines' mail, as text.
func counted(t *testing.T, d *device, lines int) string {
	t.Helper()
	state, err := d.source.Snapshot(t.Context(), openconfig.AllParts)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, in := range state.Interfaces {
		for _, e := range in.ACL {
			fmt.Fprintf(&b, "%s rule %d: %d packets, %d octets\n", in.Name, e.SequenceID, e.MatchedPackets, e.MatchedOctets)
		}
	}
	for line := range lines + 1 {
		for outcome := range pipeline.Unsolicited + 1 {
			entities, err := d.session.Read(t.Context(), p4rt.LineMailRead(pipeline.LineIndex(line), outcome))
			if err != nil || len(entities) != 1 {
				t.Fatalf("%d counters, %v", len(entities), err)
			}
			if data := entities[0].GetCounterEntry().GetData(); data.GetPacketCount() != 0 {
				fmt.Fprintf(&b, "line %d outcome %d: %d packets, %d octets\n", line, outcome, data.GetPacketCount(), data.GetByteCount())
			}
		}
	}
	return b.String()
}
