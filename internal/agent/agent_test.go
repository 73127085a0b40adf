package agent

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"op25b/internal/openconfig"
	"op25b/internal/p4rt"
	"op25b/internal/softswitch"
	"op25b/internal/wire"
	"op25b/p4src"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFollowsThePipeline verifies that the agent serves the same counters as the switch's own gNMI after the switch has received its
// pipeline. The test runs the embedded switch and real P4Runtime.
func TestFollowsThePipeline(t *testing.T) {
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer sw.Close()
	near, far := wire.Pipe("access-1", "host")
	if err := sw.Attach(1, near); err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	config := p4rt.Config{Addr: services.Addrs.P4Runtime, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}}
	reader, err := p4rt.DialReader(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	source, err := New(reader, Config{Ports: map[uint32]string{1: "access-1"}, Version: "agent"})
	if err != nil {
		t.Fatal(err)
	}

	state := snapshot(t, source)
	if state.ACLSet != "" || len(state.Interfaces) != 1 || state.Interfaces[0].Name != "access-1" {
		t.Errorf("before a pipeline the agent says %+v, want access-1 without ACL", state)
	}

	boot := state.System.BootTime
	if again := snapshot(t, source).System; boot.IsZero() || !again.BootTime.Equal(boot) || again.SoftwareVersion != "agent" {
		t.Errorf("without a pipeline the system is %+v after boot-time %v", again, boot)
	}

	session, err := p4rt.Dial(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.WaitPrimary(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := session.EnsurePipeline(t.Context(), p4src.P4Info(), p4src.DeviceConfig()); err != nil {
		t.Fatal(err)
	}
	pkg := p4src.P4Info().GetPkgInfo()
	state = snapshot(t, source)
	if want := "agent, " + pkg.GetName() + " " + pkg.GetVersion(); state.ACLSet != "op25b" || state.System.SoftwareVersion != want || !state.System.BootTime.After(boot) {
		t.Errorf("with the pipeline the ACL set is %q and the system %+v, want op25b and version %q", state.ACLSet, state.System, want)
	}

	// A segment to port 25 that no entry permits is counted under rule 1, fail-closed.
	if err := far.Send(smtpSegment()); err != nil {
		t.Fatal(err)
	}
	want := []openconfig.ACLEntry{{SequenceID: 1, MatchedPackets: 1, MatchedOctets: 60}}
	for len(snapshot(t, sw.Source()).Interfaces[0].ACL) == 0 { // wait until the switch has counted the segment
	}
	for name, s := range map[string]openconfig.Source{"switch": sw.Source(), "agent": source} {
		if got := snapshot(t, s).Interfaces[0].ACL; !slices.Equal(got, want) {
			t.Errorf("%s: ACL counters are %+v, want %+v", name, got, want)
		}
	}
}

func snapshot(t *testing.T, s openconfig.Source) *openconfig.State {
	t.Helper()
	state, err := s.Snapshot(t.Context(), openconfig.AllParts)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func smtpSegment() []byte {
	f := append([]byte{2, 0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 1, 8, 0}, // Ethernet, IPv4
		0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 11, 203, 0, 113, 25)
	f = append(f, 0xc0, 0, 0, 25, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0)
	return append(f, make([]byte, 60-len(f))...) // padded to the minimum length of an Ethernet frame
}

// TestBootTimeOfARunningSwitch verifies that an agent reports no boot-time if it starts beside a switch that has already counted. It
// reports one once the counters begin anew.
func TestBootTimeOfARunningSwitch(t *testing.T) {
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer sw.Close()
	near, far := wire.Pipe("access-1", "host")
	if err := sw.Attach(1, near); err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	config := p4rt.Config{Addr: services.Addrs.P4Runtime, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}}
	session, err := p4rt.Dial(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.WaitPrimary(t.Context()); err != nil {
		t.Fatal(err)
	}
	push := func() {
		t.Helper()
		if err := session.Push(t.Context(), p4src.P4Info(), p4src.DeviceConfig(), 7); err != nil {
			t.Fatal(err)
		}
	}
	push()
	if err := far.Send(smtpSegment()); err != nil {
		t.Fatal(err)
	}
	for len(snapshot(t, sw.Source()).Interfaces[0].ACL) == 0 { // wait until the switch has counted the segment
	}
	reader, err := p4rt.DialReader(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	source, err := New(reader, Config{Ports: map[uint32]string{1: "access-1"}})
	if err != nil {
		t.Fatal(err)
	}
	if st := snapshot(t, source); !st.System.BootTime.IsZero() || st.Interfaces[0].ACL[0].MatchedPackets != 1 {
		t.Errorf("at first contact the counters began at %v, and are %+v", st.System.BootTime, st.Interfaces[0].ACL)
	}
	before := time.Now()
	push()
	if st := snapshot(t, source); st.System.BootTime.Before(before) || st.Interfaces[0].ACL[0].MatchedPackets != 0 {
		t.Errorf("after a push the counters began at %v, and are %+v", st.System.BootTime, st.Interfaces[0].ACL)
	}
}
