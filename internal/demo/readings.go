package demo

import (
	"context"
	"time"

	"op25b/internal/telemetry"
)

// A count is a number of frames and of their bytes.
type count struct{ packets, octets uint64 }

func (c count) plus(d count) count { return count{c.packets + d.packets, c.octets + d.octets} }

// ruleCounts are the ACL counters of one interface, by rule id.
type ruleCounts map[uint32]count

// minus returns the counters that have moved since earlier, and by how much.
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

// sentCounts are the frames sent into each interface, by the name of the rule that should match them.
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

// read returns the ACL counters of every interface, by its name.
func (r *readings) read(ctx context.Context) (map[string]ruleCounts, error) {
	snapshot, err := r.client.Once(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]ruleCounts{}
	for name, in := range snapshot.Interfaces {
		all[name] = ruleCounts{}
		for key, n := range in.ACL {
			all[name][key.SequenceID] = count{n.Packets.Value, n.Octets.Value}
		}
	}
	return all, nil
}

// settled reads until an interface has counted as much as was sent to it, and returns the counters that moved. Frames may still be on their
// way, and no switch reports that it has counted one. After the time settle it returns what it has read, and the difference becomes part of
// the report.
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
