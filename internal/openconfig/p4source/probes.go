package p4source

import (
	"fmt"

	p4configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"

	"op25b/internal/openconfig"
)

// A ProbeLayout describes the counter of probes by epoch, leg and rule. Probes are packets of a controller, and no traffic, but the entries that
// count by leg count them too.
type ProbeLayout struct {
	CounterID   uint32
	CounterName string
	// EpochBits and RuleBits are the widths of the low bits of the epoch, which are the high bits of the index, and of the rule, which is its low bits.
	// Between them are two bits for the leg less 1.
	EpochBits, RuleBits int
	Size                int64 // cells
}

// Index returns the index of the probes that hit an entry.
func (l *ProbeLayout) Index(epoch uint8, leg openconfig.Leg, rule uint32) int64 {
	return int64(epoch)&(1<<l.EpochBits-1)<<(l.RuleBits+2) | int64(leg-1)<<l.RuleBits | int64(rule)
}

func findProbes(info *p4configv1.P4Info) (*ProbeLayout, error) {
	a, err := find(info, "@op25b_probes")
	if a == nil || err != nil {
		return nil, err
	}
	if err := a.counts(true); err != nil {
		return nil, err
	}
	set, err := a.settings(probesForm, "epoch_bits", "rule_bits")
	if err != nil {
		return nil, err
	}
	epoch, err := a.bits("epoch_bits", set["epoch_bits"], 1, 8)
	if err != nil {
		return nil, err
	}
	rule, err := a.bits("rule_bits", set["rule_bits"], 1, 8)
	if err != nil {
		return nil, err
	}
	c := a.indexed
	if c.GetSize() != 4<<(epoch+rule) {
		return nil, a.fail(fmt.Errorf("%d cells; %d epochs of 4 legs need %d", c.GetSize(), 1<<epoch, 4<<(epoch+rule)))
	}
	return &ProbeLayout{CounterID: c.GetPreamble().GetId(), CounterName: a.name, EpochBits: epoch, RuleBits: rule, Size: c.GetSize()}, nil
}

// Unprobed takes probes off the counters by leg. It must be told each reading, in order, and the zero value begins. It must not be used concurrently.
type Unprobed struct {
	begun  bool
	last   map[legKey]openconfig.Tally // the counters as last read
	net    map[legKey]openconfig.Tally // the counters without probes
	probed map[int64]openconfig.Tally  // the probes as last read, by index
	open   map[int64]openconfig.Tally  // probes that are not taken off yet
}

// Take returns the counters without probes. cell returns the probes of an index; they must be read after the counters, so that no counter has a probe
// that is not known. Probes that the counters do not have yet are taken off at the next reading. A probe of a leg may have hit an entry for every
// leg.
func (u *Unprobed) Take(all []openconfig.LegEntry, l *ProbeLayout, cell func(index int64) openconfig.Tally) []openconfig.LegEntry {
	if u.probed == nil {
		u.probed, u.open = make(map[int64]openconfig.Tally), make(map[int64]openconfig.Tally)
	}
	for i := range l.Size {
		if n := cell(i); n != u.probed[i] {
			u.open[i] = plus(u.open[i], grown(u.probed[i], n))
			u.probed[i] = n
		}
	}
	last, net := make(map[legKey]openconfig.Tally, len(all)), make(map[legKey]openconfig.Tally, len(all))
	behind := make(map[int64]openconfig.Tally) // probes that the counters do not have yet
	out := make([]openconfig.LegEntry, len(all))
	for i, e := range all {
		k := legKey{e.Epoch, e.Leg, e.SequenceID}
		last[k] = e.Matched
		added := grown(u.last[k], e.Matched)
		legs := []openconfig.Leg{e.Leg}
		if e.Leg == openconfig.LegAny {
			legs = []openconfig.Leg{openconfig.LegUpDst, openconfig.LegDownSrc, openconfig.LegDownDst, openconfig.LegUpSrc}
		}
		for _, leg := range legs {
			at := l.Index(e.Epoch, leg, e.SequenceID)
			if added = u.takeOff(added, at); u.open[at] != (openconfig.Tally{}) {
				behind[at] = u.open[at]
			}
		}
		if net[k] = plus(u.net[k], added); e.Matched.Packets < u.last[k].Packets { // the entry is new
			net[k] = added
		}
		e.Matched = net[k]
		out[i] = e
	}
	if !u.begun { // the probes that are left were of entries that are gone
		u.begun, behind = true, make(map[int64]openconfig.Tally)
	}
	u.last, u.net, u.open = last, net, behind
	return out
}

// takeOff takes the probes of an index off what a counter has grown by.
func (u *Unprobed) takeOff(added openconfig.Tally, at int64) openconfig.Tally {
	open := u.open[at]
	off := openconfig.Tally{Packets: min(open.Packets, added.Packets), Octets: min(open.Octets, added.Octets)}
	u.open[at] = openconfig.Tally{Packets: open.Packets - off.Packets, Octets: open.Octets - off.Octets}
	return openconfig.Tally{Packets: added.Packets - off.Packets, Octets: added.Octets - off.Octets}
}

// grown returns what a counter has grown by. A counter that has decreased began anew.
func grown(was, is openconfig.Tally) openconfig.Tally {
	if is.Packets < was.Packets || is.Octets < was.Octets {
		return is
	}
	return openconfig.Tally{Packets: is.Packets - was.Packets, Octets: is.Octets - was.Octets}
}

func plus(a, b openconfig.Tally) openconfig.Tally {
	return openconfig.Tally{Packets: a.Packets + b.Packets, Octets: a.Octets + b.Octets}
}
