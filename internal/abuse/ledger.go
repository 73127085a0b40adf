package abuse

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/axiomhq/hyperloglog"
	"go.uber.org/zap"

	"op25b/internal/intent"
	"op25b/internal/pipeline"
)

// The defaults of a Config.
const (
	// DefaultDays is the number of days for which the activity of a watched line is kept. In two weeks, the abuse desk can follow a line
	// after its class has changed. Connection logs are accepted for six months, which is far longer.
	DefaultDays = 14
	// DefaultKeyDays is the number of days for which a key is used. It is longer than DefaultDays, so that most records expire before their
	// key does.
	DefaultKeyDays = 30
	// DefaultEvery is the interval at which counters are read, classes are decided and the snapshot is written. The collector samples the
	// counters of lines every minute.
	DefaultEvery = time.Minute
	// DefaultQueue is the size of the queue of mail flows, in bytes. It has room for 50,000 flows. A switch reports at most 2,560 a second.
	DefaultQueue = 4 << 20
	// MaxDays and MaxKeyDays are the largest values of Config.Days and Config.KeyDays.
	MaxDays, MaxKeyDays = 60, 366
)

// These constants limit the data that a ledger keeps.
const (
	// maxLines is the largest number of active lines. A line takes 300 bytes or more, which is 40 MB in total. Only lines that a rule
	// monitored or stopped are active.
	maxLines = 1 << 17
	// maxSketches is the largest number of days with a sketch of servers. A sketch takes at most 2 kB, which is 32 MB in total.
	maxSketches = 1 << 14
	// maxKinds is the largest number of kinds of traffic of a line. A policy has a few classes of servers and at most four legs.
	maxKinds = 16
)

// A LineCount has the counters of one line: the packets that a rule monitored or stopped, and the answers without a SYN.
type LineCount struct {
	Line                            pipeline.LineIndex
	Monitored, Stopped, Unsolicited uint64
}

// A Config configures a Ledger.
type Config struct {
	// Dir is the directory of the key and the snapshot. If Dir is empty, they are kept in memory only.
	Dir string
	// Book provides the names of lines.
	Book *intent.Book
	// Days and KeyDays replace DefaultDays and DefaultKeyDays if they are not 0.
	Days, KeyDays int
	// Every and QueueBytes replace DefaultEvery and DefaultQueue if they are not 0.
	Every      time.Duration
	QueueBytes int
	// Counters returns the counters of a switch's lines, which never decrease, or nil if they are not current. The field may be nil.
	Counters func(switchName string) []LineCount
	// Webhook receives a message about each line that becomes bot-like. It may be nil.
	Webhook *Webhook
	// Now returns the wall-clock time; nil means time.Now.
	Now     func() time.Time
	Metrics *Metrics
	// Logger may be nil. Log messages contain no pseudonyms.
	Logger *zap.Logger
}

func (c Config) withDefaults() (Config, error) {
	for _, f := range []struct {
		name      string
		value     *int
		def, most int
	}{
		{"days", &c.Days, DefaultDays, MaxDays},
		{"days of a key", &c.KeyDays, DefaultKeyDays, MaxKeyDays},
		{"bytes of the queue", &c.QueueBytes, DefaultQueue, 1 << 30},
	} {
		if *f.value < 0 || *f.value > f.most {
			return c, fmt.Errorf("%w: %d %s: must be from 1 to %d, or 0 for %d", ErrConfig, *f.value, f.name, f.most, f.def)
		}
		*f.value = cmp.Or(*f.value, f.def)
	}
	switch {
	case c.Book == nil:
		return c, fmt.Errorf("%w: no book of intent", ErrConfig)
	case c.Days < ClassDays:
		return c, fmt.Errorf("%w: %d days: must be at least %d, which decide a class", ErrConfig, c.Days, ClassDays)
	case c.Every < 0:
		return c, fmt.Errorf("%w: every %v: must be > 0, or 0 for %v", ErrConfig, c.Every, DefaultEvery)
	}
	c.Every = cmp.Or(c.Every, DefaultEvery)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	return c, nil
}

// A Ledger keeps the activity of lines. Its methods may be called from several goroutines.
type Ledger struct {
	cfg   Config
	log   *zap.Logger
	queue *queue

	// mu guards everything below.
	mu       sync.Mutex
	key      key
	lines    map[ID]*line
	began    map[string]time.Time // the time at which this controller began to watch each switch that it owns
	counted  map[string]map[pipeline.LineIndex]LineCount
	index    *index               // nil until the first revision
	loaded   map[string]time.Time // the field began of the last snapshot, by the pseudonym of the switch
	sketches int
	leftOut  bool // a line was not recorded because there were too many
	changed  bool // the snapshot is out of date
}

// New opens the key and the snapshot in the directory. It replaces a key or a snapshot that cannot be used, and logs the loss, so that the
// controller can start. New returns ErrConfig for an invalid Config, and ErrKey or ErrSnapshot if the directory is not writable.
func New(cfg Config) (*Ledger, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		cfg: cfg, log: cfg.Logger, queue: newQueue(cfg.QueueBytes), lines: make(map[ID]*line), began: make(map[string]time.Time),
		counted: make(map[string]map[pipeline.LineIndex]LineCount), key: newKey(cfg.Now()),
	}
	if cfg.Dir == "" {
		return l, nil
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	found, err := readKey(l.keyPath())
	switch {
	case err == nil:
		l.key = found
		if err := l.load(); err != nil {
			l.log.Warn("the recorded activity of lines cannot be read, and begins anew", zap.Error(err))
		}
		return l, nil
	case !errors.Is(err, errNoKey):
		l.log.Warn("the key of the pseudonyms cannot be used: a new key makes the recorded activity meaningless", zap.Error(err))
	}
	if err := l.erase(); err != nil {
		return nil, err
	}
	return l, writeKey(l.keyPath(), l.key)
}

