package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/rollout"
	"op25b/internal/rollout/drive"
)

// A rolloutKill is a kill of the controller that led a rollout.
type rolloutKill struct {
	state rollout.State
	at    time.Time
	led   time.Duration // until the other controller led the rollout
	on    time.Duration // until the rollout entered another state; 0 if it has not
}

// kill kills the controller that leads the rollout, waits until the other one leads it, and starts the killed one again. It returns nil if no
// controller leads the rollout, or if it had left the state before the kill.
func (p *rolloutPlant) kill(ctx context.Context, s *drive.Stored) *rolloutKill {
	p.t.Helper()
	leads, other := p.leader(ctx)
	if leads == nil {
		return nil
	}
	k := &rolloutKill{state: s.State, at: time.Now()}
	leads.kill()
	now, err := p.driver.Current(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	watching, cancel := context.WithCancel(ctx)
	for range p.store.WatchHoldings(watching, "rollout") {
		p.sample(ctx, now)
		if next, _ := p.leader(ctx); next == other {
			break
		}
		if ctx.Err() != nil {
			p.t.Fatalf("nobody carries the rollout on that %s led: %v", leads.name, context.Cause(ctx))
		}
	}
	cancel()
	k.led = time.Since(k.at)
	leads.start()
	if now.State != s.State {
		return nil
	}
	return k
}

// play watches the rollout until it ends, and kills the controller that leads it once in each of the states. operator gives commands after each
// change.
func (p *rolloutPlant) play(kill []rollout.State, operator func(*drive.Stored)) (kills []*rolloutKill, last *drive.Stored) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(generous(p.t))
	records := p.driver.Watch(ctx)
	defer func() {
		cancel()
		for range records {
		}
		p.handle(0, false)
	}()
	var s *drive.Stored
	for {
		if s != nil {
			p.handle(s.Version, true)
		}
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		news := false
		select {
		case s, news = <-records:
			if !news {
				p.t.Fatalf("the rollout does not end: %v", context.Cause(ctx))
			}
		case <-changed:
			if s == nil {
				continue
			}
		case <-ctx.Done():
			p.t.Fatalf("the rollout stays %s: %v", s.State, s.Findings)
		}
		if n := len(kills); n > 0 && kills[n-1].on == 0 && s.State != kills[n-1].state {
			kills[n-1].on = time.Since(kills[n-1].at)
		}
		if s.State.Ended() {
			p.sample(ctx, s)
			return kills, s
		}
		if slices.Contains(kill, s.State) && !slices.ContainsFunc(kills, func(k *rolloutKill) bool { return k.state == s.State }) {
			if k := p.kill(ctx, s); k != nil {
				p.t.Logf("%s was killed in %s: carried on after %v", s.ID, s.State, k.led.Round(time.Millisecond))
				kills = append(kills, k)
			}
			now, err := p.driver.Current(ctx)
			if err != nil {
				p.t.Fatal(err)
			}
			s, news = now, now.State == s.State // otherwise the watch sends it
		}
		p.sample(ctx, s)
		if news {
			operator(s)
		}
	}
}

// steer gives a command. It does nothing if the rollout has meanwhile entered another state.
func (p *rolloutPlant) steer(change func(rollout.Record) (rollout.Record, error)) {
	p.t.Helper()
	if _, err := p.driver.Change(generous(p.t), drive.By{Who: "noc", Role: "operator", Reason: "known"}, change); err != nil && !strings.Contains(err.Error(), rollout.ErrState.Error()) {
		p.t.Fatal(err)
	}
}

