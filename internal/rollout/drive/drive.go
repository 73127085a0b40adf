package drive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/rollout"
	"op25b/internal/store"
)

// A Driver carries rollouts out. Its fields must be set.
type Driver struct {
	Store     *store.Store
	Book      *intent.Book
	Counters  Counter
	Forecasts Forecaster
	// Name is the name of this controller.
	Name string
	// Now is the clock of the rollout.
	Now    func() time.Time
	Logger *zap.Logger
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
)

// Stored is a rollout as it is stored.
type Stored struct {
	rollout.Record
	// Begun has the counts of each switch when the first measurement began, and Told those when the switch was last given the change.
	Begun map[string]Counts `json:"begun,omitempty"`
	Told  map[string]Counts `json:"told,omitempty"`
	// Version is the version of the record in the store.
	Version int64 `json:"-"`
}

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
	records, statuses, counts := d.Watch(ctx), fleet.WatchKnown(ctx, d.Store, d.Name), store.JSON[Counts](d.Store, countsKind).Watch(ctx)
	defer func() {
		cancel()
		for range records { // the watches end with the context
		}
		for range statuses {
		}
		for range counts {
		}
	}()
	var current *Stored
	timer := time.NewTimer(observeEvery)
	defer timer.Stop()
	soon := false // whether the timer ends after countsPause because of new counts
	for {
		select {
		case <-ctx.Done():
			return
		case <-own.Lost():
			return
		case s, ok := <-records:
			if !ok {
				return
			}
			if current == nil || s.Version > current.Version {
				current = s
			}
		case _, ok := <-statuses:
			if !ok {
				return
			}
		case _, ok := <-counts:
			if !ok {
				return
			}
			if !soon {
				soon = true
				timer.Reset(countsPause)
			}
			continue
		case <-timer.C:
		}
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
		soon = false
		timer.Reset(observeEvery)
	}
}

// step does what the record says, observes, and stores the next record. It returns nil if nothing has changed.
func (d *Driver) step(ctx context.Context, own *store.Ownership, s *Stored) (*Stored, error) {
	in, err := d.place(ctx, s)
	if err != nil {
		return nil, err
	}
	counts, err := d.counts(ctx)
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
	next.Record = rollout.Next(s.Record, next.observe(in, statuses, counts, d.Now()))
	if next.Rings() > s.Rings() {
		next.tell(counts)
	}
	if reflect.DeepEqual(next.Record, s.Record) && len(next.Begun) == len(s.Begun) && !renewed {
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
	stored, err := records.Get(ctx, currentName)
	if err != nil {
		return nil, err
	}
	stored.Value.Version = stored.Version
	return &stored.Value, nil
}

// audit returns the audit record of a change of a rollout.
func (s *Stored) audit(who, role string) store.AuditRecord {
	detail := fmt.Sprintf("ring %d of %d", s.Ring+1, len(s.Stages))
	for _, f := range s.Findings {
		if text := detail + "\n" + f.String(); len(text) <= store.MaxDetail {
			detail = text
		}
	}
	return store.AuditRecord{Who: who, Role: role, Verb: "rollout " + string(s.State), Object: fmt.Sprintf("rollout %s, phase %s, ring %s", s.ID, s.Change.Phase, s.Stage().Name), Reason: s.Reason, Detail: detail}
}

// counts returns the published counts by switch.
func (d *Driver) counts(ctx context.Context) (map[string]Counts, error) {
	records, err := store.JSON[Counts](d.Store, countsKind).List(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]Counts, len(records))
	for _, r := range records {
		all[r.Name] = r.Value
	}
	return all, nil
}

// measure notes the first counts of each switch.
func (s *Stored) measure(counts map[string]Counts) {
	if s.State != rollout.Measuring {
		return
	}
	begun := make(map[string]Counts, len(s.Begun))
	for _, name := range s.Switches() {
		if c, there := s.Begun[name]; there {
			begun[name] = c
		} else if c, there := counts[name]; there && c.At.After(s.Since) {
			begun[name] = c
		}
	}
	s.Begun = begun
}

// renew notes the counts of a switch anew if they are not the continuation of those that are noted, because the switch has got another controller or
// its controller was started again. It reports whether there is such a switch.
func (s *Stored) renew(counts map[string]Counts) (renewed bool) {
	wanted := s.Wanted()
	begun, told := maps.Clone(s.Begun), maps.Clone(s.Told)
	for _, name := range s.Switches() {
		noted := begun // that of a switch without the change, to which others are compared
		if slices.Contains(wanted, name) {
			noted = told
		}
		c, there := counts[name]
		t, known := noted[name]
		if !there || !known || c.Owner == t.Owner && c.Counted >= t.Counted {
			continue
		}
		c.Renewed, renewed = true, true
		c.Forecast, c.ForecastKnown = t.Forecast, t.ForecastKnown
		noted[name] = c
	}
	if renewed {
		s.Begun, s.Told = begun, told
	}
	return renewed
}

