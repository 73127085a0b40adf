package engine

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// An Engine is a loaded program with its tables and state. Its methods are safe for concurrent use.
type Engine struct {
	o     Options
	start time.Time
	lay   *layout

	tables    []*Table
	byTable   map[string]*Table
	profiles  []*ActionProfile
	counters  []*Counter
	meters    []*Meter
	registers []*Register
	vsets     map[string]*ValueSet
	vsetOrder []*ValueSet

	prog   *program
	traced *program // the program for traced packets, which differs from prog only in its code
	native *Native  // nil if there is none of the program

	// ctl serializes the control side. Comments on other fields state whether ctl guards them.
	ctl sync.RWMutex
	// groups and sessions are guarded by ctl and change only while all workers are stopped.
	groups   map[uint32][]Replica
	sessions map[uint32]CloneSession

	gate    gate
	digests chan *Digest
	spare   chan *Digest // unused digests; each channel has room for all digests
}

// Tables returns all tables in the program's order, including the hidden tables that p4c creates for actions in an apply block.
func (e *Engine) Tables() []*Table { return slices.Clone(e.tables) }

// Table returns the table with this name.
func (e *Engine) Table(name string) (*Table, bool) {
	t, ok := e.byTable[name]
	return t, ok
}

// ActionProfiles returns all action profiles in the program's order.
func (e *Engine) ActionProfiles() []*ActionProfile { return slices.Clone(e.profiles) }

// ActionProfile returns the action profile with this name.
func (e *Engine) ActionProfile(name string) (*ActionProfile, bool) {
	return named(e.profiles, name)
}

// Counters returns the indexed counters. Direct counters belong to their tables.
func (e *Engine) Counters() []*Counter { return slices.Clone(e.counters) }

// Counter returns the indexed counter with this name.
func (e *Engine) Counter(name string) (*Counter, bool) { return named(e.counters, name) }

// Meters returns the indexed meters. Direct meters belong to their tables.
func (e *Engine) Meters() []*Meter { return slices.Clone(e.meters) }

// Meter returns the indexed meter with this name.
func (e *Engine) Meter(name string) (*Meter, bool) { return named(e.meters, name) }

// Registers returns the registers.
func (e *Engine) Registers() []*Register { return slices.Clone(e.registers) }

// Register returns the register with this name.
func (e *Engine) Register(name string) (*Register, bool) { return named(e.registers, name) }

// ValueSets returns the parser value sets.
func (e *Engine) ValueSets() []*ValueSet { return slices.Clone(e.vsetOrder) }

// ValueSet returns the value set with this name.
func (e *Engine) ValueSet(name string) (*ValueSet, bool) {
	v, ok := e.vsets[name]
	return v, ok
}

// Digests returns the queue of digests. The channel is never closed. Unlike bmv2, the engine delivers a digest for each packet, even if
// equal digests were delivered before. The P4Runtime server suppresses duplicates and handles acknowledgements.
func (e *Engine) Digests() <-chan *Digest { return e.digests }

// Stats returns the counts since Load.
func (e *Engine) Stats() Stats {
	e.gate.mu.Lock()
	defer e.gate.mu.Unlock()
	out := e.gate.gone
	to := out.fields()
	for _, w := range e.gate.workers {
		for i, from := range w.stats.fields() {
			*to[i] += atomic.LoadUint64(from)
		}
	}
	return out
}

func (s *Stats) fields() []*uint64 {
	return []*uint64{
		&s.In, &s.Out, &s.Oversize, &s.Empty, &s.ParserErrors, &s.ChecksumErrors, &s.IngressDrops, &s.EgressDrops,
		&s.NoReplica, &s.NoQueue, &s.Looped, &s.AssertsFailed, &s.Digests, &s.DigestsDropped,
	}
}

// nowNanos returns the time of the engine's clock, in nanoseconds since Load.
func (e *Engine) nowNanos() int64 { return int64(e.meterClock()) }

func (e *Engine) meterClock() time.Duration {
	if e.o.Clock == nil {
		return time.Since(e.start) // faster than time.Now, because it reads only the monotonic clock
	}
	return e.o.Clock().Sub(e.start)
}

// A gate lets the control side stop all workers for a change. Without a change, each worker processes packets under its own lock and
// never waits for another worker.
type gate struct {
	mu      sync.Mutex // guards everything below, and serializes writers
	workers []*Worker
	numbers int   // number of the next worker that is created
	gone    Stats // sum of the counts of closed workers
}

func (g *gate) lock() {
	g.mu.Lock()
	for _, w := range g.workers {
		w.mu.Lock()
	}
}

func (g *gate) unlock() {
	for _, w := range g.workers {
		w.mu.Unlock()
	}
	g.mu.Unlock()
}

func named[T interface{ Name() string }](all []T, name string) (T, bool) {
	for _, x := range all {
		if x.Name() == name {
			return x, true
		}
	}
	var none T
	return none, false
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
