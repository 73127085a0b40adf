package engine

import (
	"fmt"
	"sync/atomic"
	"time"

	"op25b/internal/softswitch/extern"
	"op25b/internal/softswitch/match"
)

// An EntryState is the part of an entry's state that packets change.
type EntryState struct {
	Counter CounterValue  // set if the table has a direct counter
	Since   time.Duration // time since the last hit, or since Insert if there was no hit; set if the table supports timeouts
	Meter   extern.MeterConfig
	Metered bool // whether Meter is set
}

// RangeState is like Range, but also passes each entry's state to f.
func (t *Table) RangeState(f func(Entry, EntryState) bool) {
	t.e.ctl.RLock()
	defer t.e.ctl.RUnlock()
	now := t.e.nowNanos()
	t.rows.Range(func(row *match.Entry[entry]) bool {
		return f(row.Value.ctl.clone(), row.Value.state(now))
	})
}

// State returns the state of an entry.
func (t *Table) State(m []Match, priority int32) (EntryState, error) {
	t.e.ctl.RLock()
	defer t.e.ctl.RUnlock()
	row, err := t.rowLocked(m, priority)
	if err != nil {
		return EntryState{}, err
	}
	return row.Value.state(t.e.nowNanos()), nil
}

func (v *entry) state(now int64) EntryState {
	s := EntryState{
		Counter: CounterValue{atomic.LoadUint64(&v.packets), atomic.LoadUint64(&v.bytes)},
		Since:   time.Duration(max(0, now-atomic.LoadInt64(&v.seen))),
	}
	if v.meter != nil {
		s.Meter, s.Metered = v.meter.Config()
	}
	return s
}

// SinceHit returns the time since a packet last hit the entry. If there was no hit, it returns the time since the entry was inserted. It
// returns ErrInvalid if the table does not support timeouts.
func (t *Table) SinceHit(m []Match, priority int32) (time.Duration, error) {
	if !t.timeout {
		return 0, fmt.Errorf("table %q: %w: it does not support timeouts", t.name, ErrInvalid)
	}
	s, err := t.State(m, priority)
	return s.Since, err
}

// ReadCounter returns the direct counter of an entry. It returns ErrInvalid if the table has no direct counter.
func (t *Table) ReadCounter(m []Match, priority int32) (CounterValue, error) {
	if !t.counters {
		return CounterValue{}, fmt.Errorf("table %q: %w: it has no direct counter", t.name, ErrInvalid)
	}
	s, err := t.State(m, priority)
	return s.Counter, err
}

// WriteCounter sets the direct counter of an entry.
func (t *Table) WriteCounter(m []Match, priority int32, c CounterValue) error {
	if !t.counters {
		return fmt.Errorf("table %q: %w: it has no direct counter", t.name, ErrInvalid)
	}
	t.e.ctl.RLock()
	defer t.e.ctl.RUnlock()
	row, err := t.rowLocked(m, priority)
	if err != nil {
		return err
	}
	atomic.StoreUint64(&row.Value.packets, c.Packets)
	atomic.StoreUint64(&row.Value.bytes, c.Bytes)
	return nil
}

// ReadMeter returns the configuration of an entry's direct meter. It returns false if the meter has no configuration, in which case it
// returns green for every packet.
func (t *Table) ReadMeter(m []Match, priority int32) (extern.MeterConfig, bool, error) {
	if t.meter == "" {
		return extern.MeterConfig{}, false, fmt.Errorf("table %q: %w: it has no direct meter", t.name, ErrInvalid)
	}
	s, err := t.State(m, priority)
	return s.Meter, s.Metered, err
}

// WriteMeter configures an entry's direct meter. If c is nil, it removes the configuration.
func (t *Table) WriteMeter(m []Match, priority int32, c *extern.MeterConfig) error {
	if t.meter == "" {
		return fmt.Errorf("table %q: %w: it has no direct meter", t.name, ErrInvalid)
	}
	t.e.ctl.RLock()
	defer t.e.ctl.RUnlock()
	row, err := t.rowLocked(m, priority)
	if err != nil {
		return err
	}
	if c == nil {
		row.Value.meter.Reset()
		return nil
	}
	if err := row.Value.meter.Configure(*c); err != nil {
		return fmt.Errorf("table %q: direct meter %q: %w: %w", t.name, t.meter, ErrInvalid, err)
	}
	return nil
}
