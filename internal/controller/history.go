package controller

import (
	"context"
	"time"

	"op25b/internal/tally"
	"op25b/internal/telemetry/history"
)

// History configures the history of counters. At most one of the fields may be set; the zero value means no history.
type History struct {
	// File is the file in which this controller keeps the history of the switches that it owns.
	File string
	// Prometheus is the URL of a Prometheus server that scrapes all controllers.
	Prometheus string
}

// recordEvery is the pause between two records of counters, which is the finest resolution of a history.
const recordEvery = time.Minute

// openHistory opens the history that c is configured with. It returns history.ErrConfig or history.ErrInUse.
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

// recordHistory records the counters of the owned switches until ctx ends, in the middle of each minute and at the end. It also records a switch
// when its values become current, because its history begins with its first record, and when they no longer are. The history logs its
// errors, which do not end the controller: nothing is lost, because the next record counts from the last one that was stored.
func recordHistory(ctx context.Context, h *history.Store, counters *tally.Tally) {
	var current map[string]bool // the switches whose values were current at the last record
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

// untilRecord returns the time until the middle of a minute.
func untilRecord(now time.Time) time.Duration {
	next := now.Truncate(recordEvery).Add(recordEvery / 2)
	if !next.After(now) {
		next = next.Add(recordEvery)
	}
	return next.Sub(now)
}

// reported returns the counters of the wanted owned switches, and the names of all owned switches whose values are current.
func reported(counters *tally.Tally, wanted func(name string, current bool) bool) (all []history.Total, current map[string]bool) {
	current = make(map[string]bool)
	for _, name := range counters.Owned() {
		of, boot, is := counters.Reported(name)
		if is = is && len(of) > 0; is { // a new switch has no counters of rules until its rules are written
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
	}
	return all, current
}
