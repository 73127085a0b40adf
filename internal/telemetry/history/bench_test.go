package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// These constants describe the fleet of the benchmarks.
const (
	benchSwitches = 1000
	benchKeys     = 20
	benchLinks    = 8
)

// A traffic generates the totals of a fleet. Three quarters of the counters grow in each minute, most of them by tens to thousands of
// packets of 40 to 1,500 octets.
type traffic struct {
	r      *rand.Rand
	totals []Total
	sizes  []uint64
}

func newTraffic(switches, links int) *traffic {
	tr := &traffic{r: rand.New(rand.NewPCG(1, 1))}
	for s := range switches {
		for l := range 2 * links {
			tr.totals = append(tr.totals, Total{
				Key:     Key{Switch: fmt.Sprintf("edge-%04d.example.net", s), Interface: fmt.Sprintf("access-%d", l/2), Direction: []string{"in", "out"}[l%2]},
				Packets: 1e12, Octets: 1e15, Boot: t0.Add(-time.Hour),
			})
			tr.sizes = append(tr.sizes, 40+tr.r.Uint64N(1460))
		}
		for k := range benchKeys {
			tr.totals = append(tr.totals, Total{
				Key:     Key{Switch: fmt.Sprintf("edge-%04d.example.net", s), Rule: fmt.Sprintf("rule-%d", k/2), Leg: []string{"UP_DST", "DOWN_SRC"}[k%2], Phase: "phase-2"},
				Packets: 1e9, Octets: 1e11, Boot: t0.Add(-time.Hour),
			})
			tr.sizes = append(tr.sizes, 40+tr.r.Uint64N(1460))
		}
	}
	return tr
}

func (tr *traffic) minute() []Total {
	for i := range tr.totals {
		if tr.r.IntN(4) == 0 {
			continue
		}
		n := tr.r.Uint64N(1 << (3 + tr.r.IntN(10)))
		if tr.totals[i].Key.Interface != "" {
			n <<= 14 // up to a million a second
		}
		tr.totals[i].Packets += n
		tr.totals[i].Octets += n * tr.sizes[i]
	}
	return tr.totals
}

// cpu returns the CPU time of the process.
func cpu(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRecord records 1,000 switches with 20 keys, without and with 8 interfaces. One operation is a minute. Run it with -benchtime 1500x for a
// day.
func BenchmarkRecord(b *testing.B) {
	for _, links := range []int{0, benchLinks} {
		b.Run(fmt.Sprint(links, " interfaces"), func(b *testing.B) { benchRecord(b, links) })
	}
}

func benchRecord(b *testing.B, links int) {
	f := newFixture(b).open()
	tr := newTraffic(benchSwitches, links)
	f.record(t0, tr.totals...)
	// Minutes expire after two hours, so that the benchmark includes their removal.
	defer func(was level) { levels[minutes] = was }(levels[minutes])
	levels[minutes].of[Rules].keep = 2 * hour
	var used, longest time.Duration
	at := t0
	for b.Loop() {
		b.StopTimer()
		totals := tr.minute()
		at = at.Add(time.Minute)
		f.clock.set(at)
		before := cpu(b)
		b.StartTimer()
		start := time.Now()
		if err := f.Record(at, totals); err != nil {
			b.Fatal(err)
		}
		longest = max(longest, time.Since(start))
		used += cpu(b) - before
	}
	report(b, f.db, used)
	b.ReportMetric(float64(longest.Milliseconds()), "max-ms")
	for l := range levels {
		for k := range numKinds {
			if n, size := levelSize(b, f.db, bucket(l, k)); n > 0 && size > 0 {
				b.ReportMetric(size/float64(n), strings.ReplaceAll("B/"+levels[l].of[k].bucket, " ", "-"))
			}
		}
	}
}

// report reports the CPU time, and the number of bytes that an operation wrote.
func report(b *testing.B, db *bolt.DB, used time.Duration) {
	st := db.Stats().TxStats
	b.ReportMetric(used.Seconds()*1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(st.GetPageAlloc())/1e3/float64(b.N), "written-kB/op")
}

// levelSize returns the number of periods in a level, and the size of their keys and values in bytes.
func levelSize(b *testing.B, db *bolt.DB, bucket []byte) (periods int, size float64) {
	err := db.View(func(tx *bolt.Tx) error {
		last := uint32(0)
		return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
			if start, _, _ := splitKey(k); periods == 0 || start != last {
				periods++
				last = start
			}
			size += float64(16 + len(k) + len(v))
			return nil
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	return periods, size
}

// BenchmarkBareWrite writes the keys and values of one minute of BenchmarkRecord with bbolt alone. It is the lower bound.
func BenchmarkBareWrite(b *testing.B) {
	f := newFixture(b).open()
	tr := newTraffic(benchSwitches, 0)
	f.record(t0, tr.totals...)
	f.record(t0.Add(time.Minute), tr.minute()...)
	type pair struct{ k, v []byte }
	var minute, states []pair
	err := f.db.View(func(tx *bolt.Tx) error {
		read := func(bucket []byte, to *[]pair) error {
			return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
				*to = append(*to, pair{append([]byte(nil), k...), append([]byte(nil), v...)})
				return nil
			})
		}
		if err := read([]byte("1m"), &minute); err != nil {
			return err
		}
		return read(bucketSwitches, &states)
	})
	if err != nil {
		b.Fatal(err)
	}
	db, err := bolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, PageSize: pageSize})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var used time.Duration
	n := uint32(0)
	for b.Loop() {
		before := cpu(b)
		n++
		err := db.Update(func(tx *bolt.Tx) error {
			m, err := tx.CreateBucketIfNotExists([]byte("1m"))
			if err != nil {
				return err
			}
			m.FillPercent = fill
			for i, p := range minute {
				if err := m.Put(periodKey(n, uint32(i)), p.v); err != nil {
					return err
				}
			}
			s, err := tx.CreateBucketIfNotExists(bucketSwitches)
			if err != nil {
				return err
			}
			s.FillPercent = fill
			for _, p := range states {
				if err := s.Put(p.k, p.v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		used += cpu(b) - before
	}
	report(b, db, used)
}

// BenchmarkRange queries a fleet of 1,000 switches after a day. OP25B_HISTORY is the path of a file that is kept between runs.
func BenchmarkRange(b *testing.B) {
	f := newFixture(b)
	if path := os.Getenv("OP25B_HISTORY"); path != "" {
		f.path = path
	}
	f.open()
	at := t0.Add(25 * time.Hour)
	if len(f.switches) == 0 {
		tr := newTraffic(benchSwitches, 0)
		for m := range 25 * 60 {
			f.record(t0.Add(time.Duration(m)*time.Minute), tr.minute()...)
		}
	}
	f.clock.set(at)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			f.open()
		}
	})
	for name, q := range map[string]Query{
		"a switch, a day of minutes":       {From: at.Add(-24 * time.Hour), To: at, Step: time.Minute, Switches: []string{"edge-0500.example.net"}},
		"all switches, a day, finest step": {From: at.Add(-24 * time.Hour), To: at},
		"a rule, a day, finest step":       {From: at.Add(-24 * time.Hour), To: at, Rules: []string{"rule-3"}},
	} {
		b.Run(name, func(b *testing.B) {
			var res *Result
			for b.Loop() {
				var err error
				if res, err = f.Range(context.Background(), q); err != nil {
					b.Fatal(err)
				}
			}
			points := 0
			for _, s := range res.Series {
				points += len(s.Points)
			}
			b.ReportMetric(float64(points), "points")
			b.ReportMetric(res.Step.Minutes(), "step-min")
		})
	}
}

