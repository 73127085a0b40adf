package controller

import (
	"path/filepath"

	"op25b/internal/abuse"
	"op25b/internal/pipeline"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
)

// watch returns the configuration of the watch on port 25. A controller that uses an etcd cluster has no directory of its own, and keeps the
// activity of lines in memory only.
func (c *Controller) watch(counters *tally.Tally) abuse.Config {
	cfg := c.cfg.Port25
	if c.cfg.Store.Dir != "" {
		cfg.Dir = filepath.Join(c.cfg.Store.Dir, "port25")
	}
	cfg.Book, cfg.Now, cfg.Metrics, cfg.Logger = c.book, c.clock.Trusted, abuse.NewMetrics(c.metrics), c.log
	cfg.Counters = func(switchName string) []abuse.LineCount {
		lines := counters.Lines(switchName)
		if lines == nil {
			return nil
		}
		all := make([]abuse.LineCount, 0, len(lines))
		for _, l := range lines {
			all = append(all, abuse.LineCount{
				Line: pipeline.LineIndex(l.Line), Monitored: l.Outcomes[telemetry.Monitored].Packets,
				Stopped: l.Outcomes[telemetry.Stopped].Packets, Unsolicited: l.Outcomes[telemetry.Unsolicited].Packets,
			})
		}
		return all
	}
	return cfg
}
