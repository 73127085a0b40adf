package register

import (
	"context"
	"errors"
	"hash/maphash"
	"net/netip"
	"reflect"
	"time"

	"go.uber.org/zap"

	"op25b/internal/store"
	"op25b/internal/subscriber"
)

// Report applies an event of an access server or another source. switches are the switches whose lines the source may name; none means all. When
// Report returns without an error, what the event changed is in the store. The errors mean that the source should send the event again:
// ErrNotReady, ErrFull, or an error of the store.
func (r *Register) Report(ctx context.Context, e subscriber.Event, switches []string) (subscriber.Outcome, error) {
	if !r.isReady() {
		return "", ErrNotReady
	}
	outcome, refused, err := r.report(ctx, e, switches)
	if err == nil {
		r.metrics.event(outcome, refused)
	}
	return outcome, err
}

func (r *Register) report(ctx context.Context, e subscriber.Event, switches []string) (_ subscriber.Outcome, refused int, err error) {
	e.Time, e.Ends = e.Time.UTC().Round(0), e.Ends.UTC().Round(0)
	if e.Kind == subscriber.Restart {
		return subscriber.Restarted, 0, r.restart(ctx, e)
	}
	r.mu.RLock()
	lines := r.lines
	r.mu.RUnlock()
	line, outcome := lines.Of(e, switches)
	if outcome != "" {
		return outcome, 0, nil
	}
	taken := 0
	if e.Kind != subscriber.Stop {
		var own []netip.Prefix
		own, taken = lines.Own(line.Name, e.Prefixes)
		e.Prefixes, refused = subscriber.Prefixes(own)
	}
	heard := r.now()
	record, outcome, err := r.change(ctx, line.Name, func(record subscriber.Record, restarted time.Time) (subscriber.Record, subscriber.Outcome) {
		return record.After(e, heard, restarted)
	}, e.NAS)
	if err == nil && (outcome == subscriber.Opened || outcome == subscriber.Refreshed) {
		err = r.evict(ctx, line.Name, *record.Session)
	}
	return outcome, refused + taken, err
}

// evict ends the sessions of other lines that have an address of a session and began earlier.
func (r *Register) evict(ctx context.Context, line string, s subscriber.Session) error {
	heard := r.now()
	r.mu.RLock()
	displaced := r.table.Displaced(line, s, heard)
	r.mu.RUnlock()
	for _, other := range displaced {
		_, _, err := r.change(ctx, other, func(record subscriber.Record, _ time.Time) (subscriber.Record, subscriber.Outcome) {
			record, _ = record.Evicted(s.Began, heard)
			return record, subscriber.Refreshed
		}, "")
		if err != nil {
			return err
		}
	}
	return nil
}

// change replaces the record of a line by the result of next, unless that is the same. next gets the last restart of the access server nas. It
// is called again if the record has changed in the meantime.
func (r *Register) change(ctx context.Context, line string, next func(subscriber.Record, time.Time) (subscriber.Record, subscriber.Outcome),
	nas string,
) (subscriber.Record, subscriber.Outcome, error) {
	mu := &r.writing[maphash.String(r.seed, line)%shards]
	mu.Lock()
	defer mu.Unlock()
	r.mu.RLock()
	before, version, restarted, full := r.table.Record(line), r.versions[line], r.table.Restarted(nas), len(r.versions) >= MaxSessions
	r.mu.RUnlock()
	newest := false // whether the record was read from the store, and not only from what was received of it so far
	for range maxTries {
		after, outcome := next(before, restarted)
		same := reflect.DeepEqual(before, after)
		var conflict *store.ConflictError
		switch {
		case same && (newest || outcome == subscriber.Refreshed):
			return after, outcome, nil
		case !same && version == 0 && full:
			return before, "", ErrFull
		case !same:
			value, err := r.seal.seal(line, after)
			if err != nil {
				return before, "", err
			}
			version, err = r.writer.PutIf(ctx, line, version, value)
			if err == nil {
				r.wrote(line, version, after)
			}
			if err == nil || !errors.As(err, &conflict) {
				return after, outcome, err
			}
		}
		var err error
		if before, version, err = r.read(ctx, line); err != nil {
			return before, "", err
		}
		newest = true
	}
	return before, "", errBusy
}

// wrote notes a record before the watch of the store reports it. Otherwise, the next event of another line would not find a session whose address
// it takes, and would not end it.
func (r *Register) wrote(line string, version int64, record subscriber.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if version <= r.versions[line] {
		return // the watch was faster
	}
	r.ahead[line] = version
	r.setLocked(line, version, r.lift(record))
}

// read returns the record of a line in the store. A record that another key encrypts counts as empty.
func (r *Register) read(ctx context.Context, line string) (subscriber.Record, int64, error) {
	found, err := r.sessions.Get(ctx, line)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return subscriber.Record{}, 0, nil
	case errors.Is(err, store.ErrCorrupt):
		return subscriber.Record{}, store.AnyVersion, nil // the error would name the line
	case err != nil:
		return subscriber.Record{}, 0, err
	}
	record, err := r.seal.open(line, found.Value)
	if err != nil {
		record = subscriber.Record{}
	}
	return r.lift(record), found.Version, nil
}

// restart stores the time at which an access server restarted, unless a later restart is known.
func (r *Register) restart(ctx context.Context, e subscriber.Event) error {
	if now := r.now(); e.Time.After(now) {
		e.Time = now
	}
	for range maxTries {
		found, err := r.restarts.Get(ctx, e.NAS)
		switch {
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		case err == nil && !e.Time.After(found.Value.Time):
			return nil
		}
		var conflict *store.ConflictError
		if _, err = r.restarts.PutIf(ctx, e.NAS, found.Version, restarted{e.Time}); err == nil {
			r.restartedAt(e.NAS, e.Time)
			return nil
		}
		if !errors.As(err, &conflict) {
			return err
		}
	}
	return errBusy
}

// restartedAt notes a restart before the watch of the store reports it, so that the next start of the source begins a session.
func (r *Register) restartedAt(nas string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.After(r.table.Restarted(nas)) {
		r.table.SetRestarted(nas, at)
	}
}

// sweep removes the sessions and addresses that have ended by silence, by a restart or with a lease. It also removes the records of lines without
// a session that are no longer needed.
func (r *Register) sweep(ctx context.Context) {
	now := r.now()
	type stale struct {
		line    string
		version int64
		record  subscriber.Record
		empty   bool
	}
	var all []stale
	r.mu.RLock()
	for line, record := range r.table.Records() {
		at := time.Time{}
		if record.Session != nil {
			at = r.table.Restarted(record.Session.NAS)
		}
		swept, empty := record.Swept(now, at)
		if empty || swept.Session == nil && record.Session != nil || swept.Session != nil && len(swept.Session.Prefixes) < len(record.Session.Prefixes) {
			all = append(all, stale{line, r.versions[line], swept, empty})
		}
	}
	r.mu.RUnlock()
	for _, s := range all {
		var err error
		if s.empty {
			err = r.sessions.Delete(ctx, s.line, s.version)
		} else if value, failed := r.seal.seal(s.line, s.record); failed == nil {
			_, err = r.sessions.PutIf(ctx, s.line, s.version, value)
		}
		// A conflict means that the line has a new event, or that another controller swept it.
		if conflict := (*store.ConflictError)(nil); err != nil && !errors.As(err, &conflict) {
			r.log.Debug("sessions that have ended are not deleted yet", zap.Error(err))
			return
		}
	}
}
