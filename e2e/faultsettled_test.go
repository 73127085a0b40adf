package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
	"op25b/internal/store"
)

// open opens the plant's store and starts to watch the statuses and the members.
func (p *plant) open() {
	p.t.Helper()
	s, err := store.Open(generous(p.t), store.Config{Endpoints: p.endpoints})
	if err != nil {
		p.t.Fatal(err)
	}
	p.store, p.book = s, intent.NewBook(s, time.Now)
	ctx, cancel := context.WithCancel(context.Background())
	statuses, members := fleet.WatchKnown(ctx, s, ""), s.WatchMembers(ctx)
	var following sync.WaitGroup
	following.Go(func() {
		for all := range statuses {
			p.news(func() {
				p.statuses = map[string]fleet.Status{}
				for _, st := range all {
					p.statuses[st.Switch] = st
				}
			})
		}
	})
	following.Go(func() {
		for all := range members {
			p.news(func() { p.present = all })
		}
	})
	p.t.Cleanup(func() {
		cancel()
		_ = s.Close()
		following.Wait()
	})
}

func (p *plant) news(take func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	take()
	p.told++
	close(p.changed)
	p.changed = make(chan struct{})
}

// status returns the last status of a switch that the plant has received.
func (p *plant) status(e *edge) fleet.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.statuses[e.name]
}

// await waits until the function is returns nil. It calls is whenever the statuses or the members change.
func (p *plant) await(what string, is func() error) {
	p.t.Helper()
	ctx := generous(p.t)
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		err := is()
		if err == nil {
			return
		}
		for _, n := range slices.Concat(p.members, p.nodes()) {
			switch {
			case !n.ended():
			case n.supervised:
				n.start()
			default:
				p.t.Fatalf("%s: %s has ended by itself (%v): %v", what, n.name, n.process.overBudget(), err)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			p.t.Fatalf("%s: %v: %v", what, context.Cause(ctx), err)
		}
	}
}

// settled waits until every switch is settled. A settled switch has converged to the newest revision under a live owner, has exactly the
// compiled entries, and decides frames accordingly.
func (p *plant) settled() {
	p.t.Helper()
	ctx := generous(p.t)
	in, err := p.current(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	id := p.identity(ctx)
	for _, e := range p.switches {
		p.await(e.name+" converged", func() error {
			if err := p.claimed(e, in, id); err != nil {
				return err
			}
			return p.holds(ctx, e, in)
		})
	}
	for _, e := range p.switches {
		if err := e.stream.resume(ctx); err != nil {
			p.t.Fatalf("%s: %v", e.name, err)
		}
	}
	p.harmless()
}

// rests waits until each switch is converged and owned by the controller that it is assigned to.
func (p *plant) rests() {
	p.t.Helper()
	var names, switches []string
	for _, c := range p.controllers {
		names = append(names, c.name)
	}
	for _, e := range p.switches {
		switches = append(switches, e.name)
	}
	assigned := fleet.Assign(names, switches)
	p.await("switches assigned", func() error {
		for _, e := range p.switches {
			if st := p.status(e); st.Owner != assigned[e.name] || st.State != fleet.StateConverged {
				return fmt.Errorf("%s is %s's and %s, assigned to %s", e.name, st.Owner, st.State, assigned[e.name])
			}
		}
		return nil
	})
}

// claimed returns nil if a live owner reports a switch as converged to a revision of the store with the given identity.
func (p *plant) claimed(e *edge, in *intent.Intent, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.statuses[e.name]
	alive := slices.ContainsFunc(p.controllers, func(n *node) bool { return n.name == st.Owner && n.process != nil })
	if st.State != fleet.StateConverged || st.Revision != in.Number || st.RevisionID != in.ID || st.Store != id || !alive || st.Epoch <= e.after {
		return fmt.Errorf("%s is %s (%s) at revision %d of %d in store %.8s of %.8s, owner %s (alive: %v), epoch %d: %s", e.name, st.State, st.Reason, st.Revision, in.Number, st.Store, id, st.Owner, alive, st.Epoch, st.Detail)
	}
	return nil
}

// read reads a switch's entries directly, without the network.
func (p *plant) read(ctx context.Context, e *edge) ([]pipeline.Entry, error) {
	r, err := p4rt.DialReader(ctx, p4rt.Config{Addr: e.addr, DeviceID: e.id})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return reconcile.Read(ctx, r)
}

// holds returns nil if a switch has exactly the entries of an intent. Rule sets that are not in force are ignored.
func (p *plant) holds(ctx context.Context, e *edge, in *intent.Intent) error {
	return p.holdsBy(ctx, e, in, reconcile.Options{})
}

func (p *plant) holdsBy(ctx context.Context, e *edge, in *intent.Intent, o reconcile.Options) error {
	have, err := p.read(ctx, e)
	if err != nil {
		return err
	}
	want, err := in.Compile(e.name, time.Now())
	if err != nil {
		return err
	}
	want.State.Staged = nil
	plan, err := reconcile.Make(have, &want.State, p.contract, o)
	if err != nil {
		return err
	}
	if len(plan.Steps) > 0 {
		return fmt.Errorf("%s does not hold revision %d: %d entries to add, %d to change, %d to remove; first: %s",
			e.name, in.Number, len(plan.Added), len(plan.Changed), len(plan.Removed), plan.Steps[0].Why)
	}
	return nil
}

// harmless verifies the conditions that must hold at all times, and ends the test if one is violated.
func (p *plant) harmless() {
	p.t.Helper()
	for _, e := range p.switches {
		for _, w := range e.stream.verdicts() {
			p.t.Errorf("%s: %s", e.name, w)
		}
		e.network.tap.mu.Lock()
		for _, w := range e.network.tap.wrong {
			p.t.Errorf("%s: %s", e.name, w)
		}
		e.network.tap.mu.Unlock()
	}
	if p.t.Failed() {
		p.t.FailNow()
	}
}

// story returns the statuses and the last log lines for a failure message.
func (p *plant) story() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.statuses)) {
		st := p.statuses[name]
		st.Tables = nil
		fmt.Fprintf(&b, "\n%+v", st)
	}
	fmt.Fprintf(&b, "\nmembers: %v", p.present)
	for _, n := range slices.Concat(p.members, p.nodes()) {
		fmt.Fprintf(&b, "\n--- %s (alive: %v) said last:\n%s", n.name, n.process != nil, n.said.tail(25))
	}
	for _, e := range p.switches {
		if e.network == nil {
			continue
		}
		t := e.network.tap
		t.mu.Lock()
		fmt.Fprintf(&b, "\n--- %s: %d requests, %d accepted, refused %v, highest id %v", e.name, t.requests, t.accepted, t.refused, t.highest)
		t.mu.Unlock()
	}
	return b.String()
}
