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
	// DefaultAuditEvery is how often each converged switch is read. For 1,000 switches that is 3.3 reads a second.
	DefaultAuditEvery = 5 * time.Minute
	// DefaultSettle is how long another controller must be present before switches are handed over to it, so that a process that fails to
	// start gets no switches. Switches without an owner are assigned at once.
	DefaultSettle = 10 * time.Second
	// ConvergingPerCPU is the number of switches that a controller reconciles at once, for each CPU that it may use. Meanwhile the
	// entries read and the entries wanted are in memory: 100 MB for a full switch.
	ConvergingPerCPU = 4
)

// Limits within the package.
const (
	// verifyWithin is the time within which an audit verifies a change of phase that was one MODIFY. For 1,000 switches that is 17 reads
	// a second.
	verifyWithin = time.Minute
	// releaseTimeout is how long a release may wait for etcd. An ownership that is not released expires.
	releaseTimeout = 3 * time.Second
	// retryMin is the pause after the first failure of a switch that answers. It doubles up to the interval of audits.
	retryMin = time.Second
	// recheckClock is the longest wait for a date without checking the clock, because timers do not notice that the clock is set.
	recheckClock = time.Minute
)

// A Config configures one controller of the fleet.
type Config struct {
	// Name is unique among the controllers of the cluster.
	Name string
	// Addr is the northbound address, which is published to the other controllers.
	Addr  string
	Store *store.Store
	Book  *intent.Book
	// Logger may be nil.
	Logger *zap.Logger
	// Clock is the clock of phases, exemptions and statuses. If it is nil, the controller makes one with Now as the wall clock.
	Clock *clock.Clock
	// Now is the wall clock if Clock is nil; time.Now if nil.
	Now func() time.Time
	// Session configures every session with a switch. The controller sets Addr, DeviceID, ElectionID, TLS and OnStatus.
	Session p4rt.KeepConfig
	// Recorder returns the recorder for the sessions with a switch, or nil. It is called whenever a session begins. It may be nil.
	Recorder func(switchName string) *p4rt.Recorder
	// AuditEvery is how often each converged switch is read, plus or minus a quarter; DefaultAuditEvery if 0.
	AuditEvery time.Duration
	// Converging is how many switches are reconciled at once; ConvergingPerCPU for each CPU if 0. A change of phase by one MODIFY does
	// not count.
	Converging int
	// Settle is how long another controller must be present before switches are handed over to it; DefaultSettle if 0.
	Settle time.Duration
	// Metrics may be nil.
	Metrics *Metrics
	// OnStatus, if not nil, is called with every change of a switch assigned to this controller. That includes changes to Waiting and
	// Lost, which are not stored. Calls come from several goroutines, but for one switch in order. OnStatus must not block for long.
	OnStatus func(Status)

	timer func(time.Duration) <-chan time.Time // for dates; time.After if nil
	fault func(error)                          // is called if a status cannot follow the previous one; logs if nil
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Name == "":
		return c, fmt.Errorf("%w: no name: give each controller a unique one", ErrConfig)
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
			c.Logger.Error("invalid status transition; this is a defect in op25b", zap.Error(err))
		}
	}
	return c, nil
}
