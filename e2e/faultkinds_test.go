package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// neverWrites is what a reader lacks to be read by reconcile.
type neverWrites struct{}

func (neverWrites) Write(context.Context, []*p4v1.Update) error { panic("a test reads only") }

// A fault is one kind. inject brings it about, lets what follows from it come, and lifts it; what comes then is settled's to say.
type fault struct {
	name   string
	inject func(r *round)
	// alone is a fault that needs the intent to stay as it is, or changes it by itself.
	alone bool
}

func faults() []fault {
	return []fault{
		{name: "controller killed at rest", inject: (*round).killAtRest, alone: true},
		{name: "controller killed", inject: (*round).killController},
		{name: "both controllers killed", inject: (*round).killBoth},
		{name: "switch killed", inject: (*round).killSwitch},
		{name: "etcd member killed", inject: (*round).killMember},
		{name: "no quorum", inject: (*round).killQuorum},
		{name: "store put back", inject: (*round).storePutBack, alone: true},
		{name: "store emptied", inject: (*round).storeEmptied, alone: true},
		{name: "another cluster", inject: (*round).otherCluster, alone: true},
		{name: "clock", inject: (*round).clockJumps, alone: true},
		{name: "full disk", inject: (*round).fullDisk, alone: true},
		{name: "controller stopped", inject: (*round).stopController, alone: true},
		{name: "late writes", inject: (*round).lateWrites, alone: true},
		{name: "another pipeline", inject: (*round).otherPipeline},
		{name: "entries by hand", inject: (*round).byHand},
		{name: "network", inject: (*round).badNetwork},
		{name: "full table", inject: (*round).fullTable, alone: true},
	}
}

// A round is one fault on a plant whose switches are converged.
type round struct {
	*plant
	*rand.Rand
	number   int
	changing func() // waits for the change of intent that goes on at the same time
	changed  bool
	figures  *figures
	large    bool // full tables are filled with exemptions
}

// figures is what rounds have measured.
type figures struct {
	rounds    map[string]int
	takeovers []time.Duration
	refused   int // late writes
}

// any is one of some switches: bmv2 if it is among them.
func (r *round) any(some []*edge) *edge {
	if r.bmv2 && slices.Contains(some, r.switches[0]) {
		return r.switches[0]
	}
	return some[r.IntN(len(some))]
}

// exempting are the documents with exemptions of so many prefixes, other ones than in the rounds before.
func (r *round) exempting(n int) []policy.File { return exempting(r.base, 11+r.number%200, n) }

// owner is a controller that has a switch.
func (r *round) owner() (*node, []*edge) {
	name := r.status(r.any(r.switches)).Owner
	i := slices.IndexFunc(r.controllers, func(n *node) bool { return n.name == name })
	var its []*edge
	for _, e := range r.switches {
		if r.status(e).Owner == name {
			its = append(its, e)
		}
	}
	return r.controllers[i], its
}

// stale makes what is told of switches so far count no more.
func (r *round) stale(some []*edge) {
	for _, e := range some {
		e.after = r.status(e).Epoch
	}
}

// begin begins a change of the intent that goes on while the fault is there.
func (r *round) begin() {
	done := make(chan struct{})
	r.changed, r.changing = true, func() { <-done }
	kind, n, phase := r.IntN(4), 50+r.IntN(300), []string{"mobile-carriers", "all-destinations"}[r.IntN(2)]
	go func() {
		defer close(done)
		by := intent.By{Who: "noc", Reason: fmt.Sprintf("round %d", r.number)}
		switch kind {
		case 0:
			r.change(func(ctx context.Context, base uint64) (*intent.Intent, error) {
				return r.book.Activate(ctx, base, phase, policy.Scope{}, by)
			})
		case 1:
			r.change(func(ctx context.Context, base uint64) (*intent.Intent, error) {
				in, err := r.book.Rollback(ctx, base, policy.Scope{}, by)
				if err != nil && !errors.Is(err, store.ErrNoQuorum) && !errors.As(err, new(*store.StaleError)) { // there was nothing before
					return r.book.Activate(ctx, base, phase, policy.Scope{}, by)
				}
				return in, err
			})
		case 2:
			r.put(r.exempting(n))
		default:
			r.put(r.otherDocuments(n % 3))
		}
	}()
}

// otherDocuments are documents of other classes, groups and services, by which the frames of a stream are decided as by all.
func (r *round) otherDocuments(n int) []policy.File {
	files := r.exempting(n)
	return []func() []policy.File{
		func() []policy.File { return edited(files, "prefixes: [203.0.113.0/26,", "prefixes: [203.0.113.0/27,") },
		func() []policy.File { return edited(files, "group: adsl\n", "group: isdn\n") },
		func() []policy.File {
			return edited(files, "remotes:\n", "remotes:\n  - {name: partner, prefixes: [203.0.113.64/28]}\n")
		},
	}[n]()
}

