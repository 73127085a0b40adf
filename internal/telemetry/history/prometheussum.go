package history

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Sum implements History.
//
// A step is recorded while the metric op25b_telemetry_up of a switch is 1. It is read at most 60 times in a step, at least 15 s apart. A rate is the
// increase divided by the whole step, because Prometheus does not say which part of an increase belongs to the recorded time. It is therefore too
// low in a step that was recorded in part. An increase in a step without recorded time counts as counted in a gap, and no increase in such a step
// means that nothing is known.
func (p *Prometheus) Sum(ctx context.Context, q SumQuery) (*Sums, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	sp, err := q.plan(func(int, uint32) bool { return false }, func(span) int { return 0 })
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	metrics, label, by := [2]string{packetsMetric, octetsMetric}, "rule", "rule, leg"
	if q.Kind == Interfaces {
		metrics, label, by = [2]string{framesMetric, bytesMetric}, "interface", "interface, direction"
	}
	all := make(answer)
	for i, metric := range metrics {
		expr := fmt.Sprintf("sum by (%s) (increase(%s{%s}[%dm]))", by, metric, matchers(q.Switches, label, q.Names), sp.step)
		if err := p.ask(ctx, expr, sp, all, i == 1); err != nil {
			return nil, err
		}
		if len(all) > MaxRows {
			return nil, p.failed(fmt.Errorf("%w: %d rows: at most %d; name rules or interfaces", ErrBound, len(all), MaxRows))
		}
	}
	every := max(15, sp.step) // in seconds
	ups := make(answer)
	expr := fmt.Sprintf("sum(count_over_time((max by (switch) (%s{%s}) == 1)[%dm:%ds]))", upMetric, matchers(q.Switches, "", nil), sp.step, every)
	if err := p.ask(ctx, expr, sp, ups, false); err != nil {
		return nil, err
	}
	res := &Sums{From: sp.start(0), To: sp.start(sp.points()), Step: sp.length(), Covered: make([]time.Duration, sp.points())}
	most := time.Duration(len(setOf(q.Switches))) * sp.length()
	for i, n := range ups[Key{}] {
		if res.Covered[i] = most; n.Packets <= uint64(most/time.Second) { // n is a number from another program
			res.Covered[i] = min(most, time.Duration(n.Packets)*time.Duration(every)*time.Second)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(all), compareKeys) {
		if points := all.sumPoints(k, res); len(points) > 0 {
			res.Rows = append(res.Rows, Row{k, points})
		}
	}
	return res, nil
}

// sumPoints returns the points of a row.
func (a answer) sumPoints(k Key, res *Sums) (points []SumPoint) {
	for _, i := range slices.Sorted(maps.Keys(a[k])) {
		n := a[k][i]
		p := SumPoint{At: i, Packets: n.Packets, Octets: n.Octets}
		switch {
		case res.Covered[i] > 0:
			p.Rated, p.PacketRate, p.OctetRate = true, float64(n.Packets)/res.Step.Seconds(), float64(n.Octets)/res.Step.Seconds()
		case n.Packets == 0 && n.Octets == 0:
			continue
		default:
			p.GapPackets, p.GapOctets = n.Packets, n.Octets
		}
		points = append(points, p)
	}
	return points
}
