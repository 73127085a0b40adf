package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// The defaults of a Config.
const (
	// DefaultInterval is the sample interval of counters. Six values a minute are the usual resolution of an interface graph.
	DefaultInterval = 10 * time.Second
	// DefaultLineInterval is the sample interval of line counters. A switch with 8,192 active lines sends 65,536 values at once.
	DefaultLineInterval = time.Minute
	// DefaultMinBackoff and DefaultMaxBackoff limit the pause before the next attempt. The pause doubles from 1 s to 60 s. A thousand
	// unreachable switches cause 17 attempts a second.
	DefaultMinBackoff = time.Second
	DefaultMaxBackoff = time.Minute
	// DefaultSilence is the shortest time without a message after which a session is probed. The collector sends no keepalive pings, because
	// servers built on gRPC's C core disconnect clients that send pings more often than every five minutes.
	DefaultSilence = 30 * time.Second
	// spread is the average pause between the first attempts to targets that were added together. It also spreads the samples of a fleet
	// over time.
	spread = 10 * time.Millisecond
)

// A Config configures a Collector. The zero value is usable.
type Config struct {
	// Interval and LineInterval are the sample intervals of counters and of line counters. A switch of op25b accepts intervals of at least a
	// second.
	Interval, LineInterval time.Duration
	// CallTimeout, MinBackoff, MaxBackoff and Silence replace the corresponding defaults if they are not 0.
	CallTimeout, MinBackoff, MaxBackoff, Silence time.Duration
	// DialOptions are added to the options of each connection.
	DialOptions []grpc.DialOption
	// Now returns the time at which values arrive; nil means time.Now. Timers do not use it.
	Now func() time.Time
	// OnUpdate, if not nil, is called after each message of a target and after each change of the target's state. changed is false if only
	// counter values are new. OnUpdate must neither block nor call the collector.
	OnUpdate func(name string, changed bool)
	// Logger may be nil.
	Logger *zap.Logger
}

func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"Interval", &c.Interval, DefaultInterval},
		{"LineInterval", &c.LineInterval, max(DefaultLineInterval, c.Interval)},
		{"CallTimeout", &c.CallTimeout, DefaultCallTimeout},
		{"MinBackoff", &c.MinBackoff, DefaultMinBackoff},
		{"MaxBackoff", &c.MaxBackoff, max(DefaultMaxBackoff, c.MinBackoff)},
		{"Silence", &c.Silence, DefaultSilence},
	} {
		if *d.value < 0 {
			return c, fmt.Errorf("%w: %s is %v: it must be > 0, or 0 for %v", ErrConfig, d.name, *d.value, d.def)
		}
		*d.value = cmp.Or(*d.value, d.def)
	}
	if c.MaxBackoff < c.MinBackoff {
		return c, fmt.Errorf("%w: backoff from %v to %v: must not fall", ErrConfig, c.MinBackoff, c.MaxBackoff)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	return c, nil
}

// staleAfter returns the time without a message after which values are stale. Two samples are then overdue.
func (c Config) staleAfter() time.Duration { return 5 * c.Interval / 2 }

// quiet returns the longest time without a message in a session, which is three sample intervals, but at least Silence.
func (c Config) quiet() time.Duration { return max(3*c.Interval, c.Silence) }

// syncWithin returns the longest time from the subscription to the sync response. A session without any message ends earlier.
func (c Config) syncWithin() time.Duration { return 4 * c.quiet() }

// A Collector keeps a subscription to each of its targets. Its methods may be called from several goroutines.
type Collector struct {
	cfg    Config
	tables *tables
	kick   chan struct{} // has room for one token, which means that wanted has changed

	// mu guards everything below.
	mu      sync.Mutex
	wanted  []Target
	targets map[string]*target
}

// New returns a collector without targets. It returns an error that wraps ErrConfig and names the field and its value if cfg is invalid.
func New(cfg Config) (*Collector, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Collector{
		cfg: cfg, tables: newTables(), kick: make(chan struct{}, 1), targets: make(map[string]*target),
	}, nil
}