// tell notes the counts of the switches that are now given the change.
func (s *Stored) tell(counts map[string]Counts) {
	told := maps.Clone(s.Told)
	if told == nil {
		told = make(map[string]Counts)
	}
	for _, name := range s.Stage().Switches {
		if c, there := counts[name]; there {
			told[name] = c
		} else {
			delete(told, name)
		}
	}
	s.Told = told
}

// place makes the intent put the phase in force on the rings that are to have it, and returns the intent. It changes one ring at a time.
func (d *Driver) place(ctx context.Context, s *Stored) (*intent.Intent, error) {
	in, err := d.Book.Current(ctx)
	if err != nil {
		return nil, err
	}
	for i, stage := range s.Stages {
		forward, has := placed(in.Activations, s.ID, stage)
		if has == (i < s.Rings()) {
			continue
		}
		a := policy.Activation{Phase: s.Change.Phase, Groups: s.Change.Groups, Switches: stage.Switches, Rollout: s.ID}
		if has {
			a = policy.Activation{Undoes: forward, Groups: s.Change.Groups, Switches: stage.Switches, Rollout: s.ID}
		}
		by := intent.By{Who: "rollout " + s.ID, Reason: s.Reason}
		if in, err = d.Book.Place(ctx, in.Number, a, by); err != nil {
			return nil, fmt.Errorf("ring %q: %w", stage.Name, err)
		}
	}
	return in, nil
}

// placed returns whether a ring has the phase by an activation of the rollout, and the ID of that activation.
func placed(all []policy.Activation, id string, stage rollout.Stage) (forward uint64, has bool) {
	for _, a := range all {
		if a.Rollout != id || !slices.Equal(a.Switches, stage.Switches) {
			continue
		}
		if has = a.Undoes == 0; has {
			forward = a.ID
		}
	}
	return forward, has
}

// observe returns what is seen of the switches and the gates.
func (s *Stored) observe(in *intent.Intent, statuses []fleet.Status, counts map[string]Counts, now time.Time) rollout.Observation {
	o := rollout.Observation{Time: now, Places: make(map[string]rollout.Place)}
	of := make(map[string]fleet.Status, len(statuses))
	for _, st := range statuses {
		of[st.Switch] = st
	}
	for i, stage := range s.Stages {
		for _, name := range stage.Switches {
			if st := of[name]; !confirms(in, st) {
				continue
			}
			o.Places[name] = rollout.Without
			if i < s.Rings() {
				o.Places[name] = rollout.With
			}
		}
	}
	for _, name := range s.Switches() {
		if c, there := counts[name]; !there || now.Sub(c.At) > s.Stages[0].Gates.Stale || s.State == rollout.Measuring && s.Begun[name].At.IsZero() {
			o.Unmeasured = append(o.Unmeasured, name)
		}
	}
	for i, stage := range s.Stages[:s.Rings()] {
		reading := rollout.Reading{Time: now}
		for _, name := range stage.Switches {
			reading.Ring = append(reading.Ring, s.of(name, of[name], counts[name]))
		}
		if s.stopsNobody() { // otherwise the ring is expected to be worse than a ring without the phase
			for _, other := range s.Stages[i+1:] {
				for _, name := range other.Switches {
					if s.Rings() <= i+1 {
						reading.Control = append(reading.Control, s.of(name, of[name], counts[name]))
					}
				}
			}
		}
		o.Findings = append(o.Findings, stage.Gates.Evaluate(stage, reading)...)
	}
	return o
}

// stopsNobody reports whether the forecast expects no newly stopped line on any switch.
func (s *Stored) stopsNobody() bool {
	for _, name := range s.Switches() {
		if c := s.Begun[name]; !c.ForecastKnown || c.Forecast > 0 {
			return false
		}
	}
	return true
}

// of returns the measure of a switch.
func (s *Stored) of(name string, st fleet.Status, c Counts) rollout.Measure {
	told, begun := s.Told[name], s.Begun[name]
	m := rollout.Measure{Switch: name, Unwell: unwell(st, told.At), Lines: c.Lines, Forecast: begun.Forecast, ForecastKnown: begun.ForecastKnown}
	for _, t := range st.Tables {
		if share := float64(t.Entries) / float64(max(t.Size, 1)); share >= m.Full {
			m.FullestTable, m.Full = t.Table, share
		}
	}
	if told.At.IsZero() { // a control
		told = begun
	}
	if c.Owner != told.Owner || c.Counted < told.Counted { // counted from another start
		return m
	}
	m.At, m.From = c.At, told.At
	m.SubmissionStopped, m.RelayPermits = c.Submission-min(c.Submission, told.Submission), c.Relays-min(c.Relays, told.Relays)
	m.Link, m.Counted, m.Affected = c.Link-min(c.Link, told.Link), c.Counted-told.Counted, c.Affected
	if begun.Owner == told.Owner && told.At.After(begun.At) {
		m.Before, m.RelayPermitsBefore = told.At.Sub(begun.At), told.Relays-min(told.Relays, begun.Relays)
	}
	if told.Renewed || c.Since.After(told.At.Add(recountedAfter)) {
		m.Recounted = c.Since
	}
	return m
}

