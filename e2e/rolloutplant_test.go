package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"op25b/examples"
	"op25b/internal/bring"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
	"op25b/internal/rollout"
	"op25b/internal/rollout/drive"
	"op25b/internal/rollout/tickets"
	"op25b/internal/softswitch"
	"op25b/p4src"
)

// A rolloutPlant is an installation of an etcd and two controllers, each a process, and three embedded switches in this process. It watches a rollout
// from outside, as an operator does.
type rolloutPlant struct {
	*plant
	driver *drive.Driver  // gives commands and reads; it carries nothing out
	before *intent.Intent // the intent before the rollout

	most int // the largest number of rings that the record has wanted in this rollout

	writing sync.Mutex // guards the fields below
	playing bool       // whether writes to switches wait for the test
	handled int64      // the version of the record that the test has handled last
	done    *sync.Cond // signalled when they change
}

// startRolloutPlant starts a plant in the phase watch, and waits until its switches have it.
func startRolloutPlant(t *testing.T) *rolloutPlant {
	t.Helper()
	p := &rolloutPlant{plant: &plant{
		t: t, dir: t.TempDir(), cluster: map[string]string{}, statuses: map[string]fleet.Status{}, changed: make(chan struct{}),
	}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.story())
		}
	})
	p.done = sync.NewCond(&p.writing)
	var err error
	if p.contract, err = pipeline.NewContract(p4src.P4Info()); err != nil {
		t.Fatal(err)
	}
	command := buildBinary(t)
	p.guard()
	client := p.daemonAddr()
	p.cluster["etcd-1"], p.endpoints = p.daemonAddr(), []string{client}
	p.members = append(p.members, p.node("etcd-1", memberMiB, func() *exec.Cmd {
		return exec.Command(command, "etcd", "--name", "etcd-1", "--data-dir", p.dataDir("etcd-1"), "--listen", client, "--listen-peer", p.cluster["etcd-1"],
			"--initial-cluster", p.initialCluster())
	}))
	files := examples.LibmoMobile()
	for i, name := range []string{"edge-east", "edge-west", "edge-south"} {
		sw, err := softswitch.New(softswitch.Options{DeviceID: uint64(i + 11)})
		if err != nil {
			t.Fatal(err)
		}
		services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { services.Close(); _ = sw.Close() })
		e := &edge{node: node{name: name, said: newJournal()}, id: uint64(i + 11), addr: services.Addrs.P4Runtime}
		e.network = newNetwork(t, e.addr)
		p.holdWrites(e)
		for j := range files {
			files[j].Data = bytes.ReplaceAll(files[j].Data, fmt.Appendf(nil, "127.0.0.1:957%d", i+1), []byte(e.network.addr()))
			files[j].Data = bytes.ReplaceAll(files[j].Data, fmt.Appendf(nil, "127.0.0.1:937%d", i+1), []byte(services.Addrs.GNMI))
		}
		p.switches = append(p.switches, e)
	}
	for i := range 2 {
		name := fmt.Sprintf("noc-%d", i+1)
		p.controllers = append(p.controllers, p.node(name, controllerMiB, func() *exec.Cmd {
			return childCommand(t, childConfig{Kind: rolloutChild, Name: name, Endpoints: p.endpoints})
		}))
	}
	p.members[0].start()
	p.open()
	p.driver = &drive.Driver{Store: p.store, Book: p.book, Counters: nil, Forecasts: stopsNobody{}, Lines: killedLines("edge-east"), Name: "noc", Now: time.Now, Logger: zap.NewNop()}
	proposed, err := p.book.Propose(generous(t), files)
	if err != nil {
		t.Fatal(err)
	}
	in, err := p.book.Put(generous(t), proposed, intent.By{Who: "noc", Reason: "begin"})
	if err != nil {
		t.Fatal(err)
	}
	if p.before, err = p.book.Activate(generous(t), in.Number, "watch", policy.Scope{}, intent.By{Who: "noc", Reason: "before the rollout"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range p.controllers {
		c.start()
	}
	p.converged()
	return p
}

// holdWrites makes each write to a switch wait until the test has handled the newest record of the rollout. So no state that writes to a switch is
// over before the test has seen it and killed its leader.
func (p *rolloutPlant) holdWrites(e *edge) {
	tap := e.network.tap
	tap.mu.Lock()
	defer tap.mu.Unlock()
	tap.hold = func(*tapped) {
		p.holdWrites(e)
		p.writing.Lock()
		playing := p.playing
		p.writing.Unlock()
		if !playing {
			return
		}
		now, err := p.driver.Current(context.Background())
		if err != nil {
			return // the store is closed
		}
		p.writing.Lock()
		defer p.writing.Unlock()
		for p.playing && p.handled < now.Version {
			p.done.Wait()
		}
	}
}

// handle notes that the test has handled a record. play is false if it watches the rollout no more.
func (p *rolloutPlant) handle(version int64, play bool) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.handled, p.playing = version, play
	p.done.Broadcast()
}

