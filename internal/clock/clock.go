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
	// DefaultBound is the largest difference between two clocks that counts as agreement. Clocks with NTP differ by milliseconds. The
	// comparison is off by the time that etcd takes to deliver a record, for which etcd allows itself 5 s.
	DefaultBound = 5 * time.Second
	// MinBound and MaxBound are the limits of the configured bound. Below 1 s the comparison itself is not exact enough. The days of a
	// policy begin at midnight, so that an hour is too much.
	MinBound = time.Second
	MaxBound = time.Hour
	// absence is how long a lone controller may have been away across a boot of its host before an operator must confirm its clock. The
	// most common wrong clock after a boot runs in local time, hours off.
	absence = time.Hour
)

// ErrBound means that the bound is out of range.
var ErrBound = errors.New("invalid bound of clock skew")

// The origin of readings whose Source has no Elapsed.
var (
	processStart = time.Now()
	processBoot  = "process " + strconv.FormatUint(rand.Uint64(), 36)
)

// A Config configures a controller's clock.
type Config struct {
	Source Source
	// Bound is the largest difference that counts as agreement; DefaultBound if 0.
	Bound time.Duration
	// Logger and Metrics may be nil.
	Logger  *zap.Logger
	Metrics *Metrics
}

// A Clock is the clock of one controller. It is safe for concurrent use.
type Clock struct {
	src     Source
	bound   time.Duration
	log     *zap.Logger
	metrics *Metrics
	changed chan struct{} // holds one token: dates may have come, or are held or released

	mu       sync.Mutex // guards everything that follows
	anchor   reading    // the trusted time at the last reading that was trusted; its Wall is that time, not the host's
	hold     Hold
	jumps    uint64
	floor    time.Time // the latest date that the store has recorded as begun
	dates    time.Time // the latest moment that Dates has returned
	now      time.Time // the latest moment that Now has returned
	members  []Peer    // the other controllers, as Keeper saw them last
	compared bool      // with the last time in the store, at the start
	claims   bool      // this clock is trusted against the store's time, and is to replace it
}

// New returns a clock that is trusted as it is. A Keeper compares it with the others. The error is ErrBound.
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

// Bound is the largest difference that counts as agreement.
func (c *Clock) Bound() time.Duration { return c.bound }

// Wall returns the time of the wall clock.
func (c *Clock) Wall() time.Time { return c.src.read().Wall }

// Now returns the time for records. It never runs backwards, nor behind a date that the store has recorded as begun. While the wall clock
// is in doubt, Now is the trusted time carried on by the monotonic clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, trusted := c.readLocked()
	c.now = latest(c.now, trusted, c.floor)
	return c.now
}

// Trusted returns the time for display and for expiry, such as of tokens. It is Now without the dates that the store has recorded, so that
// a date recorded too early locks nobody out.
func (c *Clock) Trusted() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, trusted := c.readLocked()
	return trusted
}

// Dates returns the moment up to which dates are in force. It never runs backwards, and stands still while dates are held. Dates that the
// store has recorded as begun are in force in any case.
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

// Hold returns whether dates are held, and the reason.
func (c *Clock) Hold() Hold {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readLocked()
	return c.hold
}

// Changed receives a value when dates may have come, or are held or released. It is for one receiver.
func (c *Clock) Changed() <-chan struct{} { return c.changed }

// Begun records that the store has a date as begun: Now is never before it.
func (c *Clock) Begun(date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if date.After(c.floor) {
		c.floor = date
		c.tellLocked()
	}
}

// readLocked reads the clocks, detects whether the wall clock was set, and returns the trusted time.
func (c *Clock) readLocked() (is reading, trusted time.Time) {
	is = c.src.read()
	trusted = c.trustedLocked(is)
	ahead := is.Wall.Sub(trusted)
	switch fits := abs(ahead) <= c.bound; {
	case c.hold.Reason == None && !fits:
		c.jumps++
		c.metrics.jumped()
		c.dates = latest(c.dates, trusted) // dates up to then have come
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

// trustedLocked returns the trusted time at a reading of this host.
func (c *Clock) trustedLocked(is reading) time.Time {
	gone, _ := is.since(c.anchor) // both readings are of this process
	return c.anchor.Wall.Add(gone)
}

// holdLocked holds dates, and carries on from the trusted time at a reading.
func (c *Clock) holdLocked(why HoldReason, is reading, trusted time.Time) {
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
		c.log.Info("dates are no longer held", zap.String("why", why), zap.Stringer("was", c.hold.Reason), zap.Time("clock", is.Wall))
	}
	c.hold = Hold{}
	c.metrics.held(None)
	c.tellLocked()
}

// Confirm trusts the wall clock as it is, because an operator confirmed it.
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
