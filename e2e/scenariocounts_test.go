package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"op25b/internal/demo"
	"op25b/internal/telemetry"
)

// metricsOf reads the metrics of a controller, by name.
func metricsOf(ctx context.Context, addr string) (map[string]*dto.MetricFamily, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return nil, fmt.Errorf("/metrics: %s: %s", res.Status, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(res.Body)
}

// labelOf returns the value of a label.
func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// sumBy sums the series of a metric by one of their labels.
func sumBy(f *dto.MetricFamily, label string) map[string]uint64 {
	sums := map[string]uint64{}
	for _, m := range f.GetMetric() {
		sums[labelOf(m, label)] += uint64(m.GetCounter().GetValue() + m.GetUntyped().GetValue() + m.GetGauge().GetValue())
	}
	return sums
}

// checkMetrics compares a controller's metrics with the frames of a report, by rule and by interface. The switch also reports the interface
// counters to a gNMI client that reads them once. checkMetrics waits for the sample that contains all frames.
func checkMetrics(ctx context.Context, addr, gnmi string, report *demo.Report) error {
	packets, octets := map[string]uint64{}, map[string]uint64{}
	for _, p := range report.Phases {
		for _, c := range p.Counters {
			packets[c.Rule] += c.Sent
			octets[c.Rule] += c.SentBytes
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("not within a minute"))
	defer cancel()
	client, err := telemetry.Dial(ctx, gnmi, telemetry.Options{})
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		err := compareMetrics(ctx, addr, client, packets, octets)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the metrics of the controller: %w: %w", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func compareMetrics(ctx context.Context, addr string, client *telemetry.Client, packets, octets map[string]uint64) error {
	families, err := metricsOf(ctx, addr)
	if err != nil {
		return err
	}
	for name, want := range map[string]map[string]uint64{"op25b_rule_packets_total": packets, "op25b_rule_octets_total": octets} {
		got := sumBy(families[name], "rule")
		for _, rules := range []map[string]uint64{want, got} {
			for rule := range rules {
				if got[rule] != want[rule] {
					return fmt.Errorf("%s of rule %q is %d, and %d were sent", name, rule, got[rule], want[rule])
				}
			}
		}
	}
	once, err := client.Once(ctx)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name    string
		in, out int
	}{
		{"op25b_interface_packets_total", telemetry.InPkts, telemetry.OutPkts},
		{"op25b_interface_octets_total", telemetry.InOctets, telemetry.OutOctets},
		{"op25b_interface_discards_total", telemetry.InDiscards, telemetry.OutDiscards},
	} {
		for _, m := range families[c.name].GetMetric() {
			counter := c.in
			if labelOf(m, "direction") == "out" {
				counter = c.out
			}
			in := once.Interface(labelOf(m, "interface"))
			if in == nil || in.Counters[counter] != uint64(m.GetCounter().GetValue()) {
				return fmt.Errorf("%s of %s is %v, and the switch says %+v", c.name, m, m.GetCounter().GetValue(), in)
			}
		}
	}
	return nil
}
