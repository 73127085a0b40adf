package extern

import (
	"fmt"
	"sync"
	"time"
)

// A Color is a meter's result for a packet. A larger value is a worse color. The values are those of v1model.
type Color uint8

// The colors of RFC 2698.
const (
	Green Color = iota
	Yellow
	Red
)

// String returns the color's name.
func (c Color) String() string {
	switch c {
	case Green:
		return "green"
	case Yellow:
		return "yellow"
	case Red:
		return "red"
	}
	return fmt.Sprintf("color %d", uint8(c))
}

// A Unit is the unit of a meter's rates and bursts.
type Unit uint8

// The units of v1model's MeterType.
const (
	Packets Unit = iota
	Bytes
)

// String returns the unit's name in v1model's MeterType.
func (u Unit) String() string {
	switch u {
	case Packets:
		return "packets"
	case Bytes:
		return "bytes"
	}
	return fmt.Sprintf("unit %d", uint8(u))
}

// A Clock returns the time since a fixed moment. If the time goes backwards, meters gain no tokens until the clock has caught up.
type Clock func() time.Duration

// A MeterConfig is a P4Runtime meter configuration, with rates in units per second and bursts in units.
type MeterConfig struct {
	CIR, CBurst int64 // committed rate and burst; a packet that exceeds them is yellow
	PIR, PBurst int64 // peak rate and burst; a packet that exceeds them is red; PIR must not be below CIR
}

// Validate returns ErrMeterConfig if a number is negative or the peak rate is below the committed rate.
func (c MeterConfig) Validate() error {
	for _, f := range []struct {
		name string
		v    int64
	}{{"cir", c.CIR}, {"cburst", c.CBurst}, {"pir", c.PIR}, {"pburst", c.PBurst}} {
		if f.v < 0 {
			return fmt.Errorf("%w: %s is %d, must be at least 0", ErrMeterConfig, f.name, f.v)
		}
	}
	if c.PIR < c.CIR {
		return fmt.Errorf("%w: pir %d is below cir %d", ErrMeterConfig, c.PIR, c.CIR)
	}
	return nil
}

// A Meter is a two-rate three-color marker (RFC 2698) as bmv2 implements it. Both buckets start full. A packet that exceeds the peak
// bucket takes no tokens from either bucket. A Meter is safe for concurrent use and does not allocate.
type Meter struct {
	unit   Unit
	clock  Clock
	origin time.Duration // time from which tokens are calculated, so that rounding errors do not add up

	mu         sync.Mutex // guards everything below
	configured bool
	config     MeterConfig
	peak       bucket
	committed  bucket
}

// NewMeter returns a meter without a configuration, which returns green for every packet.
func NewMeter(unit Unit, clock Clock) *Meter {
	m := new(Meter)
	m.start(unit, clock)
	return m
}

func (m *Meter) start(unit Unit, clock Clock) {
	m.unit, m.clock, m.origin = unit, clock, clock()
}

// Configure sets the rates and fills both buckets. If the configuration is invalid, Configure returns ErrMeterConfig and changes nothing.
func (m *Meter) Configure(c MeterConfig) error {
	if err := c.Validate(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.config, m.configured = c, true
	m.peak = newBucket(c.PIR, c.PBurst)
	m.committed = newBucket(c.CIR, c.CBurst)
	return nil
}

// Reset removes the configuration, so that every packet is green again.
func (m *Meter) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.configured = false
}

// Config returns the configuration. It returns false if the meter has none.
func (m *Meter) Config() (MeterConfig, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.configured {
		return MeterConfig{}, false
	}
	return m.config, true
}

// Execute charges a packet of length bytes at the current time and returns its color. The result is at least as bad as the pre-color pre,
// but the charge does not depend on pre. This is bmv2's behaviour, and not the color-aware mode of RFC 2698. A meter without a
// configuration always returns Green.
func (m *Meter) Execute(length int, pre Color) Color {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.configured {
		return Green
	}
	micros := max(m.clock()-m.origin, 0).Microseconds()
	need := uint64(1)
	if m.unit == Bytes {
		need = uint64(max(length, 0))
	}
	color := Green
	if !m.peak.take(micros, need) {
		color = Red
	} else if !m.committed.take(micros, need) {
		color = Yellow
	}
	return max(color, pre)
}

// A bucket holds the tokens of one rate.
type bucket struct {
	rate   float64 // in tokens per microsecond
	burst  uint64
	tokens uint64
	seen   uint64 // number of tokens that the rate has produced from the meter's origin to the last call of take
}

func newBucket(perSecond, burst int64) bucket {
	return bucket{rate: float64(perSecond) / 1e6, burst: uint64(burst), tokens: uint64(burst)}
}

// take advances the bucket to the given time and removes need tokens. If the bucket has fewer tokens, take removes none and returns
// false.
func (b *bucket) take(micros int64, need uint64) bool {
	if flown := uint64(float64(micros) * b.rate); flown > b.seen {
		b.tokens = min(b.tokens+(flown-b.seen), b.burst)
		b.seen = flown
	}
	if b.tokens < need {
		return false
	}
	b.tokens -= need
	return true
}