// BenchmarkSum reads the curves of 90 days, of one switch and of a fleet of 1,000 with 20 counters each. The floor is a walk over the keys and
// values that the query reads, with bbolt alone, in the same run. Run it with -benchtime 5x.
func BenchmarkSum(b *testing.B) {
	f := newFixture(b)
	if path := os.Getenv("OP25B_HISTORY_90D"); path != "" {
		f.path = path
	}
	f.open()
	const length = 90 * 24 * time.Hour
	end := t0.Add(length).Add(-time.Minute)
	tr := newTraffic(benchSwitches, 0)
	if len(f.switches) == 0 { // the fleet is recorded once a day, and ten of its switches every 10 minutes
		for m := 0; m < 90*day; m += 10 {
			totals := tr.minute()
			if m%day != 0 {
				totals = totals[:benchKeys*10]
			}
			f.record(t0.Add(time.Duration(m)*time.Minute), totals...)
		}
	}
	f.clock.set(end)
	names := make([]string, benchSwitches)
	for i := range names {
		names[i] = fmt.Sprintf("edge-%04d.example.net", i)
	}
	for _, bc := range []struct {
		name     string
		switches []string
		step     time.Duration
		level    int
	}{
		{"one switch in days", names[5:6], stepDay, days},
		{"one switch in steps of 12 h", names[5:6], 12 * time.Hour, tens},
		{"a fleet in days", names, stepDay, days},
	} {
		q := SumQuery{Switches: bc.switches, From: t0, To: end, Step: bc.step}
		var took, floor time.Duration
		b.Run(bc.name, func(b *testing.B) {
			points := 0
			begin := time.Now()
			for b.Loop() {
				res, err := f.Sum(context.Background(), q)
				if err != nil {
					b.Fatal(err)
				}
				points = len(res.Covered) * len(res.Rows)
			}
			took = time.Since(begin) / time.Duration(b.N)
			begin = time.Now()
			for range b.N {
				bare(b, f, bc.level, bc.switches)
			}
			floor = time.Since(begin) / time.Duration(b.N)
			b.ReportMetric(float64(points), "points")
			b.ReportMetric(float64(floor.Nanoseconds()), "floor-ns/op")
			b.ReportMetric(float64(took)/float64(floor), "x-floor")
		})
	}
}

// bare reads the values of switches at a level with bbolt alone.
func bare(b *testing.B, f *fixture, l int, switches []string) (bytes int) {
	room := make([]byte, 1<<12)
	err := f.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucket(l, Rules)).Cursor()
		if len(switches) > 1 {
			for k, v := c.First(); k != nil; k, v = c.Next() {
				bytes += copy(room, v)
			}
			return nil
		}
		id := f.switches[switches[0]].id
		for start := uint32(t0.Unix() / 60); ; start += levels[l].length {
			k, v := c.Seek(periodKey(start, id))
			if k == nil {
				return nil
			}
			bytes += copy(room, v)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}
