package clock

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// DefaultBound is the largest difference between two clocks that is taken for the same time. Clocks with NTP differ by milliseconds,
	// and the comparison is off by the time that etcd takes to deliver a record, which it gives itself 5 s for.
	DefaultBound = 5 * time.Second
	// MinBound and MaxBound bound what may be configured: below 1 s the comparison itself is not exact enough, and the days of a policy
	// begin at midnight, so that an hour is too much for any.
	MinBound = time.Second
	MaxBound = time.Hour
	// absence is how long a controller alone may have been away, across a boot of its machine, before an operator must confirm its clock.
	// The commonest wrong clock after a boot is one in local time, hours off.
	absence = time.Hour
)

// ErrBound is a bound that is out of range.
var ErrBound = errors.New("invalid bound of clock skew")

// What readings without an Elapsed of their own count from.
var (
	processStart = time.Now()
	processBoot  = "process " + strconv.FormatUint(rand.Uint64(), 36)
)

// A Config is a controller's clock.
type Config struct {
	Source Source
	// Bound is the largest difference that is taken for the same time; DefaultBound if 0.
	Bound time.Duration
	// Logger and Metrics may be nil.
	Logger  *zap.Logger
	Metrics *Metrics
}

// A Clock is a controller's. It is safe for concurrent use.
type Clock struct {
	src     Source
	bound   time.Duration
	log     *zap.Logger
	metrics *Metrics
	changed chan struct{} // holds one token: dates may have come, or are held or released

	mu       sync.Mutex // guards everything that follows
	anchor   reading    // the trusted time when the clock was last read and trusted; its Wall is that time, not this machine's
	hold     Hold
	jumps    uint64
	floor    time.Time // the latest date that the store has recorded as begun
	dates    time.Time // the latest that Dates has returned
	now      time.Time // the latest that Now has returned
	members  []Member  // the other controllers, as Keep has seen them last
	compared bool      // with the last time in the store, at a start
	claims   bool      // this clock is trusted against the store's time, which is to be replaced
}

// New returns a clock that is trusted as it is. Keep compares it with the others. The error is ErrBound.
func New(cfg Config) (*Clock, error) {
	if cfg.Bound == 0 {
		cfg.Bound = DefaultBound
	}
	if cfg.Bound < MinBound || cfg.Bound > MaxBound {
		return nil, fmt.Errorf("%w: %v: must be from %v to %v", ErrBound, cfg.Bound, MinBound, MaxBound)
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	c := &Clock{src: cfg.Source.withDefaults(), bound: cfg.Bound, log: cfg.Logger, metrics: cfg.Metrics, changed: make(chan struct{}, 1)}
	c.anchor = c.src.read()
	return c, nil
}

// Bound is the largest difference that is taken for the same time.
func (c *Clock) Bound() time.Duration { return c.bound }

// Wall is what the wall clock shows.
func (c *Clock) Wall() time.Time { return c.src.read().Wall }

// Now is the time for what is recorded. It never runs backwards, nor behind a date that the store has recorded as begun. While the wall
// clock is in doubt it is the trusted time, carried on by the clock that nobody sets.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, trusted := c.readLocked()
	c.now = latest(c.now, trusted, c.floor)
	return c.now
}

// Trusted is the time for what is shown, and for what expires such as tokens: it is Now without what the store has recorded, so that a date
// that was recorded too early locks nobody out.
func (c *Clock) Trusted() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, trusted := c.readLocked()
	return trusted
}

// Dates is the moment up to which dates are in force. It never runs backwards, and stands still while dates are held; dates that the store
// has recorded as begun are in force in any case.
func (c *Clock) Dates() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, trusted := c.readLocked()
	if c.hold.Reason == None {
		c.dates = latest(c.dates, trusted)
	}
	c.dates = latest(c.dates, c.floor)
	return c.dates
}

// Hold is whether dates are held, and why.
func (c *Clock) Hold() Hold {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readLocked()
	return c.hold
}

// Changed receives when dates may have come, or are held or released. It is for one receiver.
func (c *Clock) Changed() <-chan struct{} { return c.changed }

// Begun says that the store has recorded a date as begun.
func (c *Clock) Begun(date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if date.After(c.floor) {
		c.floor = date
		c.tellLocked()
	}
}

// readLocked reads the clocks, finds out whether the wall clock was set, and returns the trusted time.
func (c *Clock) readLocked() (is reading, trusted time.Time) {
	is = c.src.read()
	trusted = c.trustedLocked(is)
	ahead := is.Wall.Sub(trusted)
	switch fits := abs(ahead) <= c.bound; {
	case c.hold.Reason == None && !fits:
		c.jumps++
		c.metrics.jumped()
		c.dates = latest(c.dates, trusted) // what has come by then has come
		c.holdLocked(Jump, is, trusted)
	case c.hold.Reason == None:
		c.anchor = is
		return is, is.Wall
	case fits && c.hold.Reason != Starting:
		c.releaseLocked(is, "the clock agrees again")
		return is, is.Wall
	}
	return is, trusted
}

// trustedLocked is the trusted time at a reading of this machine.
func (c *Clock) trustedLocked(is reading) time.Time {
	gone, _ := is.since(c.anchor) // both are of this process
	return c.anchor.Wall.Add(gone)
}

// holdLocked holds dates, and carries on from the trusted time at a reading.
func (c *Clock) holdLocked(why Reason, is reading, trusted time.Time) {
	c.anchor = is
	c.anchor.Wall = trusted
	ahead := is.Wall.Sub(trusted)
	if c.hold.Reason == why {
		c.hold.Ahead = ahead
		return
	}
	c.hold = Hold{Reason: why, Ahead: ahead, Since: trusted}
	c.claims = false
	c.metrics.held(why)
	if why != Starting {
		c.log.Warn("dates are held: no phase begins and no exemption ends by this controller's clock", zap.Stringer("reason", why),
			zap.Stringer("why", c.hold), zap.Time("clock", is.Wall), zap.Time("trusted", trusted))
	}
	c.tellLocked()
}

// releaseLocked trusts the wall clock as it is.
func (c *Clock) releaseLocked(is reading, why string) {
	c.anchor = is
	if c.hold.Reason == None {
		return
	}
	if c.hold.Reason != Starting {
		c.log.Info("dates are held no more", zap.String("why", why), zap.Stringer("was", c.hold.Reason), zap.Time("clock", is.Wall))
	}
	c.hold = Hold{}
	c.metrics.held(None)
	c.tellLocked()
}

// Confirm trusts the wall clock as it is: an operator says that it is right.
func (c *Clock) Confirm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	is := c.src.read()
	c.claims = true
	c.releaseLocked(is, "an operator has confirmed the clock")
}

func (c *Clock) tellLocked() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func latest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.After(first) {
			first = t
		}
	}
	return first
}
