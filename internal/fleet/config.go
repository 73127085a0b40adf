package fleet

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"go.uber.org/zap"

	"op25b/internal/clock"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/store"
)

// ErrConfig is returned by Run for a Config that cannot work.
var ErrConfig = errors.New("invalid fleet configuration")

// Defaults of a Config.
const (
	// DefaultAuditEvery is how often a converged switch is read: 1,000 switches are 3.3 reads a second.
	DefaultAuditEvery = 5 * time.Minute
	// DefaultSettle is how long another controller has to be present before switches are handed over to it. One that comes and goes, as a
	// process does that cannot start, takes none. Switches that nobody has are not held back.
	DefaultSettle = 10 * time.Second
	// ConvergingPerCPU is how many switches a controller brings to their state at once, for each CPU that it may use. What is read from a
	// switch and what it should hold are in memory meanwhile: 100 MB for a full one.
	ConvergingPerCPU = 4
)

// Bounds within the package.
const (
	// verifyWithin is when a change of phase that went by one MODIFY is verified by an audit: 1,000 switches are 17 reads a second.
	verifyWithin = time.Minute
	// releaseTimeout is how long a release may wait for etcd. What is not released then expires.
	releaseTimeout = 3 * time.Second
	// retryMin is the pause after a first failure of a switch that answers; it doubles up to the interval of audits.
	retryMin = time.Second
	// recheckClock is the longest that a date is waited for without a look at the clock: timers do not follow a clock that is set.
	recheckClock = time.Minute
)

// A Config is one controller of the fleet.
type Config struct {
	// Name is the controller's, and no other's in the cluster.
	Name string
	// Addr is its northbound address, which the others are told by its presence.
	Addr  string
	Store *store.Store
	Book  *intent.Book
	// Logger may be nil.
	Logger *zap.Logger
	// Clock is the clock of phases, exemptions and statuses. If nil it is a clock of its own, with Now as the wall clock.
	Clock *clock.Clock
	// Now is the wall clock where there is no Clock; time.Now if nil.
	Now func() time.Time
	// Session is what every session with a switch has in common. Addr, DeviceID, ElectionID, TLS and OnStatus are filled in.
	Session p4rt.KeepConfig
	// Recorder returns what writes down the sessions with a switch, or nil; it may be nil itself. It is asked whenever a session begins.
	Recorder func(switchName string) *p4rt.Recorder
	// AuditEvery is how often each converged switch is read, give or take a quarter; DefaultAuditEvery if 0.
	AuditEvery time.Duration
	// Converging is how many switches are brought to their state at once; ConvergingPerCPU for each CPU if 0. Phases that are put in force
	// by one MODIFY do not count.
	Converging int
	// Settle is how long another controller has to be present before switches are handed over to it; DefaultSettle if 0.
	Settle time.Duration
	// Metrics may be nil.
	Metrics *Metrics
	// OnStatus, if not nil, is told of every change of a switch that is assigned here, also of those that cannot be stored: that it waits
	// for ownership, or has lost it. It is told from several goroutines, of one switch in order, and must not block for long.
	OnStatus func(Status)

	timer func(time.Duration) <-chan time.Time // of dates; time.After if nil
	fault func(error)                          // is told of a status that cannot follow on another; logs if nil
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Name == "":
		return c, fmt.Errorf("%w: no name: give each controller one of its own", ErrConfig)
	case c.Store == nil || c.Book == nil:
		return c, fmt.Errorf("%w: controller %q has no store or no book of intent", ErrConfig, c.Name)
	case c.AuditEvery < 0:
		return c, fmt.Errorf("%w: audits every %v: must be > 0, or 0 for %v", ErrConfig, c.AuditEvery, DefaultAuditEvery)
	case c.Settle < 0:
		return c, fmt.Errorf("%w: settle %v: must be > 0, or 0 for %v", ErrConfig, c.Settle, DefaultSettle)
	case c.Converging < 0:
		return c, fmt.Errorf("%w: %d switches converging at once: must be > 0, or 0 for %d for each CPU", ErrConfig, c.Converging, ConvergingPerCPU)
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Clock == nil {
		var err error
		if c.Clock, err = clock.New(clock.Config{Source: clock.Source{Wall: c.Now}, Logger: c.Logger}); err != nil {
			return c, err
		}
	}
	c.Now = c.Clock.Trusted
	if c.AuditEvery == 0 {
		c.AuditEvery = DefaultAuditEvery
	}
	if c.Settle == 0 {
		c.Settle = DefaultSettle
	}
	if c.Converging == 0 {
		c.Converging = ConvergingPerCPU * runtime.GOMAXPROCS(0)
	}
	if c.timer == nil {
		c.timer = time.After
	}
	if c.fault == nil {
		c.fault = func(err error) {
			c.Logger.Error("a status does not follow on the one before; this is a fault of op25b", zap.Error(err))
		}
	}
	return c, nil
}
