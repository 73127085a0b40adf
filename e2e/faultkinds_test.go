package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// A fault is a kind of fault. inject causes it, waits for its effect, and ends it. The state is verified afterwards by
// plant.settled.
type fault struct {
	name   string
	inject func(r *round)
	// alone is set if the intent must not change during the fault, or if inject itself changes the intent.
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

// A round injects one fault into a plant whose switches are converged.
type round struct {
	*plant
	*rand.Rand
	number   int
	changing func() // waits for the concurrent change of the intent, if there is one
	changed  bool
	figures  *figures
	large    bool // whether fullTable fills the table of exemptions, which is large
}

// figures contains the measurements of all rounds.
type figures struct {
	rounds    map[string]int
	takeovers []time.Duration
	refused   int // the number of late writes that were refused
}

// any returns one of the given switches. It returns bmv2 if bmv2 is among them.
func (r *round) any(some []*edge) *edge {
	if r.bmv2 && slices.Contains(some, r.switches[0]) {
		return r.switches[0]
	}
	return some[r.IntN(len(some))]
}

// exempting returns the documents with exemptions of n prefixes. The prefixes differ from those of the previous rounds.
func (r *round) exempting(n int) []strict.File { return exempting(r.base, 11+r.number%200, n) }

// owner returns a controller that owns a switch, and all switches that it owns.
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

// stale marks the present statuses of switches as outdated. Only statuses with a later epoch count from then on.
func (r *round) stale(some []*edge) {
	for _, e := range some {
		e.after = r.status(e).Epoch
	}
}

// begin starts a change of the intent that continues during the fault.
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
				if err != nil && !errors.Is(err, store.ErrNoQuorum) && !errors.As(err, new(*store.StaleError)) { // there is nothing to roll back
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

// otherDocuments returns documents with other classes, groups or services. They do not change the decisions about the frames
// of a stream.
func (r *round) otherDocuments(n int) []strict.File {
	files := r.exempting(n)
	return []func() []strict.File{
		func() []strict.File { return edited(files, "prefixes: [203.0.113.0/26,", "prefixes: [203.0.113.0/27,") },
		func() []strict.File { return edited(files, "group: adsl\n", "group: isdn\n") },
		func() []strict.File {
			return edited(files, "remotes:\n", "remotes:\n  - {name: partner, prefixes: [203.0.113.64/28]}\n")
		},
	}[n]()
}

// midway starts a change with a probability of one third, and waits until a random number of its writes has reached a switch.
func (r *round) midway(some []*edge) {
	if r.IntN(3) == 0 {
		r.changed = true
		r.put(r.exempting(50 + r.IntN(300)))
		e := r.any(some)
		r.passed(e, 1+r.IntN(6))
	}
}

// passed waits until the given number of requests has reached a switch, or until the switch has converged.
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

// takenOver waits until other controllers report the dead controller's switches as converged. It returns the time of the
// report for each switch.
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
