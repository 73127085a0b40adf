package clock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"op25b/internal/store"
)

const (
	// beatEvery is how often a controller publishes its time. At this rate, a controller writes 8,640 small records a day.
	beatEvery = 10 * time.Second
	// lookEvery is the longest time between two readings of a controller's own clocks.
	lookEvery = time.Second
	// freshFor is how long the store's time may be extrapolated after it was received.
	freshFor = 3 * beatEvery
	// readings is the number of readings that are kept for each other clock. A reading that arrives late makes the clock appear to be
	// behind, so the best reading is the one that is furthest ahead.
	readings = 4
)

// The kinds and names of the records in the store.
const (
	beatKind    = "clock"         // each record is named after a controller and contains its time
	timeKind    = "time"          // the store's time, in a single record
	timeName    = "store"         // the name of the only record of timeKind
	confirmKind = "clock-confirm" // each record is named after a controller and contains an operator's confirmation
)

// A beat is the record that a controller publishes about its clock.
type beat struct {
	reading
	Hold  HoldReason `json:"hold"`
	Jumps uint64     `json:"jumps"`
}

// A confirmation is an operator's statement that a controller's clock is right.
type confirmation struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// ErrAbsent is returned by ConfirmAt if the named controller is not present.
var ErrAbsent = errors.New("no such controller is present")

// ConfirmAt stores an operator's confirmation of a controller's clock, and adds a record to the audit chain. The controller applies the
// confirmation within about a second. ConfirmAt returns ErrAbsent if the controller is not present.
func ConfirmAt(ctx context.Context, s *store.Store, controller string, record store.AuditRecord) error {
	members, err := s.Members(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	if !slices.Contains(names, controller) {
		return fmt.Errorf("%w: %q; there are %q", ErrAbsent, controller, names)
	}
	said := confirmation{By: record.Who, At: time.Now()}
	return store.JSON[confirmation](s, confirmKind).PutRecorded(ctx, controller, store.AnyVersion, said, record)
}

// A Keeper compares one controller's clock with the clocks of the other controllers.
type Keeper struct {
	clock *Clock
	store *store.Store
	name  string
	log   *zap.Logger

	beats *store.Records[beat]
	times *store.Records[storeTime]

	began     time.Duration // the value of Elapsed at Begin
	confirmed int64         // the version of the last confirmation that was applied or was already stored at Begin
	last      storeTime
	lastRev   int64
	// ahead contains how far the store's time was ahead of Elapsed when each of its latest records was received. Only records that were
	// received as they were written, and that have the same writer, are included. The newest is last.
	ahead    []time.Duration
	received time.Duration // the value of Elapsed when the newest record was received
	seen     map[string]*sightings
	present  []string            // the names of the other controllers that are present
	recorded map[string]struct{} // the controllers with a beat in the store, whether present or not
}

// sightings are the latest readings of another controller's clock.
type sightings struct {
	last  beat
	ahead []time.Duration // how far the other wall clock was ahead at each reading that was received as it was written; the newest is last
}

// Begin reads the store's time, holds dates until Run has compared the clock, and returns the Keeper to run. If the clock was already
// compared, for example before the store was replaced, Begin does not hold dates.
func (c *Clock) Begin(ctx context.Context, s *store.Store, name string) (*Keeper, error) {
	k := &Keeper{
		clock: c, store: s, name: name, log: c.log.With(zap.String("controller", name)), seen: make(map[string]*sightings),
		recorded: make(map[string]struct{}),
		beats:    store.JSON[beat](s, beatKind), times: store.JSON[storeTime](s, timeKind),
	}
	r, err := k.times.Get(ctx, timeName)
	switch {
	case errors.Is(err, store.ErrNotFound):
		head, err := s.Revisions().Head(ctx) // there is no time in the store yet, so use the time of the newest revision
		if err != nil {
			return nil, err
		}
		if c.src.read().Wall.Before(head.Time) {
			k.last.Wall = head.Time
		}
	case err != nil:
		return nil, err
	default:
		k.last, k.lastRev = r.Value, r.Version
	}
	said, err := store.JSON[confirmation](s, confirmKind).Get(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt) {
		return nil, err
	}
	k.confirmed = said.Version
	if !c.begun() { // a clock that was compared stays trusted when the store is replaced
		c.starts(k.last)
	}
	k.began = c.src.read().Elapsed
	return k, nil
}

// Run compares the clock until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	members, beats, times := k.store.WatchMembers(ctx), k.beats.Watch(ctx), k.times.Watch(ctx)
	confirms := store.JSON[confirmation](k.store, confirmKind).Watch(ctx)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	defer func() {
		cancel()
		for range members {
		}
		for range beats {
		}
		for range times {
		}
		for range confirms {
		}
	}()
	var beaten time.Time // when this controller last published its time
	var told HoldReason
	begun := struct{ members, beats bool }{}
	for {
		soon := false
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case all, ok := <-members:
			if !ok {
				return
			}
			soon = k.presentAre(all)
			begun.members = true
		case some, ok := <-beats:
			if !ok {
				return
			}
			for _, e := range some {
				soon = k.saw(e, begun.beats) || soon
			}
			begun.beats = true
		case some, ok := <-times:
			if !ok {
				return
			}
			for _, e := range some {
				k.timeIs(e)
			}
		case some, ok := <-confirms:
			if !ok {
				return
			}
			for _, e := range some {
				if e.Name == k.name && !e.Deleted && e.Version > k.confirmed {
					k.confirmed = e.Version
					k.clock.Confirm()
				}
			}
		}
		if !begun.members || !begun.beats {
			continue
		}
		may := k.clock.judge(k.scene())
		starting := may.keeps && k.clock.Hold().Reason == Starting // the clock is trusted once this controller keeps the store's time
		why := k.clock.Hold().Reason
		if soon || starting || may.claims || why != told || time.Since(beaten) >= beatEvery {
			k.write(ctx, may)
			beaten, told = time.Now(), why
		}
	}
}

