// Package register keeps the sessions of lines in the store, and tells which line has which address.
//
// Every controller may receive events of every line. An event is in the store before Report returns, so that it survives the process. The
// sessions in the store are encrypted, and are deleted when they end.
package register

import (
	"context"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"op25b/internal/intent"
	"op25b/internal/store"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/follow"
)

// Limits and intervals.
const (
	// MaxSessions is the largest number of lines with a record. A record takes less than 1 KiB in the store, and about 1 KiB in the memory of
	// each controller.
	MaxSessions = 250_000
	// maxTries is how often an event is applied if other events of the same line come in between.
	maxTries = 8
	// sweepEvery is how often sessions that have ended by silence are deleted.
	sweepEvery = 30 * time.Second
	shards     = 256
)

// The kinds of the records in the store. Backups contain neither.
const (
	sessionKind = "session"
	restartKind = "session-restart"
)

// A Config configures a Register.
type Config struct {
	Store *store.Store
	Book  *intent.Book
	Key   Key
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Registerer registers the metrics; nil means no metrics.
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// A Register knows the sessions in the store. Its methods are safe for concurrent use.
type Register struct {
	cfg       Config
	log       *zap.Logger
	seal      sealer
	sessions  *store.Records[sealed]
	writer    *store.RecordWriter[sealed]
	missed    *store.Unreported[sealed] // only the goroutine of the sweep accesses it
	restarts  *store.Records[restarted]
	metrics   *Metrics
	followers follow.Followers
	ready     chan struct{} // closed when the documents and the sessions have been read
	seed      maphash.Seed
	since     time.Time          // when this controller began to listen
	writing   [shards]sync.Mutex // held while the record of a line of the shard is changed
	documents *intent.Intent     // the intent whose lines were last taken; nil before the first. Only the goroutine of Run accesses it

	mu         sync.RWMutex // guards the fields below
	lines      *subscriber.Lines
	table      *subscriber.Table
	versions   map[string]int64 // the versions of the records in table, and of unreadable ones
	ahead      map[string]int64 // the versions of records that this register wrote and that the watch of the store has not reported yet
	unreadable map[string]struct{}
}

// restarted is the stored form of the last restart of an access server.
type restarted struct {
	Time time.Time `json:"time"`
}

// New returns a Register. It knows no sessions until Run is called.
func New(cfg Config) (*Register, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Register{
		cfg: cfg, log: cfg.Logger, sessions: store.JSON[sealed](cfg.Store, sessionKind), restarts: store.JSON[restarted](cfg.Store, restartKind),
		ready: make(chan struct{}), seed: maphash.MakeSeed(), since: cfg.Now().UTC().Round(0), table: subscriber.NewTable(),
		versions: make(map[string]int64), unreadable: make(map[string]struct{}), ahead: make(map[string]int64),
	}
	if r.log == nil {
		r.log = zap.NewNop()
	}
	r.writer, r.missed = r.sessions.Writer(), store.NewUnreported(r.sessions)
	var err error
	if r.seal, err = newSealer(cfg.Key); err != nil {
		return nil, err
	}
	if cfg.Registerer != nil {
		r.metrics = NewMetrics(cfg.Registerer)
		r.metrics.watch(cfg.Registerer, func() float64 { return float64(r.alive()) }, func() float64 {
			r.mu.RLock()
			defer r.mu.RUnlock()
			return float64(len(r.unreadable))
		})
	}
	return r, nil
}

// now returns the time without its monotonic part, which the store does not keep.
func (r *Register) now() time.Time { return r.cfg.Now().UTC().Round(0) }

// Run follows the store and the documents until ctx ends or the store is closed, and deletes sessions that have ended by silence.
func (r *Register) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sessions, restarts, intents := r.sessions.Watch(ctx), r.restarts.Watch(ctx), r.cfg.Book.Watch(ctx, 0)
	defer func() {
		cancel()
		for range intents { // wait until the watch has ended
		}
	}()
	var swept sync.WaitGroup
	defer swept.Wait()
	sweep := time.NewTicker(sweepEvery - sweepEvery/4 + rand.N(sweepEvery/2)) // several controllers sweep at different times
	defer sweep.Stop()
	var have [3]bool
	begun := false
	for {
		select {
		case <-ctx.Done():
			return
		case some, ok := <-sessions:
			if !ok {
				return
			}
			r.takeSessions(some)
			have[0] = true
		case some, ok := <-restarts:
			if !ok {
				return
			}
			r.takeRestarts(some)
			have[1] = true
		case u, ok := <-intents:
			if !ok {
				return
			}
			if u.Err == nil {
				r.setDocuments(u.Intent)
				have[2] = true
			}
		case <-sweep.C:
			swept.Wait() // the sweep before has ended long ago
			swept.Go(func() { r.takeMissed(ctx); r.sweep(ctx) })
		}
		if !begun && have == [3]bool{true, true, true} {
			begun = true
			close(r.ready)
		}
	}
}