// Set replaces the targets. It does not interrupt the sessions of unchanged targets. A target whose name stays the same keeps its values,
// even if its address changes.
func (c *Collector) Set(targets []Target) {
	c.mu.Lock()
	c.wanted = slices.Clone(targets)
	c.mu.Unlock()
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// Run collects until ctx ends, and returns when all sessions have ended.
func (c *Collector) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel()
	running := make(map[string]func()) // functions that end a switch's session and wait for the end, by switch
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.kick:
		}
		fresh, gone := c.adopt()
		for _, name := range gone {
			running[name]()
			delete(running, name)
		}
		for _, t := range fresh {
			if end, there := running[t.Switch]; there {
				end()
			}
			ctx, cancel := context.WithCancel(ctx)
			ended := make(chan struct{})
			running[t.Switch] = func() { cancel(); <-ended }
			var delay time.Duration
			if len(fresh) > 1 {
				delay = rand.N(min(time.Duration(len(fresh))*spread, c.cfg.Interval))
			}
			sessions.Go(func() {
				defer close(ended)
				defer cancel()
				t.run(ctx, delay)
			})
		}
	}
}

// adopt replaces the current targets by the wanted ones. It returns the targets that need a new session, and the names of the removed ones.
func (c *Collector) adopt() (fresh []*target, gone []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := make(map[string]bool, len(c.wanted))
	for _, w := range c.wanted {
		wanted[w.Switch] = true
		was := c.targets[w.Switch]
		if was != nil && was.Addr == w.Addr && was.Key == w.Key {
			continue
		}
		t := &target{Target: w, c: c, log: c.cfg.Logger.With(zap.String("switch", w.Switch), zap.String("gnmi", w.Addr)), state: Disconnected, since: c.cfg.Now()}
		if was != nil {
			was.mu.Lock()
			t.series, t.watchers = was.series, was.watchers
			was.series = newSeries(c.tables.entries) // the old session may still be ending
			was.decoder = newDecoder(was.series, c.tables)
			was.watchers = new(watchers)
			was.mu.Unlock()
		} else {
			t.series, t.watchers = newSeries(c.tables.entries), new(watchers)
		}
		t.decoder = newDecoder(t.series, c.tables)
		c.targets[w.Switch] = t
		fresh = append(fresh, t)
	}
	for name, t := range c.targets {
		if !wanted[name] {
			delete(c.targets, name)
			t.watchers.call()
			gone = append(gone, name)
		}
	}
	return fresh, gone
}

// all returns the targets, ordered by name.
func (c *Collector) all() []*target {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*target, 0, len(c.targets))
	for _, t := range c.targets {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *target) int { return cmp.Compare(a.Switch, b.Switch) })
	return all
}

func (c *Collector) target(name string) *target {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.targets[name]
}

// Statuses returns the status of every target, ordered by name.
func (c *Collector) Statuses() []Status {
	all := c.all()
	out := make([]Status, len(all))
	for i, t := range all {
		out[i] = t.status()
	}
	return out
}

// Read returns the status and a copy of the values of a target. It returns false for a switch that is not a target.
func (c *Collector) Read(name string) (*Reading, Status, bool) {
	t := c.target(name)
	if t == nil {
		return nil, Status{}, false
	}
	st := t.status()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.series.reading(), st, true
}

// Raw is like Read, but returns the values that the target last reported, instead of totals that never decrease. It omits the lines.
func (c *Collector) Raw(name string) (*Reading, Status, bool) {
	t := c.target(name)
	if t == nil {
		return nil, Status{}, false
	}
	st := t.status()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.series.raw(), st, true
}

// Status returns the status of a target. It returns false for a switch that is not a target.
func (c *Collector) Status(name string) (Status, bool) {
	t := c.target(name)
	if t == nil {
		return Status{}, false
	}
	return t.status(), true
}

// Quiet returns the time without a message after which a session is probed. Values that are older must not be served as current.
func (c *Collector) Quiet() time.Duration { return c.cfg.quiet() }

// Watch calls changed once at the start, and again whenever the target's state, the state of an interface or the set of counters changes.
// The calls end when stop is called. changed must not block. Watch returns false for a switch that is not a target. When the target is
// removed, changed is called for the last time.
func (c *Collector) Watch(name string, changed func()) (stop func(), ok bool) {
	t := c.target(name)
	if t == nil {
		return nil, false
	}
	t.mu.Lock()
	w := t.watchers
	t.mu.Unlock()
	return w.add(changed), true
}
