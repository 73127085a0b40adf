package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// killAtRest kills an owner while nothing changes. It measures the time until another controller reports the owner's switches as
// converged.
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

// killController kills an owner, often while it writes.
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
	// Without a controller, nothing changes in the switches, and packets are decided as before (I4).
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
	// The owners must log that they have lost the switches and wait for the store.
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
	// A repair and a change of the intent are now pending. Wait as long as an audit and a retry would take.
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

// requests returns the number of requests to all switches.
func (r *round) requests() (n int) {
	for _, e := range r.switches {
		e.network.tap.mu.Lock()
		n += e.network.tap.requests
		e.network.tap.mu.Unlock()
	}
	return n
}

// stopController suspends an owner, during a change or at rest, until the other controller has taken over its switches.
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

// lateWrites suspends an owner during a write, and delivers the write after another owner has taken over the switch. The switch must
// refuse the write.
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
