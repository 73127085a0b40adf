package e2e

import (
	"maps"
	"net/netip"
	"strings"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"pgregory.net/rapid"

	"op25b/internal/pipeline"
)

// half returns a random part of a table's entries.
func half[K comparable, V any](t *rapid.T, name string, m map[K]V) map[K]V {
	if rapid.Bool().Draw(t, name+" empty") {
		return nil
	}
	kept := maps.Clone(m)
	maps.DeleteFunc(kept, func(K, V) bool { return rapid.Bool().Draw(t, name) })
	return kept
}

// TestNeverWrongPassHalfLoaded verifies that the switch stays closed whichever part of the tables is loaded. It must not forward an
// ordinary subscriber's mail to port 25 of an outside server, or the server's replies from port 25 (I2). It must forward submission (I9).
func TestNeverWrongPassHalfLoaded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := filtering(3, 3, 3)
		s.Ports = half(r, "port", s.Ports)
		s.Lines = half(r, "line", s.Lines)
		s.Services = half(r, "service", s.Services)
		s.Remotes = half(r, "remote", s.Remotes)
		s.Subscribers = half(r, "subscriber", s.Subscribers)
		s.Verdicts = half(r, "verdict", s.Verdicts)
		worker := loaded(t, s).NewWorker()
		comes := func(in uint32, frame []byte, at uint32) bool {
			out := false
			worker.Process(in, frame, func(p uint32, _ []byte) { out = out || p == at })
			return out
		}
		const subscriber, server = "192.0.2.11", "203.0.113.129"
		up := func(port uint16) []byte {
			return tcp4(t, subscriberMAC, serverMAC, subscriber, server, 40000, port, flagSYN)
		}
		if comes(accessPort, up(25), networkPort) {
			r.Error("port 25 passes")
		}
		if !comes(accessPort, up(587), networkPort) {
			r.Error("port 587 does not pass")
		}
		if comes(networkPort, tcp4(t, serverMAC, subscriberMAC, server, subscriber, 25, 40000, flagSYN|flagACK), accessPort) {
			r.Error("an answer from port 25 passes")
		}
	})
}

// TestEmptySwitchIsClosed verifies that a switch with a program but without entries drops only port 25, and forwards each other frame
// once.
func TestEmptySwitchIsClosed(t *testing.T) {
	s := &pipeline.State{NetworkPorts: []pipeline.Port{networkPort}}
	worker := loaded(t, s).NewWorker()
	for port, want := range map[uint16]int{25: 0, 587: 1, 465: 1, 443: 1, 26: 1, 2525: 1} {
		n := 0
		worker.Process(accessPort, segment(t, netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("203.0.113.129"), port),
			func(uint32, []byte) { n++ })
		if n != want {
			t.Errorf("port %d: %d frames came out, want %d", port, n, want)
		}
	}
}

// TestSwitchRefusesWhatMeansNothing verifies that the embedded switch enforces the program's restrictions on all writers. A faulty client
// therefore cannot exempt the whole network or install rules for the epoch of a new switch.
func TestSwitchRefusesWhatMeansNothing(t *testing.T) {
	d := attachEmbedded(t, filtering(1, 1, 1))
	everybody := &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{
		TableId: 0x02000005, // subscriber_v4
		Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{
			ActionId: 0x01000004, Params: []*p4v1.Action_Param{{ParamId: 1, Value: []byte{1}}, {ParamId: 2, Value: []byte{0}}, {ParamId: 3, Value: []byte{0}}},
		}}},
	}}}
	err := d.session.Write(t.Context(), []*p4v1.Update{{Type: p4v1.Update_INSERT, Entity: everybody}})
	if err == nil || !strings.Contains(err.Error(), "prefix::prefix_length > 0") {
		t.Errorf("an exemption of every address: error is %v, want one that quotes the restriction", err)
	}
}
