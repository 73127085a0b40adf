package fleet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/e2e/longform"
	"op25b/internal/compile"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/subscriber"
)

// TestI2SessionsConverge makes random changes of sessions, phases, controllers and the switch. When they are over, the switch has exactly the entries
// of the sessions that hold, and the verdict for each address is that of its line. At no time do two lines have the same address.
func TestI2SessionsConverge(t *testing.T) {
	rounds := 6
	if longform.On() {
		rounds = 200
	}
	for seed := range rounds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { sessionsConverge(t, rand.New(rand.NewPCG(uint64(seed), 0))) })
	}
}

func sessionsConverge(t *testing.T, random *rand.Rand) {
	w := newSessionWorld(t)
	r := w.run(w.reg)
	held := make(map[string]string) // the ids of the sessions that were started last
	lines := []string{"adsl-home", "adsl-bot", "mobile-sim"}
	addresses := []string{"192.0.2.77/32", "192.0.2.78/32", "192.0.2.79/32", "2001:db8:7::/56", "2001:db8:8::/64"}
	phases := []string{"before", "all-destinations"}
	for range 5 + random.IntN(20) {
		w.clock.set(w.clock.now().Add(time.Second))
		line := lines[random.IntN(len(lines))]
		switch []string{"start", "start", "start", "stop", "on", "phase", "killed", "rebooted"}[random.IntN(8)] {
		case "start":
			random.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
			held[line] = w.start(line, addresses[:random.IntN(3)]...)
		case "stop":
			w.report(subscriber.Stop, line, held[line])
		case "on":
			w.report(subscriber.Restart, line, "")
		case "phase":
			in := must(w.book.Current(within(t)))(t)
			_, _ = w.book.Activate(within(t), in.Number, phases[random.IntN(len(phases))], policy.Scope{}, by)
		case "killed":
			r.end()
			r = w.run(w.reg)
		case "rebooted":
			w.reboot()
		}
	}
	w.clock.set(w.clock.now().Add(time.Second))
	w.start("mobile-sim", lastPrefix)
	w.heard("mobile-sim", lastPrefix)
	in := must(w.book.Current(within(t)))(t)
	if phase, _ := in.InForce(w.x.name, w.clock.now()); phase.Default != "all-destinations" {
		in = must(w.book.Activate(within(t), in.Number, "all-destinations", policy.Scope{}, by))(t)
	}
	r.converged(w.x.name, in.Number)
	layer := must(in.SessionLines(w.x.name, w.clock.now()))(t)
	var want []string
	passes := make(map[string]bool)
	for _, line := range lines {
		prefixes, _, _ := w.reg.Addresses(line)
		for _, e := range layer.Entries(line, prefixes) {
			want = append(want, short(line, e))
		}
		for _, p := range prefixes {
			if p.Addr().Is4() && line != "mobile-sim" {
				passes[fmt.Sprintf("%s %v 25", strings.TrimPrefix(line, "adsl-"), p.Addr())] = line == "adsl-home"
				passes[fmt.Sprintf("%s %v 587", strings.TrimPrefix(line, "adsl-"), p.Addr())] = true
			}
		}
	}
	w.holds(want...)
	w.attach().wants(passes)
	r.end()
	w.oneHolder()
}

// lastPrefix is the prefix of the last session of a round.
const lastPrefix = "2001:db8:9::/56"

// heard waits until the register has the session of a line. The register receives what it stores from the store, in the order of the changes, so
// it then has all earlier sessions too.
func (w *sessionWorld) heard(line, prefix string) {
	w.t.Helper()
	for over := time.Now().Add(deadline); ; runtime.Gosched() {
		if prefixes, _, _ := w.reg.Addresses(line); slices.Contains(prefixes, netip.MustParsePrefix(prefix)) {
			return
		}
		if time.Now().After(over) {
			w.t.Fatalf("the register does not have %s of %s", prefix, line)
		}
	}
}

// oneHolder replays the writes and fails if two lines were bound to the same address at any time.
func (w *sessionWorld) oneHolder() {
	w.t.Helper()
	writes, _ := w.x.forget()
	bound := make(map[netip.Prefix]pipeline.LineIndex)
	for _, request := range writes {
		for _, u := range request.Updates {
			e, err := p4rt.EntryOf(u.Entity)
			if err != nil || !e.IsSource() || compile.Wide(e) {
				continue
			}
			p := e.SourcePrefix()
			if u.Type == p4v1.Update_DELETE {
				delete(bound, p)
			} else if other, is := bound[p]; is && other != e.SourceLine() {
				w.t.Errorf("%v of line %d is given to line %d", p, other, e.SourceLine())
			} else {
				bound[p] = e.SourceLine()
			}
		}
	}
}

// reboot replaces the switch by an empty one at the same address.
func (w *sessionWorld) reboot() {
	w.t.Helper()
	addr := w.x.addr
	w.x.stop()
	w.x.forget()
	w.x = startTestSwitch(w.t, w.x.id, addr)
}
