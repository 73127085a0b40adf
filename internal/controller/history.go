package controller

import (
	"context"
	"time"

	"op25b/internal/tally"
	"op25b/internal/telemetry"
	"op25b/internal/telemetry/history"
)

// History configures the history of counters. At most one of the fields may be set; the zero value means no history.
type History struct {
	// File is the file in which this controller keeps the history of the switches that it owns.
	File string
	// Prometheus is the URL of a Prometheus server that scrapes all controllers.
	Prometheus string
}

const (
	// recordEvery is the pause between two records of counters, which is the finest resolution of a history.
	recordEvery = time.Minute
	// lastRecordWithin is how long a controller that ends keeps its switches for the last record. A disk that hangs must not keep another
	// controller from taking over the switches.
	lastRecordWithin = 2 * time.Second
)

// openHistory opens the configured history. It returns history.ErrConfig for an invalid configuration, and history.ErrInUse if another process
// has the file open.
func (c *Controller) openHistory() (err error) {
	switch {
	case c.cfg.History.Prometheus != "":
		c.history, err = history.NewPrometheus(history.PrometheusConfig{URL: c.cfg.History.Prometheus})
	case c.cfg.History.File != "":
		c.recorded, err = history.Open(history.Config{Path: c.cfg.History.File, Logger: c.log, Metrics: history.NewMetrics(c.metrics)})
		c.history = c.recorded
	}
	return err
}

// recordHistory records the counters of the owned switches until ctx ends. It records all switches in the middle of each minute and at the end.
// It also records a switch when the switch's values become current, and when they are no longer current. The first is necessary because the
// history of a switch begins with its first record. The history logs its own errors, which do not stop the controller. They lose nothing,
// because the next record counts from the last stored record.
//
// After the end of ctx, recordHistory calls release when the last record is stored, or after lastRecordWithin. Until then the controller must own
// its switches, because the counters of other switches are not recorded.
func recordHistory(ctx context.Context, h *history.Store, counters *tally.Tally, release context.CancelFunc) {
	defer release()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastRecordWithin, release) })()
	var current map[string]bool // the switches whose values were current at the previous record
	take := func(all bool) {
		totals, now := reported(counters, func(name string, is bool) bool { return all && is || is != current[name] })
		if current = now; len(totals) > 0 {
			_ = h.Record(time.Now(), totals)
		}
	}
	timer := time.NewTimer(untilRecord(time.Now()))
	defer timer.Stop()
	for {
		news := counters.News()
		take(false)
		select {
		case <-ctx.Done():
			take(true)
			return
		case <-timer.C:
			take(true)
			timer.Reset(untilRecord(time.Now()))
		case <-news.Turned:
		}
	}
}

// untilRecord returns the time until the next middle of a minute.
func untilRecord(now time.Time) time.Duration {
	next := now.Truncate(recordEvery).Add(recordEvery / 2)
	if !next.After(now) {
		next = next.Add(recordEvery)
	}
	return next.Sub(now)
}

// reported returns the counters of the owned switches that wanted selects, and the names of all owned switches whose values are current.
func reported(counters *tally.Tally, wanted func(name string, current bool) bool) (all []history.Total, current map[string]bool) {
	current = make(map[string]bool)
	for _, name := range counters.Owned() {
		of, links, boot, is := counters.Reported(name)
		if is = is && len(of) > 0; is { // a new switch has no rule counters until its rules are written
			current[name] = true
		}
		if !wanted(name, is) {
			continue
		}
		for _, n := range of {
			all = append(all, history.Total{
				Key: history.Key{Switch: name, Rule: n.Rule, Leg: n.Leg, Phase: n.Phase}, Counter: n.Counter, Packets: n.Packets, Octets: n.Octets, Boot: boot,
			})
		}
		for i := range links {
			all = appendLink(all, name, boot, &links[i])
		}
	}
	return all, current
}

// appendLink appends the totals of an interface, in each direction that the switch counts.
func appendLink(all []history.Total, name string, boot time.Time, in *telemetry.Interface) []history.Total {
	for _, way := range []struct {
		direction       string
		packets, octets int
	}{{"in", telemetry.InPkts, telemetry.InOctets}, {"out", telemetry.OutPkts, telemetry.OutOctets}} {
		if in.Reported[way.packets] {
			all = append(all, history.Total{
				Key:     history.Key{Switch: name, Interface: in.Name, Direction: way.direction},
				Packets: in.Counters[way.packets], Octets: in.Counters[way.octets], Boot: boot,
			})
		}
	}
	return all
}
