// Package ledger keeps the leases of lines, and of addresses outside all lines, in the store. It tells who has which lease.
//
// Every controller may grant a lease for every line and address. A lease is in the store before a grant is acknowledged, so that it survives the
// process. A lease is deleted when it has ended, when the session of its line has ended, or when a line has its address. Addresses are encrypted.
package ledger

import (
	"context"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"op25b/internal/intent"
	"op25b/internal/lease"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/subscriber/follow"
	"op25b/internal/subscriber/register"
)

// Limits and intervals.
const (
	// maxTries is how often a grant is applied if other grants of the same line come in between.
	maxTries = 8
	// sweepEvery is how often leases that have ended are deleted.
	sweepEvery = 10 * time.Second
	shards     = 256
)

// leaseKind is the kind of the records in the store. Their names are those of lines, and sealer.name of addresses. Backups do not contain them.
const leaseKind = "lease"

// Sessions knows the sessions of lines. *register.Register implements it.
type Sessions interface {
	// Ready returns a channel that is closed when the sessions have been read.
	Ready() <-chan struct{}
	// Holder returns the line whose session has an address.
	Holder(netip.Addr) (register.Found, bool)
	// Addresses returns the prefixes that a line has by its session: see register.Register.
	Addresses(line string) (prefixes []netip.Prefix, has, known bool)
	// Follow collects the lines whose sessions change: see follow.Followers.
	Follow(switchName string, news chan<- struct{}) (take func() (lines []string, all bool), stop func())
	// Began returns when the session that a line has now began. has is false if the line has no session. known is false if this is not known.
	Began(line string) (began time.Time, has, known bool)
}

var _ Sessions = (*register.Register)(nil)

