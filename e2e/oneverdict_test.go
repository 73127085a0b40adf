package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"op25b/e2e/reference"
	"op25b/e2e/reference/generate"
	"op25b/internal/agent"
	"op25b/internal/fleet"
	"op25b/internal/longform"
	"op25b/internal/openconfig"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
	"op25b/internal/wire"
)

// A device is a switch under comparison: its packets, and its counters.
type device struct {
	name    string
	state   *pipeline.State
	session *p4rt.Session
	links   map[pipeline.Port]wire.Link
	out     map[pipeline.Port]chan []byte
	source  openconfig.Source
}

// attach converges a switch to a state and plugs into its ports, all over gRPC.
func attach(t *testing.T, name, p4runtime, packets string, state *pipeline.State) *device {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	config := p4rt.Config{Addr: p4runtime, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}}
	session, err := p4rt.Dial(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := session.WaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.Converge(ctx, session, state); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	client := dialPackets(t, packets, 1, access(state), state.NetworkPorts[0])
	d := &device{name: name, state: state, session: session, links: map[pipeline.Port]wire.Link{}, out: map[pipeline.Port]chan []byte{}}
	names := map[uint32]string{}
	var serving sync.WaitGroup
	for _, p := range state.AllPorts {
		link, err := client.Port(uint32(p), fmt.Sprint(name, " ", p))
		if err != nil {
			t.Fatal(err)
		}
		out := make(chan []byte, 1024)
		d.links[p], d.out[p], names[uint32(p)] = link, out, fmt.Sprint("port-", p)
		serving.Go(func() { _ = link.Serve(ctx, func(f []byte) { out <- bytes.Clone(f) }) })
	}
	if d.source, err = agent.New(session, names, nil, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = client.Close()
		serving.Wait()
		_ = session.Close()
	})
	return d
}

// access is the first access port of a state.
func access(s *pipeline.State) pipeline.Port {
	return s.AllPorts[slices.IndexFunc(s.AllPorts, func(p pipeline.Port) bool { return !slices.Contains(s.NetworkPorts, p) })]
}

func attachBMv2(t *testing.T, path string, state *pipeline.State) *device {
	t.Helper()
	packets := freeAddr(t)
	return attach(t, "bmv2", startBMv2(t, path, 1, nil, []string{"--dp-grpc-server-addr", packets}), packets, state)
}

func attachEmbedded(t *testing.T, state *pipeline.State) *device {
	t.Helper()
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sw.Close() })
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", Dataplane: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	return attach(t, "embedded", services.Addrs.P4Runtime, services.Addrs.Dataplane, state)
}

// onEveryTarget runs a test on the embedded switch and on bmv2, each brought to a state, or says in one line that bmv2 is not there.
func onEveryTarget(t *testing.T, state *pipeline.State, test func(t *testing.T, d *device)) {
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		test(t, attachEmbedded(t, state))
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		wants(t, "bmv2", reason)
		test(t, attachBMv2(t, path, state))
	})
}

// through sends frames and returns what came out, by port. Behind the frames goes one marker from each network port, flooded to all the
// others, and one from an access port, flooded to the network ports: when they have arrived, whatever the frames led to has too.
func (d *device) through(t *testing.T, frames []sent) map[pipeline.Port][][]byte {
	t.Helper()
	network, access := d.state.NetworkPorts, access(d.state)
	for _, p := range append(slices.Clone(network), access) {
		frames = append(frames, sent{p, marker(p)})
	}
	for _, f := range frames {
		if err := d.links[f.port].Send(f.frame); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.After(time.Minute)
	came := map[pipeline.Port][][]byte{}
	for _, p := range d.state.AllPorts {
		last := marker(network[len(network)-1])
		if slices.Contains(network, p) {
			last = marker(access)
		}
		for done := false; !done; {
			select {
			case f := <-d.out[p]:
				if done = bytes.Equal(f, last); !isMarker(f) {
					came[p] = append(came[p], f)
				}
			case <-deadline:
				t.Fatalf("%s: port %d has not sent the marker", d.name, p)
			}
		}
	}
	return came
}

// A marker is of no IP, to an address that no policy has.
func marker(from pipeline.Port) []byte {
	f := append([]byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, byte(from >> 8), byte(from)}, 0x88, 0xb5)
	return append(f, make([]byte, 46)...)
}

func isMarker(f []byte) bool {
	return len(f) == 60 && bytes.Equal(f[:6], marker(0)[:6]) && f[12] == 0x88 && f[13] == 0xb5
}

type sent struct {
	port  pipeline.Port
	frame []byte
}

// TestOneVerdict sends the same random frames under the same random policies through bmv2 and the embedded switch, and compares what comes
// out of every port, byte for byte, and every counter (I6). OP25B_LONG=1 sends 200,000.
//
// The two have clocks of their own, so frames of which a clock decides are left out: new connections that a meter limits (see TestLimit),
// and rejects beyond the first of a line that are answered in any second. bmv2 starts anew for each policy, so that it has answered none.
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
		compiled, err := policy.Compile(p, inv, generate.SwitchName, phase, generate.Now())
		if err != nil {
			t.Fatal(err)
		}
		world := generate.NewWorld(p, inv, generate.SwitchName)
		model := reference.New(p, inv, generate.SwitchName, phase, generate.Now())
		var all []sent
		for len(all) < frames {
			port, frame := world.Frame(r)
			if !slices.Contains(compiled.State.AllPorts, pipeline.Port(port)) {
				continue // nothing is plugged in there
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
	if out == 0 || counters == 0 || answered == 0 {
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

// counted is every counter of rules on ports and of the lines' mail that is not 0.
func counted(t *testing.T, d *device, lines int) string {
	t.Helper()
	state, err := d.source.Snapshot(t.Context())
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
			entities, err := d.session.Read(t.Context(), pipeline.LineMailRead(pipeline.LineIndex(line), outcome))
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
