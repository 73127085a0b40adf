package e2e

import (
	"maps"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"op25b/internal/pipeline"
)

// half keeps each entry of a table or not.
func half[K comparable, V any](t *rapid.T, name string, m map[K]V) map[K]V {
	if rapid.Bool().Draw(t, name+" empty") {
		return nil
	}
	kept := maps.Clone(m)
	maps.DeleteFunc(kept, func(K, V) bool { return rapid.Bool().Draw(t, name) })
	return kept
}

// TestNeverWrongPassHalfLoaded: whatever part of the tables has been loaded, mail of an ordinary subscriber to an outside server does not
// leave on port 25 (I2), and submission does (I9).
func TestNeverWrongPassHalfLoaded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := filtering(3, 3, 3)
		s.Lines = half(r, "line", s.Lines)
		s.Services = half(r, "service", s.Services)
		s.Remotes = half(r, "remote", s.Remotes)
		s.Subscribers = half(r, "subscriber", s.Subscribers)
		s.Verdicts = half(r, "verdict", s.Verdicts)
		worker := loaded(t, s).NewWorker()
		passes := func(port uint16) bool {
			out := false
			worker.Process(accessPort, segment(t, netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("203.0.113.129"), port),
				func(p uint32, _ []byte) { out = out || p == networkPort })
			return out
		}
		if passes(25) {
			r.Error("port 25 passes")
		}
		if !passes(587) {
			r.Error("port 587 does not pass")
		}
	})
}

// The same on a switch with a program and nothing else: it floods to no port, and drops nothing but port 25.
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
