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
	// DefaultBound is the default of Config.Bound. Clocks synchronised by NTP differ by milliseconds, but a comparison can be wrong by up
	// to 5 s, because etcd may take that long to deliver a record.
	DefaultBound = 5 * time.Second
	// MinBound and MaxBound are the limits of Config.Bound. Comparisons are not exact enough for a bound below 1 s. A bound above one hour
	// is useless, because the days of a policy begin at midnight.
	MinBound = time.Second
	MaxBound = time.Hour
	// absence is the longest downtime across a reboot after which a single controller's clock is trusted without an operator's
	// confirmation. The most common fault after a boot is a clock that shows local time, which is hours off.
	absence = time.Hour
)

// ErrBound is returned by New if the bound is less than MinBound or greater than MaxBound.
var ErrBound = errors.New("invalid bound of clock skew")

// If Source.Elapsed is nil, the elapsed time counts from processStart, and processBoot identifies the process.
var (
	processStart = time.Now()
	processBoot  = "process " + strconv.FormatUint(rand.Uint64(), 36)
)

// A Config configures a controller's clock.
type Config struct {
	Source Source
	// Bound is the largest difference at which two clocks agree. If Bound is 0, DefaultBound is used.
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
	changed chan struct{} // receives a value when a date may have been reached, or when dates are held or released; capacity 1

	mu       sync.Mutex // guards the fields below
	anchor   reading    // the last trusted reading; anchor.Wall is the trusted time, which may differ from the host's
	hold     Hold
	jumps    uint64
	floor    time.Time // the latest date that the store has recorded as begun
	dates    time.Time // the latest moment that Dates has returned
	now      time.Time // the latest moment that Now has returned
	members  []Peer    // the other controllers, as last reported by Keeper
	compared bool      // whether the clock was compared with the last time in the store, which happens at the start
	claims   bool      // whether this clock is trusted although it contradicts the store's time, which it must then replace
}

// New returns a clock that trusts the wall clock until a Keeper compares it with the clocks of other controllers. New returns ErrBound if
// the bound is out of range.
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

// Bound returns the largest difference at which two clocks agree.
func (c *Clock) Bound() time.Duration { return c.bound }

// Wall returns the time of the wall clock.
func (c *Clock) Wall() time.Time { return c.src.read().Wall }

// Now returns the time for records. Now never runs backwards, and never returns a time before a date that the store has recorded as begun.
// While the wall clock is in doubt, Now advances from the trusted time with the monotonic clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, trusted := c.readLocked()
	c.now = latest(c.now, trusted, c.floor)
	return c.now
}

// Trusted returns the time for display and for checks of expiry, for example of tokens. Unlike Now, Trusted does not depend on the dates
// that the store has recorded, so a date that was recorded too early does not expire tokens.
func (c *Clock) Trusted() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, trusted := c.readLocked()
	return trusted
}

// Dates returns the time up to which dates are in force. Dates never runs backwards, and does not advance while dates are held. Dates that
// the store has recorded as begun are always in force.
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

// Hold reports whether dates are held, and why.
func (c *Clock) Hold() Hold {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readLocked()
	return c.hold
}

// Changed returns a channel that receives a value when a date may have been reached, or when dates are held or released. The channel must
// have only one receiver.
func (c *Clock) Changed() <-chan struct{} { return c.changed }

// Begun informs the clock that the store has recorded a date as begun. From then on, Now does not return a time before that date.
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
		c.dates = latest(c.dates, trusted) // dates up to the trusted time are in force
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

// trustedLocked returns the trusted time for a reading of this host's clocks.
func (c *Clock) trustedLocked(is reading) time.Time {
	gone, _ := is.since(c.anchor) // ignore ok, because this process took both readings
	return c.anchor.Wall.Add(gone)
}

// holdLocked holds dates. The trusted time is set to trusted, and from then on advances with the monotonic clock.
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

// releaseLocked trusts the wall clock and releases the dates.
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

// Confirm trusts the wall clock, because an operator confirmed it.
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
