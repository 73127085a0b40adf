package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"op25b/internal/clock"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/policy"
)

// clockRead is the interval at which a child reads the offset of its clock.
const clockRead = 20 * time.Millisecond

// offClock returns the host's clocks with a wrong wall clock. The error is the offset in a file, which may change at any time. The monotonic
// clock is right.
func offClock(ctx context.Context, path string) clock.Source {
	off := func() time.Duration {
		text, err := os.ReadFile(path)
		if err != nil {
			return 0
		}
		d, _ := time.ParseDuration(string(text))
		return d
	}
	now := make(chan time.Duration)
	go func() {
		d, tick := off(), time.NewTicker(clockRead)
		defer tick.Stop()
		for {
			select {
			case now <- d:
			case <-tick.C:
				d = off()
			case <-ctx.Done():
				return
			}
		}
	}()
	source := clock.System()
	source.Wall = func() time.Time {
		select {
		case d := <-now:
			return time.Now().Add(d)
		case <-ctx.Done():
			return time.Now()
		}
	}
	return source
}

// clockFile returns the path of the file with the offset of a controller's clock.
func (p *plant) clockFile(name string) string { return filepath.Join(p.dir, name+".clock") }

// setClock sets the offset of a controller's clock.
func (p *plant) setClock(n *node, off time.Duration) {
	p.t.Helper()
	written := p.clockFile(n.name) + ".new"
	if err := os.WriteFile(written, []byte(off.String()), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(written, p.clockFile(n.name)); err != nil {
		p.t.Fatal(err)
	}
}

// clockJumps sets the clock of one or both controllers back by two hours or a day, or ahead by three days, past the date of a phase. It
// verifies that a wrong clock neither starts nor ends a phase, and that a phase activated in the meantime is in force on every switch.
func (r *round) clockJumps() {
	soon := time.Now().AddDate(0, 0, 2).Format(time.DateOnly)
	r.put(edited(r.exempting(r.IntN(50)), "effective: 2006-10-01", "effective: "+soon))
	if in := r.newest(); len(in.Activations) > 0 { // activations of earlier rounds would otherwise decide the phase
		r.activate("mobile-carriers")
	}
	r.settled()
	r.phasesAre("mobile-carriers")

	offs := []time.Duration{-2 * time.Hour, -24 * time.Hour, 72 * time.Hour}
	off := offs[r.IntN(len(offs))]
	n, _ := r.owner()
	affected := []*node{n}
	if r.IntN(3) == 0 {
		affected = r.controllers
	}
	var names []string
	var from []int
	for _, c := range affected {
		names, from = append(names, c.name), append(from, c.said.end())
		r.setClock(c, off)
	}
	r.t.Logf("round %d: the clock of %s is off by %v", r.number, strings.Join(names, " and "), off)
	ctx := generous(r.t)
	for i, c := range affected {
		if err := c.said.await(ctx, from[i], "dates are held"); err != nil {
			r.t.Fatalf("%s does not hold dates: %v", c.name, err)
		}
	}
	r.audited()
	r.settled()
	r.phasesAre("mobile-carriers")

	// Each of two activations must be in force everywhere, although one of the callers has a wrong clock.
	wrong := intent.NewBook(r.store, func() time.Time { return time.Now().Add(off) })
	books := []*intent.Book{r.book, wrong}
	r.Shuffle(len(books), func(i, j int) { books[i], books[j] = books[j], books[i] })
	for i, phase := range []string{"all-destinations", "mobile-carriers"} {
		r.change(func(ctx context.Context, base uint64) (*intent.Intent, error) {
			return books[i].Activate(ctx, base, phase, policy.Scope{}, intent.By{Who: "noc", Reason: fmt.Sprintf("round %d", r.number)})
		})
		r.settled()
		r.phasesAre(phase)
	}
	for i, c := range affected {
		from[i] = c.said.end()
		r.setClock(c, 0)
	}
	for i, c := range affected {
		if err := c.said.await(ctx, from[i], "dates are no longer held"); err != nil {
			r.t.Fatalf("%s has the right time and holds dates: %v", c.name, err)
		}
	}
	r.audited()
	r.settled()
	r.phasesAre("mobile-carriers")
	r.put(r.base)
	r.activate("all-destinations")
}

// audited waits until every switch has been read again from start to end.
func (r *round) audited() {
	r.t.Helper()
	for _, e := range r.switches {
		e.network.tap.mu.Lock()
		until := e.network.tap.reads + 2 // the next read may already be in progress
		e.network.tap.mu.Unlock()
		r.heard(e, until)
	}
}

// heard waits until controllers have begun the given number of reads of a switch.
func (r *round) heard(e *edge, reads int) {
	r.t.Helper()
	ctx, tap := generous(r.t), e.network.tap
	for {
		tap.mu.Lock()
		enough, news := tap.reads >= reads, tap.changed
		tap.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			r.t.Fatalf("%s is not read: %v", e.name, context.Cause(ctx))
		}
	}
}

// phasesAre verifies that every switch is reported in a phase, and that the phase is in force on the switch according to the newest intent.
func (r *round) phasesAre(phase string) {
	r.t.Helper()
	in := r.newest()
	for _, e := range r.switches {
		st := r.status(e)
		want, err := in.InForce(e.name, time.Now())
		if err != nil {
			r.t.Fatal(err)
		}
		if st.State != fleet.StateConverged || st.InForce != phase || want.String() != phase {
			r.t.Fatalf("%s is told to be in %q, %v; revision %d says %q; want %q", e.name, st.InForce, st.State, in.Number, want, phase)
		}
	}
}
