package store

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// A collector collects the store's metrics at each scrape.
type collector struct{ s *Store }

var (
	usedDesc     = prometheus.NewDesc("op25b_store_file_bytes", "Size of the store's database file, which etcd's quota bounds.", nil, nil)
	inUseDesc    = prometheus.NewDesc("op25b_store_in_use_bytes", "Bytes of the store's database that hold content.", nil, nil)
	quotaDesc    = prometheus.NewDesc("op25b_store_quota_bytes", "Quota of the store's database; 0 if it is not known.", nil, nil)
	ordinaryDesc = prometheus.NewDesc("op25b_store_ordinary_bytes",
		"Bytes in use at which ordinary changes, such as apply, are refused; the rest of the quota is kept for changes of phase and the way back.", nil, nil)
	generationDesc = prometheus.NewDesc("op25b_store_generation",
		"How many stores this process has found behind its endpoints; above 1, the store was replaced by a backup or an empty store.", nil, nil)
	reachableDesc = prometheus.NewDesc("op25b_store_reachable", "1 if a majority of the store answered the last check, which is made every second.", nil, nil)
	readOnlyDesc  = prometheus.NewDesc("op25b_store_read_only", "1 if etcd refuses every change because its quota was reached.", nil, nil)
)

// Collector returns a collector of the store's metrics.
func (s *Store) Collector() prometheus.Collector { return collector{s} }

// Describe sends the descriptions of the metrics.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{usedDesc, inUseDesc, quotaDesc, ordinaryDesc, readOnlyDesc, generationDesc, reachableDesc} {
		ch <- d
	}
}

// Collect sends the metrics.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	sp := c.s.Space(context.Background())
	readOnly := 0.0
	if sp.ReadOnly {
		readOnly = 1
	}
	reachable := 1.0
	if _, since := c.s.sentinel.away(); !since.IsZero() {
		reachable = 0
	}
	for _, m := range []struct {
		desc  *prometheus.Desc
		value float64
	}{
		{usedDesc, float64(sp.Used)},
		{inUseDesc, float64(sp.InUse)},
		{quotaDesc, float64(sp.Quota)},
		{ordinaryDesc, float64(max(0, sp.Ordinary()))},
		{readOnlyDesc, readOnly},
		{generationDesc, float64(c.s.Generation().Number())},
		{reachableDesc, reachable},
	} {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, m.value)
	}
}

var _ prometheus.Collector = collector{}