// A Config configures a Ledger.
type Config struct {
	Store *store.Store
	Book  *intent.Book
	// Sessions are the sessions of lines with dynamic addresses; nil if the controller reads no sessions. No such line has a lease then.
	Sessions Sessions
	// Key encrypts addresses in the store; nil means that no address has a lease. Addresses also require Sessions, which say that no line has one.
	Key *register.Key
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Registerer registers the metrics; nil means no metrics.
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// A Ledger knows the leases in the store. Its methods are safe for concurrent use.
type Ledger struct {
	cfg       Config
	log       *zap.Logger
	records   *store.Records[stored]
	clocks    *store.Records[noClock]
	tell      chan struct{} // has a value if untold has something new
	sweeps    chan struct{} // has a value if a sweep is due
	writer    *store.RecordWriter[stored]
	missed    *store.Unreported[stored] // only the goroutine of sweeps accesses it
	metrics   *metrics
	followers follow.Followers
	ready     chan struct{} // closed when the documents and the leases have been read
	seal      *sealer       // nil if addresses cannot be stored
	seed      maphash.Seed
	writing   [shards]sync.Mutex // held while the lease of a line of the shard is changed
	documents *intent.Intent     // the intent whose rules were last taken; nil before the first. Only the goroutine of Run accesses it

	mu       sync.RWMutex // guards the fields below
	rules    *rules
	table    *lease.Table
	names    map[string]netip.Addr  // the addresses with a lease, by the names of their records
	sealed   map[string]sealedLease // the leases of addresses that cannot be decrypted, by the names of their records
	versions map[string]int64       // the versions of the records, by their names
	blind    map[string]string      // the switches whose clock cannot be read, and why
	untold   map[string]string      // likewise, as noted by Clock and not stored yet; an empty reason means that the clock can be read
	ahead    map[string]int64       // the versions of records that this ledger wrote and that the watch of the store has not reported yet
}

// stored is the stored form of a lease.
type stored struct {
	Lease   string    `json:"lease"`
	Session time.Time `json:"session,omitzero"`
	Granted time.Time `json:"granted"`
	End     time.Time `json:"end"`
	// Address is the encrypted address: see sealer. It is empty for the lease of a line.
	Address []byte `json:"address,omitempty"`
}

// A sealedLease is the lease of an address that cannot be decrypted.
type sealedLease struct {
	version int64
	end     time.Time
}

// of returns the stored form of a lease of a line.
func of(l lease.Lease) stored {
	return stored{Lease: l.Name, Session: l.Session, Granted: l.Granted, End: l.End}
}

// lease returns the lease of a holder.
func (s stored) lease(h lease.Holder) lease.Lease {
	return lease.Lease{Holder: h, Name: s.Lease, Session: s.Session, Granted: s.Granted, End: s.End}
}

// name returns the name of the record of a holder. It requires a sealer for an address.
func (l *Ledger) name(h lease.Holder) string {
	if h.Line == "" {
		return l.seal.name(h.Address)
	}
	return h.Line
}

// stored returns the stored form of a lease, for the record with the given name.
func (l *Ledger) stored(name string, held lease.Lease) stored {
	s := of(held)
	if held.Holder.Line == "" {
		s.Address = l.seal.seal(name, held.Holder.Address)
	}
	return s
}

// New returns a Ledger. It knows no leases until Run is called.
func New(cfg Config) *Ledger {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Ledger{
		cfg: cfg, log: cfg.Logger, records: store.JSON[stored](cfg.Store, leaseKind), clocks: store.JSON[noClock](cfg.Store, noClockKind),
		ready: make(chan struct{}), seed: maphash.MakeSeed(), table: lease.NewTable(policy.MaxAddressLeases), versions: make(map[string]int64), ahead: make(map[string]int64),
		names: make(map[string]netip.Addr), sealed: make(map[string]sealedLease), sweeps: make(chan struct{}, 1),
		tell: make(chan struct{}, 1), blind: make(map[string]string), untold: make(map[string]string),
	}
	if l.log == nil {
		l.log = zap.NewNop()
	}
	if cfg.Key != nil && cfg.Sessions != nil {
		l.seal = newSealer(*cfg.Key)
	}
	l.writer, l.missed = l.records.Writer(), store.NewUnreported(l.records)
	l.metrics = newMetrics(cfg.Registerer, func() float64 { return float64(l.count()) })
	return l
}

// now returns the time without its monotonic part, which the store does not keep.
func (l *Ledger) now() time.Time { return l.cfg.Now().UTC().Round(0) }

// Ready returns a channel that is closed when the documents and the leases have been read.
func (l *Ledger) Ready() <-chan struct{} { return l.ready }

func (l *Ledger) isReady() bool {
	select {
	case <-l.ready:
		return true
	default:
		return false
	}
}

// Follow collects the holders of leases of a switch that change, as lease.Holder.Key: see follow.Followers. The end of a lease is a change when the
// lease is deleted, which is some seconds after its end.
func (l *Ledger) Follow(switchName string, news chan<- struct{}) (take func() (lines []string, all bool), stop func()) {
	return l.followers.Follow(switchName, news)
}

// Run follows the store and the documents until ctx ends or the store is closed, and deletes leases that have ended.
func (l *Ledger) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	records, clocks, intents := l.records.Watch(ctx), l.clocks.Watch(ctx), l.cfg.Book.Watch(ctx, 0)
	defer func() {
		cancel()
		for range intents { // wait until the watch has ended
		}
	}()
	var work, told sync.WaitGroup
	defer func() { cancel(); work.Wait(); told.Wait() }()
	work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-l.sweeps:
				l.takeMissed(ctx)
				l.sweep(ctx)
				l.tellClocks(ctx)
			}
		}
	})
	news := make(chan struct{}, 1)
	take := func() (lines []string, all bool) { return nil, false }
	if l.cfg.Sessions != nil {
		var stop func()
		take, stop = l.cfg.Sessions.Follow(follow.Every, news)
		defer stop()
	}
	sweep := time.NewTicker(sweepEvery - sweepEvery/4 + rand.N(sweepEvery/2)) // several controllers sweep at different times
	defer sweep.Stop()
	var have [3]bool
	begun := false
	for {
		select {
		case <-ctx.Done():
			return
		case some, ok := <-records:
			if !ok {
				return
			}
			l.take(some)
			have[0] = true
		case some, ok := <-clocks:
			if !ok {
				return
			}
			l.takeClocks(some)
			have[2] = true
		case u, ok := <-intents:
			if !ok {
				return
			}
			if u.Err == nil {
				l.setDocuments(u.Intent)
				have[1] = true
			}
		case <-sweep.C:
			l.sweepSoon()
		case <-news:
			l.sessionsChanged(take())
		case <-l.tell:
			told.Wait()
			told.Go(func() { l.tellClocks(ctx) })
		}
		if !begun && have == [3]bool{true, true, true} {
			begun = true
			close(l.ready)
		}
	}
}

