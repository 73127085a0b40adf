package e2e

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"op25b/internal/agent"
	"op25b/internal/bring/bringtest"
	"op25b/internal/native"
	"op25b/internal/openconfig"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/softswitch"
	"op25b/internal/softswitch/engine"
	"op25b/internal/wire"
)

// A device is a switch under test, with access to its packets and counters.
type device struct {
	name    string
	addr    string // the address of its P4Runtime server
	state   *pipeline.State
	session *p4rt.Session
	links   map[pipeline.Port]wire.Link
	out     map[pipeline.Port]chan []byte
	source  openconfig.Source
}

// attach brings a switch to a state and attaches to its ports, both over gRPC.
func attach(t testing.TB, name, p4runtime, packets string, state *pipeline.State) *device {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	session := dialPrimary(t, p4runtime)
	if _, err := bringtest.Converge(ctx, session, state); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	client := dialPackets(t, packets, 1, access(state), state.NetworkPorts[0])
	d := &device{name: name, addr: p4runtime, state: state, session: session, links: map[pipeline.Port]wire.Link{}, out: map[pipeline.Port]chan []byte{}}
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
	var err error
	if d.source, err = agent.New(session, agent.Config{Ports: names}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = client.Close()
		serving.Wait()
	})
	return d
}

// dialPrimary opens a session that becomes primary on a switch with device id 1. The session ends with the test.
func dialPrimary(t testing.TB, p4runtime string) *p4rt.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	session, err := p4rt.Dial(ctx, p4rt.Config{Addr: p4runtime, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	if err := session.WaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	return session
}

// A scope is a testing.TB whose cleanups can run before the end of the test.
type scope struct {
	testing.TB
	ends []func()
}

// Cleanup implements testing.TB.
func (s *scope) Cleanup(f func()) { s.ends = append(s.ends, f) }

func (s *scope) end() {
	for len(s.ends) > 0 {
		last := len(s.ends) - 1
		f := s.ends[last]
		s.ends = s.ends[:last]
		f()
	}
}

// access returns the first access port of a state.
func access(s *pipeline.State) pipeline.Port {
	return s.AllPorts[slices.IndexFunc(s.AllPorts, func(p pipeline.Port) bool { return !slices.Contains(s.NetworkPorts, p) })]
}

func attachBMv2(t testing.TB, path string, state *pipeline.State) *device {
	t.Helper()
	packets := freeAddr(t)
	return attach(t, "bmv2", startBMv2(t, path, 1, nil, []string{"--dp-grpc-server-addr", packets}), packets, state)
}

func attachEmbedded(t testing.TB, state *pipeline.State) *device {
	t.Helper()
	addrs := startEmbedded(t)
	return attach(t, "embedded", addrs.P4Runtime, addrs.Dataplane, state)
}

// startEmbedded starts an embedded switch with device id 1 and its packet service. The switch ends with the test.
func startEmbedded(t testing.TB) softswitch.Addrs {
	t.Helper()
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1, Clock: time.Now, Native: []*engine.Native{native.Native}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sw.Close() })
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", Dataplane: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	return services.Addrs
}

// onEveryTarget runs a test on the embedded switch and on bmv2, after bringing each to the given state. If bmv2 is missing, onEveryTarget
// prints one line.
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

// through sends frames and returns the output of each port. After the frames, it sends a marker from each network port, which the switch
// floods to all other ports, and a marker from an access port, which the switch floods to the network ports. All output of the frames has
// arrived once the markers have arrived.
func (d *device) through(t testing.TB, frames []sent) map[pipeline.Port][][]byte {
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

// marker returns a frame that is not IP and whose destination is in no policy.
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
