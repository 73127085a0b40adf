package drive

import (
	"context"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/rollout"
	"op25b/internal/store"
)

// A Driver carries rollouts out. Its fields must be set, except Desks and Metrics.
type Driver struct {
	Store     *store.Store
	Book      *intent.Book
	Counters  Counter
	Forecasts Forecaster
	// Probed is true if the controllers probe the switches after each change. Rings then wait for the probes.
	Probed bool
	// Lines finds the lines of support tickets. Desks are the support desks that must be heard where tickets are watched; if there are none, those
	// must be heard that were heard in the last hour.
	Lines Lines
	Desks []string
	// Name is the name of this controller.
	Name string
	// Now is the clock of the rollout.
	Now     func() time.Time
	Metrics *Metrics
	Logger  *zap.Logger
	// Hurry is how many times shorter than recorded the measurement and the soak times are. Tests set it; 0 means that they are not shorter.
	Hurry int

	hearing hearing
}

// rolloutKind is the kind of the records of rollouts. The record currentName is the rollout that runs or that ended last; the others are earlier ones.
const (
	rolloutKind = "rollout"
	currentName = "current"
)

const (
	// observeEvery is the longest time between two observations. New statuses are observed at once.
	observeEvery = 10 * time.Second
	// countsPause is the time after which new counts are observed. The counts of many switches arrive together.
	countsPause = time.Second
	// restShare is how many times as long as the last observation took new statuses wait for the next one, up to countsPause. An observation of 1,000
	// switches takes 0.1 s of processor time, and their statuses change several times a second. Those of up to restBeyond switches never wait.
	restShare  = 9
	restBeyond = 100
)

// Run publishes counts, and drives the rollout while this controller owns it, until ctx ends.
func (d *Driver) Run(ctx context.Context) {
	publishing := make(chan struct{})
	go func() { defer close(publishing); d.publish(ctx) }()
	defer func() { <-publishing }()
	for ctx.Err() == nil {
		own, err := d.Store.Own(ctx, rolloutKind, currentName, d.Name)
		if err != nil {
			store.Pause(ctx, time.Second)
			continue
		}
		d.drive(ctx, own)
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		_ = own.Release(leaving) // it expires otherwise
		cancel()
	}
}

// Watch sends the current rollout whenever it changes. It sends nothing while there is none.
func (d *Driver) Watch(ctx context.Context) <-chan *Stored {
	out := make(chan *Stored)
	go func() {
		defer close(out)
		for events := range store.JSON[Stored](d.Store, rolloutKind).Watch(ctx) {
			for _, e := range events {
				if e.Name != currentName || e.Deleted || e.Err != nil {
					continue
				}
				s := e.Value
				s.Version = e.Version
				select {
				case out <- &s:
				case <-ctx.Done():
				}
			}
		}
	}()
	return out
}

// drive carries on the rollout until ctx or the ownership ends.
func (d *Driver) drive(ctx context.Context, own *store.Ownership) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := d.watches(ctx)
	defer func() { cancel(); watched.wait() }()
	var current *Stored
	defer d.Metrics.follow(nil)
	timer := time.NewTimer(observeEvery)
	defer timer.Stop()
	var cleaned forgotten
	soon := false        // whether the timer ends within countsPause because of new counts or statuses
	var rested time.Time // until then, new statuses wait
	lookWithin := func(pause time.Duration) {
		if !soon {
			soon = true
			timer.Reset(pause)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-own.Lost():
			return
		case s, ok := <-watched.records:
			if !ok {
				return
			}
			if current == nil || s.Version > current.Version {
				current = s
			}
		case _, ok := <-watched.statuses:
			if !ok {
				return
			}
			if rest := time.Until(rested); rest > 0 {
				lookWithin(rest)
				continue
			}
		case _, ok := <-watched.counts:
			if !ok {
				return
			}
			lookWithin(countsPause)
			continue
		case _, ok := <-watched.tickets:
			if !ok {
				return
			}
			lookWithin(countsPause)
			continue
		case <-timer.C:
		}
		began := time.Now()
		for current != nil && !current.State.Ended() {
			next, err := d.step(ctx, own, current)
			if err != nil {
				if ctx.Err() == nil {
					d.Logger.Warn("the rollout does not go on", zap.String("rollout", current.ID), zap.Error(err))
				}
				break
			}
			if next == nil {
				break
			}
			current = next
		}
		if current != nil {
			d.Metrics.follow(current)
			if place := (forgotten{current.ID, current.State.Ended()}); place != cleaned && d.forget(ctx, current) == nil {
				cleaned = place
			}
			if err := d.finish(ctx, current); err != nil && ctx.Err() == nil {
				d.Logger.Warn("the documents of a rollout that is done are not adopted yet", zap.String("rollout", current.ID), zap.Error(err))
			}
		}
		soon = false
		timer.Reset(observeEvery)
		if current != nil && len(current.Switches()) > restBeyond {
			rested = time.Now().Add(min(restShare*time.Since(began), countsPause))
		}
	}
}

