// Package tally names the counters of the switches by rule, leg and phase.
//
// A switch reports numbers. A Tally takes the names for these numbers from the intent. It also follows the ownership of switches, and collects
// only from those that this controller owns. A Tally keeps totals from its first reading of a switch on, and no history.
package tally

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"op25b/internal/intent"
	"op25b/internal/telemetry"
	"op25b/internal/tlsfiles/expiry"
)

// A Book provides the intent; see intent.Book.
type Book interface {
	Watch(ctx context.Context, after uint64) <-chan intent.Update
}

var _ Book = (*intent.Book)(nil)

// A Config configures a Tally.
type Config struct {
	Telemetry telemetry.Config
	Book      Book
	// Certificates exports the end dates of the certificates of the gNMI connections; nil disables the export.
	Certificates *expiry.Certificates
	// Logger may be nil.
	Logger *zap.Logger
}

// A Tally holds the counters of the switches that this controller owns. Its methods may be called from several goroutines.
type Tally struct {
	cfg       Config
	collector *telemetry.Collector
	log       *zap.Logger
	interval  time.Duration // the sample interval of the collector
	told      told

	// mu guards everything below.
	mu       sync.Mutex
	names    *names
	switches map[string]*device // the switches that this controller owns
	number   uint64             // the number of the newest sample
	asked    time.Time          // the time of the newest call of Samples
	next     News               // the channels that are closed at the next sample or change
	// onLegs and sums are scratch memory of foldLocked. onLegs contains the rules that have legs, and sums the counts of the ACL entries by
	// rule.
	onLegs map[uint32]bool
	sums   map[uint32]telemetry.Count
}

// A Key identifies a total of a switch. Leg is empty if the switch does not report legs, or if the rule is decided before the leg is known.
// Phase is empty if the phase in force is not known.
type Key struct {
	Rule, Leg, Phase string
}

// A Total has the packets and octets that a rule matched.
type Total struct {
	Key
	telemetry.Count
}

// A device is the state of one switch.
type device struct {
	phases    map[uint8]string // the phases in force, by the epoch of their rules
	phase     string           // the phases in force now
	totals    []Total          // ordered by orderedBy; a map would take three times as much memory
	orderedBy *names
	legs      map[telemetry.LegKey]telemetry.Count // the collector's counts that are already in totals
	entries   map[uint32]telemetry.Count           // the counts of rules without a leg that are already in totals, by rule id
	acting    acting
	sampling
}

// New returns a Tally. It returns telemetry.ErrConfig if the configuration of the collector is invalid.
func New(cfg Config) (*Tally, error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	t := &Tally{
		cfg: cfg, log: cfg.Logger, interval: cmp.Or(cfg.Telemetry.Interval, telemetry.DefaultInterval), switches: make(map[string]*device),
		told: told{kick: make(chan struct{}, 1)}, next: newNews(), onLegs: make(map[uint32]bool), sums: make(map[uint32]telemetry.Count),
	}
	cfg.Telemetry.Logger, cfg.Telemetry.OnUpdate = cfg.Logger, t.told.tell
	var err error
	if t.collector, err = telemetry.New(cfg.Telemetry); err != nil {
		return nil, err
	}
	return t, nil
}

// Run collects until ctx ends.
func (t *Tally) Run(ctx context.Context) {
	var collecting sync.WaitGroup
	collecting.Go(func() { t.collector.Run(ctx) })
	collecting.Go(func() { t.sample(ctx) })
	for update := range t.cfg.Book.Watch(ctx, 0) {
		if update.Intent == nil || update.Intent.Bundle == nil {
			continue // the names of the previous revision remain in use
		}
		t.mu.Lock()
		t.names = newNames(update.Intent)
		t.retargetLocked()
		t.announceLocked(true)
		t.mu.Unlock()
	}
	collecting.Wait()
}

// Follow records whether this controller owns a switch, and which phases are in force on it with the epoch of their rules. phases is empty if
// no phase is in force or if the phases are not known. The calls for one switch must be made in the order of its states.
func (t *Tally) Follow(name string, owned bool, epoch uint8, phases string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.switches[name]
	switch {
	case !owned && d != nil:
		delete(t.switches, name)
		t.cfg.Certificates.Remove(expiry.GNMI, name)
		t.retargetLocked()
		t.announceLocked(true)
		return
	case !owned:
		return
	case d == nil:
		d = &device{
			phases: make(map[uint8]string), legs: make(map[telemetry.LegKey]telemetry.Count), entries: make(map[uint32]telemetry.Count),
		}
		t.switches[name] = d
		t.retargetLocked()
		t.announceLocked(true)
	}
	if phases == "" || d.phase == phases && d.phases[epoch] == phases {
		return
	}
	t.foldLocked(name, d, nil) // packets counted so far belong to the phases that were in force
	d.phases[epoch], d.phase = phases, phases
}

// retargetLocked makes the owned switches of the inventory the targets of the collector.
func (t *Tally) retargetLocked() {
	if t.names == nil {
		return
	}
	var targets []telemetry.Target
	for name := range t.switches {
		if sw, there := t.names.switches[name]; there {
			targets = append(targets, t.target(sw))
		}
	}
	t.collector.Set(targets)
}

