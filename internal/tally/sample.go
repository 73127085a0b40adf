package tally

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"op25b/internal/telemetry"
)

// maxSettle limits the wait for the rest of a sample, because a sample arrives in many messages.
const maxSettle = time.Second

// A Sample has the counters of one switch at one moment. It is immutable.
type Sample struct {
	Status telemetry.Status
	Boot   time.Time // the time at which the switch began to count; zero if the switch does not report it
	Number uint64    // the number of the sample; it increases with every sample of any switch
	// Totals is ordered by rule number, and Interfaces by name.
	Totals     []SampledTotal
	Interfaces []SampledInterface
	// RatesOver is the time over which the rates were measured; 0 means that no rate is known.
	RatesOver time.Duration
}

// A SampledTotal is a total with its rates per second.
type SampledTotal struct {
	Total
	PacketRate, OctetRate float64
}

// A SampledInterface has an interface's counters with their rates per second. Its field ACL is empty.
type SampledInterface struct {
	telemetry.Interface
	Rates [numCounters]float64
}

// News holds two channels. Changed is closed when a sample of any switch is taken. Turned is closed when the state of a collection, the
// state of an interface, the ownership of a switch or the intent changes.
type News struct{ Changed, Turned chan struct{} }

func newNews() News { return News{make(chan struct{}), make(chan struct{})} }

// sampling is the part of a device that the sampler uses.
type sampling struct {
	due    time.Time // when the next sample is due; zero if there is no news
	stale  time.Time // when the values become stale without further news; zero if they are not current
	turned bool      // more than counter values has changed
	number uint64    // the number of the newest sample; 0 if there is none
	sample *Sample   // the newest sample; nil until a caller requests it
	idle   bool      // no caller requests samples, so fewer points are kept
	points []point   // earlier values, oldest first
}

// News returns the channels that are closed at the next sample or change.
func (t *Tally) News() News {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next
}

// announceLocked closes the channels of News.
func (t *Tally) announceLocked(turned bool) {
	close(t.next.Changed)
	if turned {
		close(t.next.Turned)
		t.next.Turned = make(chan struct{})
	}
	t.next.Changed = make(chan struct{})
}

// Samples returns the newest sample of each named switch, or of all owned switches if no name is given, in the order of the inventory. It
// leaves out switches that this controller does not own.
func (t *Tally) Samples(only ...string) []*Sample {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		return nil
	}
	now := time.Now()
	t.asked = now
	var all []*Sample
	for _, name := range t.names.order {
		d := t.switches[name]
		switch {
		case d == nil || len(only) > 0 && !slices.Contains(only, name):
		case d.number == 0:
			all = append(all, &Sample{Status: t.names.scheduled(name)})
		default:
			if d.sample == nil {
				d.sample = t.makeLocked(name, d, now)
			}
			all = append(all, d.sample)
		}
	}
	return all
}

// Interval returns the sample interval.
func (t *Tally) Interval() time.Duration { return t.interval }

// LineInterval returns the sample interval of the counters of lines.
func (t *Tally) LineInterval() time.Duration {
	return cmp.Or(t.cfg.Telemetry.LineInterval, max(telemetry.DefaultLineInterval, t.interval))
}

// sample takes samples until ctx ends. It takes a sample shortly after a target's first message, and when values become stale.
//
// A thousand switches send thousands of messages a second. The sampler therefore looks for news at most eight times per settle time.
func (t *Tally) sample(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.told.kick:
		case <-timer.C:
		}
		next := t.sampleDue(time.Now())
		if !telemetry.Pause(ctx, t.settle()/8) {
			return
		}
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// settle returns the time between a target's first message and the sample.
func (t *Tally) settle() time.Duration { return min(t.interval/10, maxSettle) }

// sampleDue takes the samples that are due, and returns when the next one is due.
func (t *Tally) sampleDue(now time.Time) (next time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, changed := range t.told.take() {
		if d := t.switches[name]; d != nil {
			d.turned = d.turned || changed
			if d.due.IsZero() {
				d.due = now.Add(t.settle())
			}
		}
	}
	took, turned := false, false
	for name, d := range t.switches {
		if t.names == nil || t.names.switches[name] == nil {
			d.due, d.stale = time.Time{}, time.Time{}
			continue
		}
		over := passed(d.stale, now)
		if over || passed(d.due, now) {
			took, turned = true, turned || over || d.turned
			t.sampleLocked(name, d, now)
		}
		next = earlier(next, earlier(d.due, d.stale))
	}
	if took {
		t.announceLocked(turned)
	}
	return next
}

// passed reports whether a time has come. The zero time never comes.
func passed(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// earlier returns the earlier of two times. It ignores a zero time.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// idleAfter is the time without a call of Samples after which the sampler keeps fewer earlier values.
const idleAfter = 5 * time.Minute

// sampleLocked takes a sample of a switch of the inventory. It stores only the earlier values for the rates. The Sample itself is built on
// request, because the samples of a thousand switches take 30 MB.
func (t *Tally) sampleLocked(name string, d *device, now time.Time) {
	st := t.statusLocked(name)
	t.number++
	d.due, d.stale, d.turned, d.sample, d.number = time.Time{}, time.Time{}, false, nil, t.number
	d.idle = now.Sub(t.asked) > idleAfter
	if st.State != telemetry.Synced {
		return
	}
	if !st.StaleAt.IsZero() {
		d.stale = st.StaleAt.Add(time.Millisecond)
		if pause := now.Add(t.interval / 2); d.stale.Before(pause) {
			d.stale = pause
		}
	}
	if n := len(d.points); n == 0 || now.Sub(d.points[n-1].taken) >= d.every(t.window()) {
		t.makeLocked(name, d, now)
	}
}

// window returns the longest time over which a rate is measured.
func (t *Tally) window() time.Duration { return max(rateWindow, 2*t.interval) }

// makeLocked builds the sample of a switch of the inventory.
func (t *Tally) makeLocked(name string, d *device, now time.Time) *Sample {
	s := &Sample{Status: t.statusLocked(name), Number: d.number}
	t.foldLocked(name, d, func(v telemetry.View) {
		s.Boot = v.Boot()
		s.Interfaces = make([]SampledInterface, 0, v.Size())
		for in := range v.Interfaces() {
			s.Interfaces = append(s.Interfaces, SampledInterface{Interface: in})
		}
	})
	slices.SortFunc(s.Interfaces, func(a, b SampledInterface) int { return strings.Compare(a.Name, b.Name) })
	s.Totals = make([]SampledTotal, 0, len(d.totals))
	for _, n := range t.totalsLocked(d) {
		s.Totals = append(s.Totals, SampledTotal{Total: n})
	}
	if s.Status.State == telemetry.Synced {
		d.measure(s, t.window(), t.interval/2)
		if n := len(d.points); n > 0 && d.points[n-1].taken.IsZero() {
			d.points[n-1].taken = now
		}
	}
	return s
}
