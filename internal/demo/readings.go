package demo

import (
	"context"
	"time"

	"op25b/internal/telemetry"
)

// A count is a number of frames and the total number of their bytes.
type count struct{ packets, octets uint64 }

func (c count) plus(d count) count { return count{c.packets + d.packets, c.octets + d.octets} }

// ruleCounts maps rule ids to the ACL counters of one interface.
type ruleCounts map[uint32]count

// minus returns how much each counter has grown since earlier. Counters that have not changed are left out.
func (c ruleCounts) minus(earlier ruleCounts) ruleCounts {
	moved := ruleCounts{}
	for id, n := range c {
		if e := earlier[id]; n != e {
			moved[id] = count{n.packets - e.packets, n.octets - e.octets}
		}
	}
	return moved
}

func (c ruleCounts) total() count {
	var t count
	for _, n := range c {
		t = t.plus(n)
	}
	return t
}

// sentCounts counts the frames sent into each interface. The keys are the interface and the rule that should match the frames.
type sentCounts map[string]map[string]count

func (s sentCounts) add(name, rule string, n count) {
	if n == (count{}) {
		return
	}
	if s[name] == nil {
		s[name] = map[string]count{}
	}
	s[name][rule] = s[name][rule].plus(n)
}

func (s sentCounts) merge(other sentCounts) {
	for name, rules := range other {
		for rule, n := range rules {
			s.add(name, rule, n)
		}
	}
}

// readings reads the switch's counters over gNMI.
type readings struct{ client *telemetry.Client }

func newReadings(ctx context.Context, addr string) (*readings, error) {
	client, err := telemetry.Dial(ctx, addr, telemetry.Options{})
	if err != nil {
		return nil, err
	}
	return &readings{client}, nil
}

func (r *readings) Close() error { return r.client.Close() }

// read returns the ACL counters of every interface. The key is the interface's name.
func (r *readings) read(ctx context.Context) (map[string]ruleCounts, error) {
	reading, err := r.client.Once(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]ruleCounts{}
	for _, in := range reading.Interfaces {
		all[in.Name] = ruleCounts{}
		for _, e := range in.ACL {
			all[in.Name][e.SequenceID] = count{e.Packets, e.Octets}
		}
	}
	return all, nil
}

// settled reads an interface's counters until they equal the frames sent to it, and returns the differences from before. It polls, because
// frames may still be in transit and a switch does not report changes of counters. If the counters still differ after the duration settle,
// settled returns the last reading, and the report shows the difference.
func (r *readings) settled(ctx context.Context, name string, before ruleCounts, sent count) (ruleCounts, error) {
	for deadline := time.Now().Add(settle); ; {
		now, err := r.read(ctx)
		if err != nil {
			return nil, err
		}
		moved := now[name].minus(before)
		if moved.total() == sent || time.Now().After(deadline) {
			return moved, nil
		}
	}
}