// TestRolloutKills kills the controller that leads a rollout in each of its states with SIGKILL. The other controller must carry the rollout on to
// its right end. Meanwhile no ring has the change before its time, there is always a way back (I13), and no status says more than is so (I11).
//
// Support tickets hold the rollout, whoever leads it. A controller that has taken a switch over has not counted the lines from the beginning, so the
// operator is asked about that too. Nothing else may hold the rollout for good.
func TestRolloutKills(t *testing.T) {
	t.Parallel() // it mostly waits for leases to expire
	rounds := 1
	if longform.On() {
		rounds = 3
	}
	p := startRolloutPlant(t)
	var all []*rolloutKill
	for round := range rounds {
		if round > 0 {
			p.again()
		}
		all = append(all, p.killGoingBack()...)
		all = append(all, p.killForward()...)
	}
	p.verifyStates()
	var led, on []time.Duration
	var states []string
	for _, k := range all {
		if states = append(states, string(k.state)); k.on > 0 {
			on = append(on, k.on)
		}
		led = append(led, k.led)
	}
	slices.Sort(led)
	slices.Sort(on)
	slices.Sort(states)
	states = slices.Compact(states)
	fmt.Printf("rollout kill: %d kills in %s: another controller leads after %v (median; at most %v), the next state after %v (median; at most %v)\n",
		len(all), strings.Join(states, ", "), led[len(led)/2].Round(time.Millisecond), led[len(led)-1].Round(time.Millisecond),
		on[len(on)/2].Round(time.Millisecond), on[len(on)-1].Round(time.Millisecond))
	if len(states) != 8 {
		t.Errorf("killed only in %v", states)
	}
}

// killGoingBack runs a rollout that an operator aborts, and whose leader is killed while it goes back.
func (p *rolloutPlant) killGoingBack() []*rolloutKill {
	p.t.Helper()
	p.begin()
	kills, last := p.play([]rollout.State{rollout.GoingBack}, func(s *drive.Stored) {
		if s.State == rollout.Advancing {
			p.steer(func(r rollout.Record) (rollout.Record, error) { return r.Abort("noc", "enough", time.Now()) })
		}
	})
	if last.State != rollout.WentBack || last.Findings[0].Gate != rollout.Operator {
		p.t.Fatalf("the rollout is %s: %v, want went-back by the operator", last.State, last.Findings)
	}
	p.converged()
	for _, e := range p.switches {
		if err := p.holds(generous(p.t), e, p.before); err != nil {
			p.t.Errorf("after the way back: %v", err)
		}
	}
	return kills
}

// killForward runs a rollout to its end, and kills its leader in each state on the way.
func (p *rolloutPlant) killForward() []*rolloutKill {
	p.t.Helper()
	p.begin()
	paused, heard := false, false
	states := []rollout.State{rollout.Measuring, rollout.Rehearsing, rollout.TakingBack, rollout.Advancing, rollout.Soaking, rollout.Held, rollout.Paused}
	kills, last := p.play(states, func(s *drive.Stored) {
		switch {
		case s.State == rollout.Measuring && !paused:
			paused = true
			p.steer(func(r rollout.Record) (rollout.Record, error) { return r.Pause("noc", "lunch", time.Now()) })
		case s.State == rollout.Soaking && !heard: // more lines have tickets than may, so the rollout is held
			heard = true
			p.hear("sim-1", "sim-2")
		case s.State == rollout.Paused:
			p.steer(func(r rollout.Record) (rollout.Record, error) { return r.Resume("noc", "back", time.Now()) })
		case s.State == rollout.Held:
			for _, f := range s.Findings {
				if f.Verdict == rollout.Hold && f.Gate != rollout.Affected && f.Gate != rollout.TicketsOpened {
					p.t.Errorf("the rollout is held by %v", f)
				}
			}
			if slices.ContainsFunc(s.Findings, func(f rollout.Finding) bool { return f.Verdict == rollout.Hold }) {
				p.steer(func(r rollout.Record) (rollout.Record, error) { return r.Resume("noc", "known", time.Now()) })
			}
		}
	})
	if last.State != rollout.Done {
		p.t.Fatalf("the rollout is %s: %v, want done", last.State, last.Findings)
	}
	p.converged()
	return kills
}