// midway waits until some writes of what the controllers have to do have passed to a switch, of as many as there may be.
func (r *round) midway(some []*edge) {
	if r.IntN(3) == 0 {
		r.changed = true
		r.put(r.exempting(50 + r.IntN(300)))
		e := r.any(some)
		r.passed(e, 1+r.IntN(6))
	}
}

// passed waits until requests have passed to a switch, or it is converged and there are none to come.
func (r *round) passed(e *edge, requests int) {
	r.t.Helper()
	ctx := generous(r.t)
	in, err := r.book.Current(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	tap := e.network.tap
	tap.mu.Lock()
	until := tap.requests + requests
	tap.mu.Unlock()
	for {
		tap.mu.Lock()
		enough, news := tap.requests >= until, tap.changed
		tap.mu.Unlock()
		r.plant.mu.Lock()
		st, told := r.statuses[e.name], r.plant.changed
		r.plant.mu.Unlock()
		if enough || st.State == fleet.StateConverged && st.Revision >= in.Number {
			return
		}
		select {
		case <-news:
		case <-told:
		case <-ctx.Done():
			r.t.Fatalf("%s: no %d requests: %v", e.name, requests, context.Cause(ctx))
		}
	}
}

// takenOver waits until the other controllers have converged switches, and returns when each was.
func (r *round) takenOver(dead *node, its []*edge) map[string]time.Time {
	at := map[string]time.Time{}
	r.await("switches of "+dead.name+" taken over", func() error {
		for _, e := range its {
			st := r.status(e)
			if st.Owner == dead.name || st.Epoch <= e.after || st.State != fleet.StateConverged {
				return fmt.Errorf("%s: %+v", e.name, st)
			}
			if at[e.name].IsZero() {
				at[e.name] = time.Now()
			}
		}
		return nil
	})
	return at
}

// killAtRest measures how long it is from the kill until another controller says that it has converged what the dead one had.
func (r *round) killAtRest() {
	dead, its := r.owner()
	r.stale(its)
	began := time.Now()
	dead.kill()
	for name, at := range r.takenOver(dead, its) {
		r.figures.takeovers = append(r.figures.takeovers, at.Sub(began))
		r.t.Logf("round %d: %s was taken over in %v", r.number, name, at.Sub(began).Round(time.Millisecond))
	}
	for _, e := range its {
		if err := e.stream.resume(generous(r.t)); err != nil {
			r.t.Fatalf("%s while it was taken over: %v", e.name, err)
		}
	}
	dead.start()
}

// killController kills an owner while it writes.
func (r *round) killController() {
	dead, its := r.owner()
	if !r.changed {
		r.midway(its)
	}
	r.stale(its)
	dead.kill()
	if r.IntN(3) == 0 {
		r.takenOver(dead, its)
	}
	dead.start()
}

func (r *round) killBoth() {
	if !r.changed {
		r.midway(r.switches)
	}
	r.stale(r.switches)
	for _, c := range r.controllers {
		c.kill()
	}
	// Headless: nothing changes, and packets are decided as before (I4).
	for _, e := range r.switches {
		if err := e.stream.resume(generous(r.t)); err != nil {
			r.t.Fatalf("%s without a controller: %v", e.name, err)
		}
	}
	for _, c := range r.controllers {
		c.start()
	}
}

func (r *round) killSwitch() {
	e := r.any(r.switches)
	if !r.changed {
		r.midway([]*edge{e})
	}
	e.stream.excuse(false)
	e.kill()
	if r.IntN(2) == 0 {
		r.await(e.name+" seen to be gone", func() error {
			if st := r.status(e); st.State != fleet.StateDisconnected {
				return fmt.Errorf("%+v", st)
			}
			return nil
		})
	}
	e.start()
}

func (r *round) killMember() {
	if !r.changed {
		r.midway(r.switches)
	}
	m := r.members[r.IntN(len(r.members))]
	m.kill()
	r.changing()
	if r.IntN(2) == 0 {
		r.settled()
	}
	m.start()
}

func (r *round) killQuorum() {
	if !r.changed {
		r.midway(r.switches)
	}
	var journals []*journal
	var from []int
	for _, c := range r.controllers {
		if slices.ContainsFunc(r.switches, func(e *edge) bool { return r.status(e).Owner == c.name }) {
			journals, from = append(journals, c.said), append(from, c.said.end())
		}
	}
	r.stale(r.switches)
	spared := r.IntN(len(r.members))
	for i, m := range r.members {
		if i != spared {
			m.kill()
		}
	}
	// The owners say that they have lost the switches, and wait for the store.
	ctx := generous(r.t)
	for i, j := range journals {
		for _, words := range [][]string{{`"ownership":"lost"`}, {`"ownership":"waiting"`}} {
			if err := j.await(ctx, from[i], words...); err != nil {
				r.t.Fatalf("without a quorum: %v", err)
			}
		}
	}
	before := r.requests()
	r.plant.mu.Lock()
	told := r.told
	r.plant.mu.Unlock()
	// What would be repaired, and what would be changed, stays as it is for as long as an audit and a retry would take.
	e := r.any(r.switches)
	r.hand(e, r.harmlessEdit(e))
	within, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
	defer cancel()
	if _, err := r.book.Activate(within, 1, "all-destinations", policy.Scope{}, intent.By{Who: "noc", Reason: "no quorum"}); !errors.Is(err, store.ErrNoQuorum) {
		r.t.Errorf("a change of intent without a quorum: error is %v, want ErrNoQuorum", err)
	}
	<-within.Done()
	if after := r.requests(); after != before {
		r.t.Errorf("without a quorum %d requests came to switches", after-before)
	}
	r.plant.mu.Lock()
	if r.told != told {
		r.t.Errorf("without a quorum %d statuses or members were told", r.told-told)
	}
	r.plant.mu.Unlock()
	for _, e := range r.switches {
		if err := e.stream.resume(ctx); err != nil {
			r.t.Fatalf("%s without a quorum: %v", e.name, err)
		}
	}
	for i, m := range r.members {
		if i != spared {
			m.start()
		}
	}
}

// requests is how many have come to all switches.
func (r *round) requests() (n int) {
	for _, e := range r.switches {
		e.network.tap.mu.Lock()
		n += e.network.tap.requests
		e.network.tap.mu.Unlock()
	}
	return n
}

// stopController stops an owner, midway or at rest, until the other has its switches.
func (r *round) stopController() {
	stopped, its := r.owner()
	r.midway(its)
	r.stale(its)
	stopped.process.signal(syscall.SIGSTOP)
	r.takenOver(stopped, its)
	if r.IntN(2) == 0 {
		r.put(r.exempting(r.IntN(100)))
	}
	from := stopped.said.end()
	stopped.process.signal(syscall.SIGCONT)
	if err := stopped.said.await(generous(r.t), from, "ownerships lost"); err != nil {
		r.t.Fatalf("%s, woken up: %v", stopped.name, err)
	}
}

// lateWrites stops an owner whose write is on its way, and lets it arrive when another has the switch: it must refuse it.
func (r *round) lateWrites() {
	stopped, its := r.owner()
	e := r.any(its)
	tap := e.network.tap
	underway, arrive := make(chan *tapped, 1), make(chan struct{})
	release := sync.OnceFunc(func() { close(arrive) })
	defer release()
	tap.mu.Lock()
	tap.hold = func(c *tapped) {
		underway <- c
		<-arrive
	}
	tap.mu.Unlock()
	r.put(r.exempting(200))
	ctx := generous(r.t)
	var late *tapped
	select {
	case late = <-underway:
	case <-ctx.Done():
		r.t.Fatalf("%s: nothing was written", e.name)
	}
	r.stale(its)
	stopped.process.signal(syscall.SIGSTOP)
	r.takenOver(stopped, its)
	release()
	for {
		tap.mu.Lock()
		answered, code, news := late.answered, late.code, tap.changed
		tap.mu.Unlock()
		if answered {
			if code != codes.PermissionDenied {
				r.t.Fatalf("%s: the late write of election id %v was answered %v", e.name, late.id, code)
			}
			r.figures.refused++
			break
		}
		select {
		case <-news:
		case <-ctx.Done():
			r.t.Fatalf("%s: the late write of election id %v was not answered", e.name, late.id)
		}
	}
	stopped.process.signal(syscall.SIGCONT)
}

// hand writes to a switch as its owner, or as somebody with a higher election id.
func (r *round) hand(e *edge, updates []*p4v1.Update) {
	r.t.Helper()
	s := r.intruder(e)
	defer s.Close()
	if err := s.Write(generous(r.t), updates); err != nil {
		r.t.Fatalf("%s: by hand: %v", e.name, err)
	}
}

// intruder is a controller that is no member, with a higher election id than any that the switch has seen.
func (r *round) intruder(e *edge) *p4rt.Session {
	r.t.Helper()
	tap := e.network.tap
	for tries := 0; ; tries++ {
		tap.mu.Lock()
		id := tap.asked
		tap.mu.Unlock()
		id.Low += uint64(1 + r.IntN(1000))
		if r.IntN(2) == 0 {
			id.High++
		}
		ctx, cancel := context.WithTimeout(generous(r.t), 5*time.Second)
		s, err := p4rt.Dial(ctx, p4rt.Config{Addr: e.addr, DeviceID: e.id, ElectionID: id})
		if err == nil {
			if err = s.WaitPrimary(ctx); err == nil {
				cancel()
				return s
			}
			_ = s.Close()
		}
		cancel()
		if tries == 20 {
			r.t.Fatalf("%s: election id %v is never primary: %v", e.name, id, err)
		}
	}
}

// harmlessEdit is a change by another hand that no frame of a stream meets.
func (r *round) harmlessEdit(e *edge) []*p4v1.Update {
	r.t.Helper()
	have, err := r.read(generous(r.t), e)
	if err != nil {
		r.t.Fatal(err)
	}
	foreign := func(s *pipeline.State) *p4v1.Update {
		entries, err := s.Entries()
		if err != nil {
			r.t.Fatal(err)
		}
		i := slices.IndexFunc(entries, func(e pipeline.Entry) bool { return !e.IsDefault() })
		return &p4v1.Update{Type: p4v1.Update_INSERT, Entity: entries[i].Entity}
	}
	mac := pipeline.MAC{2, 0x99, byte(r.number >> 8), byte(r.number), 0, byte(r.IntN(256))}
	updates := []*p4v1.Update{foreign(&pipeline.State{Bridge: map[pipeline.MAC]pipeline.BridgePort{mac: {Port: 7}}})}
	for _, x := range have { // the way back to a line
		if x.Table() == "bridge" && strings.Contains(x.String(), "02:00:00:00:01:01") {
			updates = append(updates, &p4v1.Update{Type: p4v1.Update_DELETE, Entity: x.Entity})
		}
	}
	return updates
}

func (r *round) byHand() {
	e := r.any(r.switches)
	began := time.Now().Truncate(time.Second)
	r.hand(e, r.harmlessEdit(e))
	if r.changed {
		return
	}
	r.await("the drift of "+e.name, func() error {
		st := r.status(e)
		if len(st.Drift) > 0 {
			at, _, _ := strings.Cut(st.Drift[0], " ")
			if t, err := time.Parse(time.RFC3339, at); err == nil && !t.Before(began) {
				return nil
			}
		}
		return fmt.Errorf("%+v", st)
	})
}

func (r *round) otherPipeline() {
	e := r.any(r.switches)
	info, program := routerProgram(r.t)
	e.stream.excuse(true)
	s := r.intruder(e)
	defer s.Close()
	if _, err := s.EnsurePipeline(generous(r.t), info, program); err != nil {
		r.t.Fatalf("%s: another pipeline: %v", e.name, err)
	}
}

func (r *round) badNetwork() {
	e := r.any(r.switches)
	n := e.network
	kind := r.IntN(6)
	if kind < 3 && !r.changed { // so that there is something to be kept from passing
		r.midway([]*edge{e})
	}
	switch kind {
	case 0:
		n.be(stall)
		r.await(e.name+" stalled", func() error {
			if st := r.status(e); st.State != fleet.StateDisconnected {
				return fmt.Errorf("%+v", st)
			}
			return nil
		})
	case 1:
		n.be(drip)
		r.put(r.exempting(r.IntN(40)))
		<-time.After(time.Duration(r.IntN(2000)) * time.Millisecond)
	case 2:
		n.be(cut)
		r.await(e.name+" cut off", func() error {
			if st := r.status(e); st.State != fleet.StateDisconnected {
				return fmt.Errorf("%+v", st)
			}
			return nil
		})
	case 3:
		n.reset()
	default:
		n.halfClose(kind == 4)
	}
	n.be(fair)
	if kind >= 3 { // what is to be written now needs another connection
		r.put(r.exempting(50 + r.IntN(300)))
	}
}

// fullTable asks for more than a table holds: that is refused by name, and what is there stays.
func (r *round) fullTable() {
	before, err := r.book.Current(generous(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	table, files := "service", edited(r.base, "{name: smtp, ports: [25]}", "{name: smtp, ports: [25]}\n  - {name: many, ports: [2000"+manyPorts(70)+"]}")
	if r.large {
		table, files = "subscriber_v4", exempting(r.base, 10, 81_920)
	}
	in := r.put(files)
	for _, e := range r.switches {
		r.await(e.name+" full", func() error {
			st := r.status(e)
			if st.State == fleet.StateFailed && st.Reason == fleet.ReasonNoRoom && strings.Contains(st.Detail, fmt.Sprintf("table %q", table)) && st.Wanted == in.Number {
				return nil
			}
			return fmt.Errorf("%+v", st)
		})
		if err := r.holds(generous(r.t), e, before); err != nil { // I10
			r.t.Errorf("with a full table: %v", err)
		}
	}
	r.put(r.exempting(1 + r.IntN(7)))
}

func manyPorts(n int) string {
	text := ""
	for i := 1; i < n; i++ {
		text += fmt.Sprintf(", %d", 2000+i)
	}
	return text
}