func (l *Ledger) keyPath() string      { return filepath.Join(l.cfg.Dir, "key") }
func (l *Ledger) snapshotPath() string { return filepath.Join(l.cfg.Dir, "activity") }

// OnFlows queues the mail flows of a switch. It never blocks. If the queue is full, it drops and counts the flows.
func (l *Ledger) OnFlows(switchName string, flows []pipeline.MailFlow) {
	if !l.queue.offer(l.cfg.Now(), switchName, flows) {
		l.cfg.Metrics.dropped(dropQueue, len(flows))
	}
}

// Follow records whether this controller owns a switch.
func (l *Ledger) Follow(switchName string, owned bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, followed := l.began[switchName]
	switch {
	case owned && !followed:
		at, before := l.loaded[l.switchID(switchName)] // this controller already owned the switch before its own restart
		if !before {
			at = l.cfg.Now()
		}
		l.began[switchName] = at
		l.changed = true
	case !owned && followed:
		delete(l.began, switchName)
		delete(l.loaded, l.switchID(switchName))
		delete(l.counted, switchName)
		l.changed = true
	}
}

// drainLocked records the queued flows.
func (l *Ledger) drainLocked() {
	if l.index == nil {
		return // the names are not known before the first revision
	}
	for _, b := range l.queue.take() {
		for _, f := range b.flows {
			l.recordLocked(b.at, b.switchName, f)
		}
	}
}

// lineLocked returns the record of a line, or nil if there are too many lines.
func (l *Ledger) lineLocked(id ID) *line {
	if r, there := l.lines[id]; there {
		return r
	}
	if len(l.lines) >= maxLines {
		l.leftOut = true
		l.cfg.Metrics.dropped(dropLines, 1)
		return nil
	}
	r := &line{uses: make(map[kind]use)}
	l.lines[id] = r
	return r
}

func (l *Ledger) recordLocked(at time.Time, switchName string, f pipeline.MailFlow) {
	known, there := l.index.of(&l.key, switchName)[f.Line]
	if !there {
		l.cfg.Metrics.dropped(dropUnnamed, 1)
		return
	}
	docs := l.index.on(switchName)
	class := docs.remotes.class(f.Remote)
	// An answer opens no connection. A mail program that fetches mail from own servers without encryption is no sign of an infection.
	attempt := known.watched && !f.SYNACK && !docs.own[class]
	if f.Service == 0 && !attempt {
		return
	}
	r := l.lineLocked(known.id)
	if r == nil {
		return
	}
	l.changed = true
	number, hour := dayOf(at, l.index.zone)
	server := l.key.server(known.id, f.Remote)
	if f.Service != 0 {
		k := kind{f.Service, class, f.Leg}
		u, seen := r.uses[k]
		if !seen && len(r.uses) >= maxKinds {
			l.cfg.Metrics.dropped(dropKinds, 1)
		} else {
			u.add(number, server)
			r.uses[k] = u
		}
	}
	if !attempt {
		return
	}
	d := r.today(number)
	d.attempts++
	d.hours |= 1 << hour
	if d.servers == nil {
		if l.sketches >= maxSketches {
			l.cfg.Metrics.dropped(dropSketches, 1)
			return
		}
		d.servers, _ = hyperloglog.NewSketch(precision, true) // NewSketch fails only for an invalid precision
		l.sketches++
	}
	d.servers.InsertHash(server)
}

// countLocked adds the increases of the counters of watched lines. The first reading of a switch is only a base for the next reading.
func (l *Ledger) countLocked() {
	if l.cfg.Counters == nil || l.index == nil {
		return
	}
	number, _ := dayOf(l.cfg.Now(), l.index.zone)
	for switchName := range l.began {
		counts := l.cfg.Counters(switchName)
		was, again := l.counted[switchName]
		if counts == nil {
			continue
		}
		is := make(map[pipeline.LineIndex]LineCount, len(counts))
		known := l.index.of(&l.key, switchName)
		for _, c := range counts {
			is[c.Line] = c
			k := known[c.Line]
			if last := was[c.Line]; again && k.watched && c != last {
				l.addLocked(k.id, number, c, last)
			}
		}
		l.counted[switchName] = is
	}
}

func (l *Ledger) addLocked(id ID, number int32, c, last LineCount) {
	if c.Monitored < last.Monitored || c.Stopped < last.Stopped || c.Unsolicited < last.Unsolicited {
		return // the collector's counts have restarted from 0
	}
	r := l.lineLocked(id)
	if r == nil {
		return
	}
	d := r.today(number)
	d.monitored += c.Monitored - last.Monitored
	d.stopped += c.Stopped - last.Stopped
	d.unsolicited += c.Unsolicited - last.Unsolicited
	l.changed = true
}