// converged waits until every switch has the newest intent, as its controller reports and in truth.
func (p *rolloutPlant) converged() {
	p.t.Helper()
	in, err := p.book.Current(generous(p.t))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range p.switches {
		p.await(e.name+" converged", func() error {
			if st := p.status(e); st.State != fleet.StateConverged || st.Revision != in.Number {
				return fmt.Errorf("%s is %s in revision %d, want %d", e.name, st.State, st.Revision, in.Number)
			}
			return p.holds(generous(p.t), e, in)
		})
	}
}

// holds is plant.holds for switches with a clock: the ends of exemptions, which are in the clock of the switch, are not compared.
func (p *rolloutPlant) holds(ctx context.Context, e *edge, in *intent.Intent) error {
	return p.holdsBy(ctx, e, in, reconcile.Options{End: bring.KeepEnds})
}

// killRings are the numbers of the switches of each ring.
var killRings = [][]int{{0}, {1, 2}}

// killSoak is the soak time of each ring.
const killSoak = 2 * time.Second

// begin starts a rollout with two rings, for which a support desk is heard.
func (p *rolloutPlant) begin() *drive.Stored {
	p.t.Helper()
	var err error
	if p.before, err = p.book.Current(generous(p.t)); err != nil {
		p.t.Fatal(err)
	}
	p.most = 0
	p.handle(0, true)
	p.hear()
	gates := rollout.DefaultGates()
	gates.Stale, gates.Tickets = 10*time.Second, rollout.TicketBound{Lines: 1, Within: time.Hour}
	r := rollout.Record{Change: rollout.Change{Phase: "all-destinations"}, Baseline: 2 * time.Second}
	for i, members := range killRings {
		stage := rollout.Stage{Name: fmt.Sprint("ring-", i), Soak: killSoak, Gates: gates}
		for _, n := range members {
			stage.Switches = append(stage.Switches, p.switches[n].name)
		}
		slices.Sort(stage.Switches)
		r.Stages = append(r.Stages, stage)
	}
	s, err := p.driver.Start(generous(p.t), r, drive.By{Who: "noc", Role: "operator", Reason: "kill"})
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// again puts the phase in force that was there before the rollout.
func (p *rolloutPlant) again() {
	p.t.Helper()
	in, err := p.book.Current(generous(p.t))
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.book.Activate(generous(p.t), in.Number, "watch", policy.Scope{}, intent.By{Who: "noc", Reason: "once more"}); err != nil {
		p.t.Fatal(err)
	}
	p.converged()
}

// hear reports support tickets of some lines of the first switch, as a support desk does.
func (p *rolloutPlant) hear(lines ...string) {
	p.t.Helper()
	now := time.Now()
	var all []tickets.Ticket
	for _, line := range lines {
		all = append(all, tickets.Ticket{ID: line, At: now, Kind: tickets.Mail, Line: line})
	}
	if _, err := p.driver.Hear(generous(p.t), "tokyo", now, all); err != nil {
		p.t.Fatal(err)
	}
}

// killedLines finds the lines of one switch by their names.
type killedLines string

// Place implements drive.Lines.
func (sw killedLines) Place(line string, _ netip.Addr) (string, string, error) {
	return string(sw), line, nil
}

// leader returns the controller that carries the rollout out, and the other one. It returns nil if none does now.
func (p *rolloutPlant) leader(ctx context.Context) (leads, other *node) {
	p.t.Helper()
	all, err := p.store.Holdings(ctx, "rollout")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, h := range all {
		i := slices.IndexFunc(p.controllers, func(n *node) bool { return n.name == h.Holder && h.Alive })
		if i >= 0 {
			return p.controllers[i], p.controllers[1-i]
		}
	}
	return nil, nil
}

// sample verifies that no ring beyond those that the record has ever wanted has the change (I13), in truth and whatever the statuses say, and that a
// switch that is said to be in the newest revision is in it (I11). It also verifies that the record can be taken back at any time.
func (p *rolloutPlant) sample(ctx context.Context, s *drive.Stored) {
	p.t.Helper()
	p.most = max(p.most, s.Rings())
	if _, err := s.Record.Abort("noc", "way back", time.Now()); err != nil && !s.State.Ended() && s.State != rollout.GoingBack {
		p.t.Errorf("there is no way back from %s: %v", s.State, err)
	}
	for ring, members := range killRings {
		for _, n := range members {
			if e := p.switches[n]; ring >= p.most {
				p.untouched(ctx, e, ring, s)
			}
		}
	}
	for _, e := range p.switches {
		p.truthful(ctx, e)
	}
}

// untouched verifies that a switch of a ring that has never been wanted is as before the rollout.
func (p *rolloutPlant) untouched(ctx context.Context, e *edge, ring int, s *drive.Stored) {
	p.t.Helper()
	err := p.holds(ctx, e, p.before)
	if err == nil {
		return
	}
	if now, failed := p.driver.Current(ctx); failed == nil && now.Rings() > ring {
		return // the record that wants this ring was stored meanwhile
	}
	p.t.Errorf("the rollout is %s in ring %d with %d rings, and %s has more: %v", s.State, s.Ring, s.Rings(), e.name, err)
}

// truthful verifies the status of a switch that is said to be in the newest revision. Nothing is verified if the status or the intent changes
// meanwhile.
func (p *rolloutPlant) truthful(ctx context.Context, e *edge) {
	p.t.Helper()
	claim := func() (*intent.Intent, string) {
		in, err := p.book.Current(ctx)
		if err != nil {
			return nil, ""
		}
		all, err := fleet.Known(ctx, p.store, "")
		if err != nil {
			return nil, ""
		}
		for _, st := range all {
			if st.Switch == e.name && st.State == fleet.StateConverged && st.Revision == in.Number {
				return in, fmt.Sprint(st.Epoch, " ", st.Revision)
			}
		}
		return nil, ""
	}
	in, said := claim()
	if in == nil {
		return
	}
	held := p.holds(ctx, e, in)
	if _, again := claim(); again == said && held != nil {
		p.t.Errorf("%s is said to be converged: %v", e.name, held)
	}
}

// verifyStates verifies by the audit chain that the rollouts went through their states in order: no ring was given the change before the ring before
// it had soaked for its whole time, with nothing in between.
func (p *rolloutPlant) verifyStates() {
	p.t.Helper()
	records, err := p.store.Audit().Records(generous(p.t), 1, 1000)
	if err != nil {
		p.t.Fatal(err)
	}
	may := map[string]string{
		"measuring": "rehearsing held paused going-back", "rehearsing": "taking-back held paused going-back", "taking-back": "advancing held paused going-back",
		"advancing": "soaking held paused going-back", "soaking": "advancing done held paused going-back",
		"held": "measuring rehearsing taking-back advancing soaking paused held going-back", "paused": "measuring rehearsing taking-back advancing soaking going-back",
		"going-back": "went-back",
	}
	last, ring, soaking := "", "", time.Time{}
	for _, r := range records {
		state, is := strings.CutPrefix(r.Verb, "rollout ")
		if !is {
			continue
		}
		_, now, _ := strings.Cut(r.Object, ", ring ")
		if last != "" && state != "measuring" && !slices.Contains(strings.Fields(may[last]), state) {
			p.t.Errorf("a rollout that was %s became %s", last, state)
		}
		if ring != "" && now != ring && state != "measuring" {
			if soaked := r.Time.Sub(soaking); last != "soaking" || soaked < killSoak-50*time.Millisecond {
				p.t.Errorf("ring %s was given the change after %s was %s for %v", now, ring, last, soaked)
			}
		}
		if state == "soaking" {
			soaking = r.Time
		}
		last, ring = state, now
	}
}