// setDocuments takes the rules of an intent. An intent that only changes phases has the same rules, and the followers learn nothing of it: see
// register.Register. Only the goroutine of Run calls it.
func (l *Ledger) setDocuments(in *intent.Intent) {
	if l.documents == nil || !l.documents.SameDocuments(in) {
		l.mu.RLock()
		was := l.rules
		l.mu.RUnlock()
		l.setRules(newRules(in.Merged(), was))
	}
	l.documents = in
}

func (l *Ledger) setRules(r *rules) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rules = r
	l.followers.ChangedAll()
}

// Lease returns the lease that a line has now. has is false if the line has none. known is false if this controller cannot tell, because it has not
// read the leases or the sessions yet.
func (l *Ledger) Lease(line string) (held lease.Lease, has, known bool) {
	return l.held(lease.Holder{Line: line})
}

// AddressLease returns the lease that an address outside all lines has now. The results are as for Lease.
func (l *Ledger) AddressLease(a netip.Addr) (held lease.Lease, has, known bool) {
	return l.held(lease.Holder{Address: a})
}

// Addresses returns the addresses that have a lease, also those whose lease has ended and is not deleted yet.
func (l *Ledger) Addresses() []netip.Addr {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Collect(maps.Values(l.names))
}

func (l *Ledger) held(h lease.Holder) (held lease.Lease, has, known bool) {
	if !l.isReady() {
		return lease.Lease{}, false, false
	}
	now := l.now()
	l.mu.RLock()
	held, has = l.table.Lease(h, now)
	r := l.rules
	l.mu.RUnlock()
	if !has {
		return lease.Lease{}, false, true
	}
	ended, known := l.ended(r, held)
	if ended || !known {
		return lease.Lease{}, false, known
	}
	return held, true, true
}

// ended reports whether a lease has ended with the session of its line, because a line has its address, or because the documents do not have it any
// more.
func (l *Ledger) ended(r *rules, held lease.Lease) (ended, known bool) {
	if a := held.Holder.Address; held.Holder.Line == "" {
		terms := r.policy.Lease(held.Name)
		if terms == nil || len(r.switches) == 0 || r.addresses.Check(a, terms) != nil || r.exemptAddress(a, l.now()) {
			return true, true
		}
		if !l.sessionsReady() {
			return false, false
		}
		_, line := l.at(r, a)
		return line, true
	}
	at, ok := r.line(held.Holder.Line)
	if !ok || !at.has(r.policy.Lease(held.Name)) {
		return true, true
	}
	if !at.sessions {
		return !held.Session.IsZero(), true
	}
	if l.cfg.Sessions == nil {
		return false, false
	}
	began, _, known := l.cfg.Sessions.Began(held.Holder.Line) // the zero Time if the line has no session
	return known && !began.Equal(held.Session), known
}

// count returns the number of leases that hold.
func (l *Ledger) count() (n int) {
	now := l.now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	for held := range l.table.All() {
		if held.Holds(now) {
			n++
		}
	}
	return n
}