// recountedAfter is the time within which the owner of a switch notices that the switch is given the change.
const recountedAfter = 30 * time.Second

// confirms reports whether a status confirms the phases of an intent.
func confirms(in *intent.Intent, st fleet.Status) bool {
	if st.Wanted != in.Number {
		return false
	}
	return st.State == fleet.StateConverged && st.Revision == in.Number || st.Reason == fleet.ReasonPhaseOnly
}

// unwell returns why a switch is not in its desired state, or "". A switch that is being written is well.
func unwell(st fleet.Status, since time.Time) string {
	switch {
	case st.Switch == "":
		return "no controller has reported the switch"
	case st.State.Failed() || st.State == fleet.StateUnknown:
		text := st.State.String() + ": " + st.Reason.String()
		if st.Detail != "" {
			text += ": " + st.Detail
		}
		return text
	case st.State == fleet.StateConverging && st.Reason == fleet.ReasonDrift:
		return "drift: another program has changed the switch"
	}
	return ""
}

// ErrRunning means that a rollout is running.
var ErrRunning = errors.New("a rollout is running")

// ErrNone means that there was no rollout yet.
var ErrNone = errors.New("there is no rollout")

// Current returns the rollout that runs or that ended last. It returns ErrNone if there is none.
func (d *Driver) Current(ctx context.Context) (*Stored, error) {
	r, err := store.JSON[Stored](d.Store, rolloutKind).Get(ctx, currentName)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	r.Value.Version = r.Version
	return &r.Value, nil
}

// By is the operator who gives a command.
type By struct{ Who, Role, Reason string }

// Start stores a new rollout. It returns ErrRunning if one is running.
func (d *Driver) Start(ctx context.Context, r rollout.Record, by By) (*Stored, error) {
	last, err := d.Current(ctx)
	version, number := int64(0), 1
	switch {
	case errors.Is(err, ErrNone):
	case err != nil:
		return nil, err
	case !last.State.Ended():
		return nil, fmt.Errorf("%w: rollout %s is %s: abort it, or wait until it has ended", ErrRunning, last.ID, last.State)
	default:
		version = last.Version
		if n, err := strconv.Atoi(last.ID); err == nil {
			number = n + 1
		}
		earlier := *last
		earlier.Begun, earlier.Told = nil, nil
		if _, err := store.JSON[Stored](d.Store, rolloutKind).PutIf(ctx, "past-"+fmt.Sprintf("%06d", number-1), store.AnyVersion, earlier); err != nil {
			return nil, err
		}
	}
	r.ID, r.Author, r.Reason = strconv.Itoa(number), by.Who, by.Reason
	s := &Stored{Record: rollout.Start(r, d.Now())}
	return d.put(ctx, s, version, by)
}

// Change stores what change makes of the current rollout. It returns ErrNone if there is none, and rollout.ErrState if the command does not fit.
func (d *Driver) Change(ctx context.Context, by By, change func(rollout.Record) (rollout.Record, error)) (*Stored, error) {
	for {
		s, err := d.Current(ctx)
		if err != nil {
			return nil, err
		}
		if s.Record, err = change(s.Record); err != nil {
			return nil, err
		}
		stored, err := d.put(ctx, s, s.Version, by)
		if conflict := (*store.ConflictError)(nil); errors.As(err, &conflict) { // the driver has stored another state
			continue
		}
		return stored, err
	}
}

func (d *Driver) put(ctx context.Context, s *Stored, version int64, by By) (*Stored, error) {
	record := s.audit(by.Who, by.Role)
	record.Reason = by.Reason
	if err := store.JSON[Stored](d.Store, rolloutKind).PutRecorded(ctx, currentName, version, *s, record); err != nil {
		return nil, err
	}
	return s, nil
}

// Past returns the rollouts that ended before the current one, the newest first.
func (d *Driver) Past(ctx context.Context) ([]Stored, error) {
	all, err := store.JSON[Stored](d.Store, rolloutKind).List(ctx)
	if err != nil {
		return nil, err
	}
	var past []Stored
	for _, r := range all {
		if r.Name != currentName {
			past = append(past, r.Value)
		}
	}
	slices.Reverse(past)
	return past, nil
}
