package history

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"op25b/e2e/longform"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	longform.Rapid()
	goleak.VerifyTestMain(m)
}

// t0 is the start of a day in UTC, and so of a period on each level.
var t0 = time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC)

// A clock is a clock that the test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// A fixture is a store with its clock and its file.
type fixture struct {
	*Store
	t     testing.TB
	clock *clock
	path  string
	log   *zap.Logger
	reg   *prometheus.Registry
	m     *Metrics
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: &clock{now: t0}, reg: prometheus.NewRegistry(), path: filepath.Join(t.TempDir(), "history.db")}
	t.Cleanup(func() {
		if f.Store != nil {
			_ = f.Close()
		}
	})
	return f
}

// open opens the store. If the store is open, it is closed first.
func (f *fixture) open() *fixture {
	f.t.Helper()
	f.close()
	s, err := Open(Config{Path: f.path, Now: f.clock.Now, Logger: f.log, Metrics: f.m})
	if err != nil {
		f.t.Fatal(err)
	}
	f.Store = s
	return f
}

func (f *fixture) close() {
	f.t.Helper()
	if f.Store == nil {
		return
	}
	if err := f.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.Store = nil
}

// record sets the clock to a time, and records totals.
func (f *fixture) record(at time.Time, totals ...Total) {
	f.t.Helper()
	f.clock.set(at)
	if err := f.Record(at, totals); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) query(q Query) *Result {
	f.t.Helper()
	res, err := f.Range(context.Background(), q)
	if err != nil {
		f.t.Fatal(err)
	}
	return res
}

// sums returns the packets of each key over a range.
func (f *fixture) sums(from, to time.Time, step time.Duration) map[Key]uint64 {
	f.t.Helper()
	sums := make(map[Key]uint64)
	for _, s := range f.query(Query{From: from, To: to, Step: step}).Series {
		for _, p := range s.Points {
			sums[s.Key] += p.Packets
		}
	}
	return sums
}

var (
	keyA = Key{Switch: "edge-1", Rule: "block-25"}
	keyB = Key{Switch: "edge-1", Rule: "relay", Leg: "UP_DST", Phase: "phase-2"}
	keyC = Key{Switch: "edge-2", Rule: "block-25"}
)

// total returns a total of packets of 60 octets.
func total(k Key, packets uint64, boot ...time.Time) Total {
	t := Total{Key: k, Packets: packets, Octets: 60 * packets}
	if len(boot) > 0 {
		t.Boot = boot[0]
	}
	return t
}

// aside returns the other files in the directory of the history.
func (f *fixture) aside() []string {
	f.t.Helper()
	entries, err := os.ReadDir(filepath.Dir(f.path))
	if err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != filepath.Base(f.path) {
			names = append(names, e.Name())
		}
	}
	return names
}

// metric returns the value of a metric, summed over its labels.
func (f *fixture) metric(name string) (sum float64) {
	f.t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}
