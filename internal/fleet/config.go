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
	"op25b/internal/pipeline"
	"op25b/internal/store"
	"op25b/internal/tlsfiles/expiry"
)

// ErrConfig is returned by Run if the Config is invalid.
var ErrConfig = errors.New("invalid fleet configuration")

// Defaults of a Config.
const (
	// DefaultAuditEvery is how often each converged switch is read. With 1,000 switches, the controllers make 3.3 reads a second in
	// total.
	DefaultAuditEvery = 5 * time.Minute
	// DefaultSettle is how long another controller must be present before switches are handed over to it. This prevents a hand-over to a
	// process that fails shortly after its start. Switches without an owner are assigned at once.
	DefaultSettle = 10 * time.Second
	// ConvergingPerCPU is the number of switches that a controller reconciles at once for each CPU that it may use. During a
	// reconciliation, the entries that were read and the wanted entries are in memory. They take 100 MB for a full switch.
	ConvergingPerCPU = 4
)

// Internal limits.
const (
	// verifyWithin is the time within which an audit verifies a change of phase that was made by one MODIFY. With 1,000 switches, such a
	// change causes 17 reads a second.
	verifyWithin = time.Minute
	// releaseTimeout is how long a release waits for etcd. If the release fails, the ownership ends when its lease expires.
	releaseTimeout = 3 * time.Second
	// retryMin is the pause after the first failure of a switch that answers. The pause doubles up to the interval of audits.
	retryMin = time.Second
	// recheckClock is the longest wait for a date before the clock is checked again. The check is necessary because a timer does not
	// notice that the clock was set.
	recheckClock = time.Minute
)

// A Config configures one controller of the fleet.
type Config struct {
	// Name is the name of the controller. It must be unique among the controllers of the cluster.
	Name string
	// Addr has the controller's northbound addresses. They are published to the other controllers.
	Addr  Addresses
	Store *store.Store
	Book  *intent.Book
	// Logger is the logger of the controller; nil means no logging.
	Logger *zap.Logger
	// Clock is the clock for phases, exemptions and statuses. If it is nil, the controller creates a clock whose wall clock is Now.
	Clock *clock.Clock
	// Now is the wall clock if Clock is nil; nil means time.Now.
	Now func() time.Time
	// Session configures every session with a switch. The controller sets the fields Addr, DeviceID, ElectionID, TLS and OnStatus.
	Session p4rt.KeepConfig
	// Recorder returns the recorder for a session with a switch, or nil. It is called whenever a session begins. Recorder itself may be
	// nil.
	Recorder func(switchName string) *p4rt.Recorder
	// AuditEvery is how often each converged switch is read; 0 means DefaultAuditEvery. The actual interval differs at random by up to a
	// quarter.
	AuditEvery time.Duration
	// ProbeEvery is how often each converged switch is probed, in addition to once after each change; 0 means never. The actual interval differs at
	// random by up to a quarter.
	ProbeEvery time.Duration
	// Proofs, if not nil, is given the sessions with the switches.
	Proofs *Proofs
	// Converging is the number of switches that are reconciled at once; 0 means ConvergingPerCPU for each CPU. A change of phase by one
	// MODIFY does not count.
	Converging int
	// Settle is how long another controller must be present before switches are handed over to it; 0 means DefaultSettle.
	Settle time.Duration
	// Metrics counts the controller's switches; nil means no metrics.
	Metrics *Metrics
	// Certificates exports when the certificates of the P4Runtime connections end; nil means that it is not exported.
	Certificates *expiry.Certificates
	// OnStatus, if not nil, is called with every change of the status of a switch that is assigned to this controller. This includes
	// changes to Waiting and Lost, which are not stored. The calls come from several goroutines, but the calls for one switch are in
	// order. OnStatus must not block for long.
	OnStatus func(Status)
	// OnFlows, if not nil, is called with the mail flows that the owned switches report. If it is nil, no switch is asked for mail flows.
	// The calls come from several goroutines. OnFlows must not block, and must not keep the slice. A flow contains addresses that are
	// subject to the secrecy of communications.
	OnFlows func(switchName string, flows []pipeline.MailFlow)

	// Sessions knows the addresses of lines by their sessions. If it is nil, the switches keep the entries that they have by sessions.
	Sessions Sessions
	// Leases knows the leases of lines. If it is nil, the switches keep the entries that they have by leases.
	Leases Leases

	clockEvery time.Duration // the time between two readings of a switch's clock; 0 means clockEvery

	secondLook time.Duration // see the constant; 0 means secondLook

	timer func(time.Duration) <-chan time.Time // starts the timer for dates; nil means time.After
	fault func(error)                          // called if an event is not allowed after the previous status; nil means that the error is logged
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Name == "":
		return c, fmt.Errorf("%w: no name: give each controller a unique one", ErrConfig)
	case c.Store == nil || c.Book == nil:
		return c, fmt.Errorf("%w: controller %q has no store or no book of intent", ErrConfig, c.Name)
	case c.AuditEvery < 0:
		return c, fmt.Errorf("%w: audits every %v: must be > 0, or 0 for %v", ErrConfig, c.AuditEvery, DefaultAuditEvery)
	case c.ProbeEvery < 0:
		return c, fmt.Errorf("%w: probes every %v: must be > 0, or 0 for none", ErrConfig, c.ProbeEvery)
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
	if c.clockEvery == 0 {
		c.clockEvery = clockEvery
	}
	if c.secondLook == 0 {
		c.secondLook = secondLook
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
