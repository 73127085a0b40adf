package drive

import (
	"context"
	"time"

	"go.uber.org/zap"

	"op25b/internal/fleet"
	"op25b/internal/rollout"
)

// Seen is a rollout with what any controller can see of it. It decides nothing: only the controller that carries the rollout out acts on what it sees.
type Seen struct {
	*Stored
	Time time.Time
	// Leader is the controller that carries the rollout out; empty if none does now.
	Leader string
	// Rings are in the order of the stages.
	Rings []RingSeen
	// Gates is what every gate says of each ring that is to have the change, also the gates that pass. It is empty once the rollout has ended.
	Gates []rollout.Finding
}

// A RingSeen is what is seen of the switches of a ring.
type RingSeen struct {
	// Confirmed is the number of switches that have confirmed what the rollout wants of them now.
	Confirmed int
	// Lines is the number of lines of the switches. Affected and Forecast are as in rollout.Measure, and 0 for a ring without the change.
	// ForecastKnown is set if there is a forecast for every switch.
	Lines              int
	Affected, Forecast uint64
	ForecastKnown      bool
	// Counted is the time of the oldest of the newest counts of the switches; zero if a switch has none.
	Counted time.Time
}

// See returns the current rollout with what is seen of it. It returns ErrNone if there is none.
func (d *Driver) See(ctx context.Context) (*Seen, error) {
	s, err := d.Current(ctx)
	if err != nil {
		return nil, err
	}
	return d.see(ctx, s)
}

func (d *Driver) see(ctx context.Context, s *Stored) (*Seen, error) {
	leader, err := d.leader(ctx)
	if err != nil {
		return nil, err
	}
	in, err := d.Book.Current(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := d.counts(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	statuses, err := fleet.Known(ctx, d.Store, d.Name)
	if err != nil {
		return nil, err
	}
	of := make(map[string]fleet.Status, len(statuses))
	for _, st := range statuses {
		of[st.Switch] = st
	}
	seen := &Seen{Stored: s, Time: d.Now(), Leader: leader}
	h, err := d.tickets(ctx, s)
	if err != nil {
		return nil, err
	}
	o := s.observe(in, statuses, counts, h, seen.Time, d.Probed)
	if !s.State.Ended() {
		seen.Gates = o.Findings
	}
	for i, stage := range s.Stages {
		has, place := i < s.Rings(), rollout.Without
		if has {
			place = rollout.With
		}
		r := RingSeen{ForecastKnown: has}
		for j, name := range stage.Switches {
			if o.Places[name] == place {
				r.Confirmed++
			}
			m := s.of(in, name, of[name], counts[name])
			r.Lines += m.Lines
			if at := counts[name].At; j == 0 || at.Before(r.Counted) {
				r.Counted = at
			}
			if has {
				r.Affected += m.Affected
				r.Forecast += m.Forecast
				r.ForecastKnown = r.ForecastKnown && m.ForecastKnown
			}
		}
		seen.Rings = append(seen.Rings, r)
	}
	return seen, nil
}

// leader returns the controller that carries rollouts out, or "".
func (d *Driver) leader(ctx context.Context) (string, error) {
	all, err := d.Store.Holdings(ctx, rolloutKind)
	if err != nil {
		return "", err
	}
	for _, h := range all {
		if h.Name == currentName && h.Alive {
			return h.Holder, nil
		}
	}
	return "", nil
}

// WatchSeen sends the current rollout with what is seen of it: after each of its changes, and while it runs, also after new statuses, counts and tickets, after
// another controller has taken it over, and every observeEvery, because data become stale by time alone. These are sent at most once per countsPause.
// It sends nothing while there is no rollout.
func (d *Driver) WatchSeen(ctx context.Context) <-chan *Seen {
	out := make(chan *Seen)
	go func() {
		defer close(out)
		d.watchSeen(ctx, out)
	}()
	return out
}

func (d *Driver) watchSeen(ctx context.Context, out chan<- *Seen) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched, leaders := d.watches(ctx), d.Store.WatchHoldings(ctx, rolloutKind)
	defer func() { cancel(); watched.wait(); drain(leaders) }()
	var current *Stored
	timer := time.NewTimer(observeEvery)
	defer timer.Stop()
	soon := false // whether the timer ends after countsPause or at once
	for {
		ok, pause := true, countsPause
		select {
		case <-ctx.Done():
			return
		case current, ok = <-watched.records:
			soon, pause = false, 0
		case _, ok = <-watched.statuses:
		case _, ok = <-watched.counts:
		case _, ok = <-watched.tickets:
		case _, ok = <-leaders:
		case <-timer.C:
			soon = false
			if current == nil {
				continue
			}
			d.send(ctx, current, out)
			if !current.State.Ended() {
				timer.Reset(observeEvery)
			}
			continue
		}
		if !ok {
			return
		}
		if !soon && current != nil && (pause == 0 || !current.State.Ended()) {
			soon = true
			timer.Reset(pause)
		}
	}
}

// send sends what is seen of a rollout.
func (d *Driver) send(ctx context.Context, s *Stored, out chan<- *Seen) {
	seen, err := d.see(ctx, s)
	if err != nil {
		if ctx.Err() == nil {
			d.Logger.Debug("what is seen of the rollout is not known", zap.String("rollout", s.ID), zap.Error(err))
		}
		return
	}
	select {
	case out <- seen:
	case <-ctx.Done():
	}
}