// Ready returns a channel that is closed when the documents and the sessions have been read.
func (r *Register) Ready() <-chan struct{} { return r.ready }

func (r *Register) isReady() bool {
	select {
	case <-r.ready:
		return true
	default:
		return false
	}
}

// setDocuments takes the lines of an intent. An intent that only changes phases has the same lines, and the followers learn nothing of it: thousands
// of lines that are compared in vain would delay the change of phase. Only the goroutine of Run calls it.
func (r *Register) setDocuments(in *intent.Intent) {
	if r.documents == nil || !r.documents.SameDocuments(in) {
		r.setLines(subscriber.NewLines(in.Merged()))
	}
	r.documents = in
}

func (r *Register) setLines(l *subscriber.Lines) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = l
	r.followers.ChangedAll()
}

func (r *Register) takeSessions(some []store.Event[sealed]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takeSessionsLocked(some)
}

// takeMissed takes the deletions of records that this register wrote, and that the watch of the store has missed.
func (r *Register) takeMissed(ctx context.Context) {
	if err := r.missed.Take(ctx, &r.mu, r.ahead, r.takeSessionsLocked); err != nil {
		r.log.Debug("sessions that the watch has not reported are not read yet", zap.Error(err))
	}
}

func (r *Register) takeSessionsLocked(some []store.Event[sealed]) {
	for _, e := range some {
		ahead := r.ahead[e.Name]
		if !e.Deleted && e.Version < ahead {
			continue // the record before the one that this register wrote
		}
		delete(r.ahead, e.Name)
		if !e.Deleted && e.Version == ahead {
			continue // the record that this register wrote, which the followers know
		}
		if e.Deleted {
			delete(r.unreadable, e.Name)
			r.changedLocked(r.table.Sharing(e.Name))
			delete(r.versions, e.Name)
			r.table.Delete(e.Name)
			continue
		}
		record, err := r.decode(e)
		if err != nil {
			r.changedLocked(r.table.Sharing(e.Name))
			r.versions[e.Name] = e.Version
			r.table.Delete(e.Name)
			r.unreadable[e.Name] = struct{}{}
			if len(r.unreadable) == 1 {
				r.log.Warn("a session in the store cannot be decrypted, and is ignored; give all controllers the same --session-key")
			}
			continue
		}
		r.setLocked(e.Name, e.Version, record)
	}
}

// setLocked replaces the record of a line, and reports the lines that had or have its addresses.
func (r *Register) setLocked(line string, version int64, record subscriber.Record) {
	delete(r.unreadable, line)
	r.changedLocked(r.table.Sharing(line))
	r.versions[line] = version
	r.table.Set(line, record)
	r.changedLocked(r.table.Sharing(line))
}

func (r *Register) decode(e store.Event[sealed]) (subscriber.Record, error) {
	if e.Err != nil {
		return subscriber.Record{}, e.Err
	}
	record, err := r.seal.open(e.Name, e.Value)
	return r.lift(record), err
}

// lift returns a record whose session is silent only since this controller began to listen. If no controller listened for hours, the sessions
// were not silent.
func (r *Register) lift(record subscriber.Record) subscriber.Record {
	if record.Session != nil {
		lifted := *record.Session
		lifted.Listening = r.since
		record.Session = &lifted
	}
	return record
}

func (r *Register) takeRestarts(some []store.Event[restarted]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range some {
		if e.Err == nil {
			r.table.SetRestarted(e.Name, e.Value.Time) // the zero Time if it was deleted
			r.restartedLocked(e.Name)
		}
	}
}