// presentAre sets the members that are present. It reports whether a new member has joined, because a new member waits for this
// controller's time.
func (k *Keeper) presentAre(all []store.Member) (came bool) {
	before := k.present
	k.present = nil
	for _, m := range all {
		if m.Name == k.name {
			continue
		}
		k.present = append(k.present, m.Name)
		came = came || !slices.Contains(before, m.Name)
	}
	for name := range k.seen {
		if !slices.Contains(k.present, name) {
			delete(k.seen, name)
		}
	}
	return came
}

// saw records another controller's beat, and reports whether that controller waits for an answer. live is false for a beat that was stored
// before the watch began, because such a beat may be of any age.
func (k *Keeper) saw(e store.Event[beat], live bool) (wants bool) {
	if e.Deleted {
		delete(k.recorded, e.Name)
		return false
	}
	k.recorded[e.Name] = struct{}{}
	if e.Name == k.name || e.Err != nil {
		return false
	}
	s := k.seen[e.Name]
	if s == nil || e.Value.Jumps != s.last.Jumps || e.Value.Boot != s.last.Boot {
		s = &sightings{}
		k.seen[e.Name] = s
	}
	s.last = e.Value
	if live {
		s.ahead = append(s.ahead, e.Value.Wall.Sub(k.clock.src.read().Wall))
		s.ahead = s.ahead[max(0, len(s.ahead)-readings):]
	}
	return live && e.Value.Hold == Starting
}

// timeIs handles a watch event for the store's time.
func (k *Keeper) timeIs(e store.Event[storeTime]) {
	if e.Deleted || e.Err != nil || e.Version <= k.lastRev {
		return
	}
	k.timeNow(e.Value, e.Version)
}

// timeNow records that the store's time t has just been written with version rev.
func (k *Keeper) timeNow(t storeTime, rev int64) {
	if t.By != k.last.By || t.Boot != k.last.Boot {
		k.ahead = nil
	}
	k.last, k.lastRev = t, rev
	k.ahead = append(k.ahead, sinceEpoch(t.Wall)-k.clock.src.read().Elapsed)
	k.ahead = k.ahead[max(0, len(k.ahead)-readings):]
	k.received = k.clock.src.read().Elapsed
}

// sinceEpoch converts a time to a duration that can be compared with Elapsed.
func sinceEpoch(t time.Time) time.Duration { return time.Duration(t.UnixNano()) }

// scene returns the present input for Clock.judge.
func (k *Keeper) scene() scene {
	is := k.clock.src.read()
	s := scene{name: k.name, present: len(k.present) + 1, time: k.last}
	for _, name := range k.present {
		m := Peer{Name: name}
		if seen := k.seen[name]; seen != nil {
			m.Hold = seen.last.Hold
			if behind, ok := is.ahead(seen.last.reading); ok {
				m.Ahead, m.Known = -behind, true
			} else if len(seen.ahead) > 0 {
				m.Ahead, m.Known = slices.Max(seen.ahead), true
			}
		}
		s.others = append(s.others, m)
	}
	if gone, exact := is.since(k.last.reading); k.lastRev != 0 && exact {
		s.storeNow, s.fresh = k.last.Wall.Add(gone), gone <= freshFor
	} else if len(k.ahead) > 0 {
		s.storeNow, s.fresh = time.Unix(0, int64(is.Elapsed+slices.Max(k.ahead))), is.Elapsed-k.received <= freshFor
	}
	s.waited = is.Elapsed-k.began > freshFor
	return s
}

// write publishes this controller's time. write also stores the store's time if may allows it and no other controller keeps it, or if may
// requires it.
func (k *Keeper) write(ctx context.Context, may verdict) {
	b := k.clock.beat()
	_, err := k.beats.PutIf(ctx, k.name, store.AnyVersion, b)
	if errors.Is(err, store.ErrFull) && may.keeps { // nobody can keep the store's time, so each controller trusts its own clock until there is room
		k.clock.kept()
	}
	if err != nil {
		k.log.Debug("the time of this controller was not stored", zap.Error(err))
		return
	}
	s := k.scene()
	if !may.claims && (!may.keeps || s.fresh && s.time.By != k.name) {
		return
	}
	t := storeTime{reading: b.reading, By: k.name}
	rev, err := k.times.PutIf(ctx, timeName, k.lastRev, t)
	if err != nil { // another controller has written the time; the watch will report it
		k.log.Debug("the store's time was not stored", zap.Error(err))
		return
	}
	k.timeNow(t, rev)
	k.clock.kept()
	for name := range k.recorded { // the controller that keeps the store's time deletes the beats of controllers that have left
		if name != k.name && !slices.Contains(k.present, name) && k.beats.Delete(ctx, name, store.AnyVersion) == nil {
			delete(k.recorded, name)
		}
	}
}