// foldLocked adds to the totals the packets that the collector has counted since the last call. It also calls the function also, which may be
// nil, with the same values. It returns false if the collector does not have the switch yet.
func (t *Tally) foldLocked(name string, d *device, also func(telemetry.View)) bool {
	if t.names == nil {
		return false
	}
	return t.collector.View(name, func(v telemetry.View) {
		clear(t.onLegs)
		for k, n := range v.Legs() {
			t.onLegs[k.Rule] = true
			if added := since(d.legs, k, n); added != (telemetry.Count{}) {
				t.addLocked(d, Key{t.names.rule(k.Rule), strings.ToLower(k.Leg), d.phases[k.Epoch]}, added) // in lower case, as policies write legs
			}
		}
		if !v.Whole() { // While the leg counts of a rule are still arriving, the rule must not be taken for one without legs.
			if also != nil {
				also(v)
			}
			return
		}
		clear(t.sums)
		for k, n := range v.Entries() {
			t.sums[k.SequenceID] = t.sums[k.SequenceID].Plus(n)
		}
		for rule, n := range t.sums {
			// The packets that the entries counted while the rule had legs are already in the totals. They must not be added when the legs
			// vanish.
			if added := since(d.entries, rule, n); added != (telemetry.Count{}) && !t.onLegs[rule] {
				t.addLocked(d, Key{Rule: t.names.rule(rule), Phase: d.phase}, added)
			}
		}
		if also != nil {
			also(v)
		}
	})
}

// since returns the difference between n and the last count, and stores n. It returns zero for a count that fell, because the collector's
// counts have restarted and the number of new packets is not known.
func since[K comparable](last map[K]telemetry.Count, k K, n telemetry.Count) telemetry.Count {
	was := last[k]
	last[k] = n
	if n.Packets < was.Packets || n.Octets < was.Octets {
		return telemetry.Count{}
	}
	return telemetry.Count{Packets: n.Packets - was.Packets, Octets: n.Octets - was.Octets}
}

// addLocked adds a count to a total.
func (t *Tally) addLocked(d *device, k Key, n telemetry.Count) {
	at, known := slices.BinarySearchFunc(t.totalsLocked(d), k, func(a Total, k Key) int { return t.names.compare(a.Key, k) })
	if !known {
		d.totals = slices.Insert(d.totals, at, Total{Key: k})
	}
	d.totals[at].Count = d.totals[at].Plus(n)
}

// totalsLocked returns the totals of a switch, ordered by rule number. The caller must not retain them.
func (t *Tally) totalsLocked(d *device) []Total {
	if d.orderedBy != t.names {
		d.orderedBy = t.names
		slices.SortFunc(d.totals, func(a, b Total) int { return t.names.compare(a.Key, b.Key) })
	}
	return d.totals
}

// A Switch has the counters of one switch, and the state of their collection.
type Switch struct {
	Status telemetry.Status
	// Reading is a copy of the values. Totals has the packets and octets by rule, leg and phase, ordered by rule number.
	Reading *telemetry.Reading
	Totals  []Total
	// Actions has the actions of the rules in the phases in force.
	Actions []RuleAction
}

// Read returns the counters of the named switches, or of all owned switches if no name is given, in the order of the inventory. It leaves out
// switches that this controller does not own.
func (t *Tally) Read(only ...string) []Switch {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		return nil
	}
	var all []Switch
	for _, name := range t.names.order {
		d := t.switches[name]
		if d == nil || len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		s := Switch{Actions: t.actionsLocked(name, d)}
		s.Reading, s.Status = t.readLocked(name, d)
		s.Totals = slices.Clone(t.totalsLocked(d))
		all = append(all, s)
	}
	return all
}

// Raw returns the values that a switch last reported, and the status of their collection. It returns false for a switch from which this
// controller does not collect.
func (t *Tally) Raw(name string) (*telemetry.Reading, telemetry.Status, bool) {
	return t.collector.Raw(name)
}

// Status returns the status of a switch's collection. It returns false for a switch from which this controller does not collect.
func (t *Tally) Status(name string) (telemetry.Status, bool) { return t.collector.Status(name) }

// Quiet returns the age above which values must not be served as current.
func (t *Tally) Quiet() time.Duration { return t.collector.Quiet() }

// readLocked adds the collector's newest counts to the totals, and returns the values and the status of a switch of the inventory.
func (t *Tally) readLocked(name string, d *device) (*telemetry.Reading, telemetry.Status) {
	r, st := &telemetry.Reading{}, t.statusLocked(name)
	t.foldLocked(name, d, func(v telemetry.View) { r = v.Reading() })
	return r, st
}

// statusLocked returns the status of an owned switch of the inventory.
func (t *Tally) statusLocked(name string) telemetry.Status {
	if st, there := t.collector.Status(name); there {
		return st
	}
	return t.names.scheduled(name) // the collector will take the target over in a moment
}

// Watch calls changed under the same conditions as telemetry.Collector.Watch.
func (t *Tally) Watch(name string, changed func()) (stop func(), ok bool) {
	return t.collector.Watch(name, changed)
}

// Rules returns the names of the rules by their ids on the switches.
func (t *Tally) Rules() map[uint32]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		return nil
	}
	return maps.Clone(t.names.rules)
}

// Lines returns the counters of a switch's lines. It returns nil if the counters are not current. An empty result means that no line has a
// count yet.
func (t *Tally) Lines(name string) []telemetry.LineCount {
	r, st, there := t.collector.Read(name)
	if !there || st.State != telemetry.Synced {
		return nil
	}
	if r.Lines == nil {
		return []telemetry.LineCount{}
	}
	return r.Lines
}