// forgotten says for which rollout the tickets of others, and those of its own if it has ended, are deleted.
type forgotten struct {
	id    string
	ended bool
}

// step does what the record says, observes, and stores the next record. It returns nil if nothing has changed.
func (d *Driver) step(ctx context.Context, own *store.Ownership, s *Stored) (*Stored, error) {
	// An operator may have stored a newer state, or another controller may have taken the rollout over while this one was held up.
	newest, err := d.Current(ctx)
	if err != nil {
		return nil, err
	}
	if newest.Version != s.Version || !own.Held() {
		return nil, nil // the watch reports the newer record
	}
	in, err := d.place(ctx, s)
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
	next := *s
	next.measure(counts)
	renewed := next.renew(counts)
	h, err := d.tickets(ctx, s)
	if err != nil {
		return nil, err
	}
	o := next.observe(in, statuses, counts, h, d.Now(), d.Probed)
	noted := next.steady(o.Places, counts, o.Time)
	next.Record = d.next(s.Record, o)
	if next.Rings() > s.Rings() {
		next.tell(counts)
	}
	noted = next.noteTickets(h) || noted
	if next.State.Ended() {
		next.TicketKey = nil
	}
	if reflect.DeepEqual(next.Record, s.Record) && len(next.Begun) == len(s.Begun) && !renewed && !noted {
		return nil, nil
	}
	records := store.JSON[Stored](d.Store, rolloutKind)
	if next.State == s.State && next.Ring == s.Ring && reflect.DeepEqual(next.Findings, s.Findings) {
		if next.Version, err = records.PutIf(ctx, currentName, s.Version, next, own); err != nil {
			return nil, err
		}
		return &next, nil
	}
	d.Logger.Info("rollout", zap.String("rollout", next.ID), zap.String("state", string(next.State)), zap.String("ring", next.Stage().Name), zap.Stringers("findings", next.Findings))
	if err := records.PutRecorded(ctx, currentName, s.Version, next, next.audit("controller "+d.Name, "")); err != nil {
		return nil, err
	}
	if next.State != s.State {
		d.Metrics.moved(next.State)
	}
	stored, err := records.Get(ctx, currentName)
	if err != nil {
		return nil, err
	}
	stored.Value.Version = stored.Version
	return &stored.Value, nil
}

// next is rollout.Next with the times of a driver that is in a hurry.
func (d *Driver) next(r rollout.Record, o rollout.Observation) rollout.Record {
	if d.Hurry < 2 {
		return rollout.Next(r, o)
	}
	short, divisor := r, time.Duration(d.Hurry)
	short.Baseline /= divisor
	short.Stages = slices.Clone(r.Stages)
	for i := range short.Stages {
		short.Stages[i].Soak /= divisor
	}
	next := rollout.Next(short, o)
	next.Baseline, next.Stages = r.Baseline, r.Stages
	return next
}

// counts returns the published counts of a rollout by switch.
func (d *Driver) counts(ctx context.Context, id string) (map[string]Counts, error) {
	records, err := store.JSON[Counts](d.Store, countsKind).List(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]Counts, len(records))
	for _, r := range records {
		if r.Value.Rollout != "" && r.Value.Rollout != id {
			continue // their forecast is of another change
		}
		all[r.Name] = r.Value
	}
	return all, nil
}
