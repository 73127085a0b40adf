package fleet

import (
	"context"
	"strings"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/proto"

	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// probed starts a controller that probes a switch often and reads it rarely.
func probed(t *testing.T) (x *testSwitch, r *running) {
	t.Helper()
	x = startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	in := apply(t, book, documentsOf(t, x))
	r = start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now, ProbeEvery: 20 * time.Millisecond, secondLook: time.Millisecond})
	r.converged(x.name, in.Number)
	r.await("probes", func(all map[string]Status) bool {
		p := all[x.name].Probes
		return p != nil && p.Packets > 100 && p.Deviating == 0 && p.Failure == ""
	})
	return x, r
}

// deviating returns how many packets deviated in the last round of probes, or -1 if the state was not probed yet.
func deviating(st Status) int {
	if st.Probes == nil {
		return -1
	}
	return st.Probes.Deviating
}

// relayEntry returns the entry of an address of the own relays.
func relayEntry(t *testing.T, x *testSwitch) pipeline.Entry {
	t.Helper()
	return pick(t, entries(t, x), "remote_v4")
}

// TestRoundsGoOn verifies that the rounds of a new session do not begin with the same packets again.
func TestRoundsGoOn(t *testing.T) {
	began := time.Date(2006, 6, 1, 0, 0, 0, 0, time.UTC)
	first := firstRound(began, 5*time.Minute)
	for after, want := range map[time.Duration]int{4 * time.Minute: 0, 5 * time.Minute: 1, time.Hour: 12, 24 * time.Hour: 288} {
		if got := firstRound(began.Add(after), 5*time.Minute) - first; got != want {
			t.Errorf("a session that begins %v later begins %d rounds later, want %d", after, got, want)
		}
	}
	if got := firstRound(began, 0); got != 0 {
		t.Errorf("without probes, the first round is %d", got)
	}
	w := &worker{assignment: &assignment{c: &controller{Config: Config{Now: func() time.Time { return began }, ProbeEvery: 5 * time.Minute}}}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p := w.startAsker(ended, nil)
	p.wait()
	if p.rounds != first {
		t.Errorf("a session begins with round %d, want %d", p.rounds, first)
	}
}

// TestProbesFindALostEntry verifies that probes find an entry that a switch has lost long before the next audit, and that the audit that follows at
// once repairs it.
func TestProbesFindALostEntry(t *testing.T) {
	x, r := probed(t)
	lost := relayEntry(t, x)
	x.hand(t, update(p4v1.Update_DELETE, p4rt.Entity(lost)))
	r.await("the repair", func(all map[string]Status) bool {
		st := all[x.name]
		return st.State == StateConverged && strings.Contains(strings.Join(st.Drift, "\n"), "missing "+lost.String()) && deviating(st) == 0
	})
}

// TestProbesFindALie verifies that a switch whose entries read back right, and which would treat packets otherwise, is never reported as converged,
// but as failed with the packet that shows it, until it does what it says.
func TestProbesFindALie(t *testing.T) {
	for name, c := range map[string]struct {
		table string
		// wrong returns what the switch really has in place of an entry; nil if it has nothing.
		wrong func(*p4v1.Entity) *p4v1.Entity
	}{
		"a lost entry":           {"remote_v4", func(*p4v1.Entity) *p4v1.Entity { return nil }},
		"a swapped action":       {"verdict", swapped},
		"an entry matches wrong": {"remote_v4", narrower},
	} {
		t.Run(name, func(t *testing.T) {
			x, r := probed(t)
			var right, wrong *p4v1.Entity
			for _, e := range entries(t, x) {
				if e.Table() != c.table {
					continue
				}
				right = p4rt.Entity(e)
				if wrong = c.wrong(right); wrong != nil || c.table == "remote_v4" {
					break
				}
			}
			same := wrong != nil && key(wrong) == key(right)
			x.mu.Lock()
			x.lie = func(answer *p4v1.ReadResponse) { tell(answer, right, wrong) }
			x.mu.Unlock()
			switch {
			case wrong == nil:
				x.hand(t, update(p4v1.Update_DELETE, right))
			case same:
				x.hand(t, update(p4v1.Update_MODIFY, wrong))
			default:
				x.hand(t, update(p4v1.Update_DELETE, right), update(p4v1.Update_INSERT, wrong))
			}
			r.await("the failure", func(all map[string]Status) bool {
				st := all[x.name]
				return st.State == StateFailed && st.Reason == ReasonDeviates && deviating(st) > 0 &&
					strings.Contains(st.Detail, "the documents demand: ") && strings.Contains(st.Detail, "the switch would do:  ")
			})
			x.mu.Lock()
			x.lie = nil
			x.mu.Unlock()
			r.await("the repair", func(all map[string]Status) bool {
				return all[x.name].State == StateConverged && deviating(all[x.name]) == 0
			})
		})
	}
}

// key identifies an entry.
func key(e *p4v1.Entity) string {
	t := proto.CloneOf(e.GetTableEntry())
	t.Action = nil
	return t.String()
}

// tell makes an answer to a read say that the switch has the entry right, and not the entry wrong.
func tell(answer *p4v1.ReadResponse, right, wrong *p4v1.Entity) {
	table := right.GetTableEntry().GetTableId()
	for i, e := range answer.Entities {
		if wrong != nil && e.GetTableEntry() != nil && key(e) == key(wrong) {
			answer.Entities[i] = proto.CloneOf(right)
			return
		}
	}
	for _, e := range answer.Entities {
		if wrong == nil && e.GetTableEntry().GetTableId() == table {
			answer.Entities = append(answer.Entities, proto.CloneOf(right))
			return
		}
	}
}

// swapped returns a rule that permits as a rule that drops, or nil for any other rule.
func swapped(e *p4v1.Entity) *p4v1.Entity {
	const permit, drop = 0x01000005, 0x01000007
	if e.GetTableEntry().GetAction().GetAction().GetActionId() != permit {
		return nil
	}
	wrong := proto.CloneOf(e)
	wrong.GetTableEntry().GetAction().GetAction().ActionId = drop
	return wrong
}

// narrower returns an entry for a longer prefix.
func narrower(e *p4v1.Entity) *p4v1.Entity {
	wrong := proto.CloneOf(e)
	for _, m := range wrong.GetTableEntry().GetMatch() {
		if lpm := m.GetLpm(); lpm != nil {
			lpm.PrefixLen = 32
			lpm.Value = append([]byte(nil), lpm.GetValue()...)
			lpm.Value[len(lpm.Value)-1] |= 0x0f
		}
	}
	return wrong
}

// TestProbesOfASwitchWithoutAnAnswer verifies that a switch that answers no probes is converged, and that the status says that it was not probed.
func TestProbesOfASwitchWithoutAnAnswer(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	x.mute.Store(true)
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	in := apply(t, book, documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now, ProbeEvery: time.Hour})
	r.converged(x.name, in.Number)
	r.await("the report", func(all map[string]Status) bool {
		p := all[x.name].Probes
		return p != nil && strings.Contains(p.Failure, "has not answered probe 1 of ") && all[x.name].State == StateConverged
	})
}
