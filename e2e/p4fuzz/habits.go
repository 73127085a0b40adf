package p4fuzz

import p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

// Habits are what a switch makes of an accepted write that differs from the specification, so that a model of it can follow. The zero
// value has none.
type Habits struct {
	KeepsMeter  bool // a MODIFY without meter_config leaves the meter as it is; section 9.1.7 wants it reset
	FloatRates  bool // keeps rates as units a microsecond in floating point, and shows what comes of it
	NoExcess    bool // forgets eburst
	KeepsPorts  bool // shows the port of a replica in the bytes that were written; section 8.4 wants the shortest
	NoIsConst   bool // shows no is_const
	NoGroupData bool // forgets the metadata of a multicast group; section 9.5.1 wants it shown
}

// entry brings an entry that a write has made into the form that the switch shows. old is the entry before, if its meter was left out.
func (h Habits) entry(e, old *p4v1.TableEntry) {
	if e.MeterConfig == nil {
		if h.KeepsMeter {
			e.MeterConfig = old.GetMeterConfig()
		}
		return
	}
	e.MeterConfig = clone(e.MeterConfig)
	if h.NoExcess {
		e.MeterConfig.Eburst = 0
	}
	if h.FloatRates {
		e.MeterConfig.Cir, e.MeterConfig.Pir = throughFloat(e.MeterConfig.Cir), throughFloat(e.MeterConfig.Pir)
	}
}

// group does the same for a multicast group.
func (h Habits) group(g, written *p4v1.MulticastGroupEntry) {
	if h.KeepsPorts {
		for i, r := range written.GetReplicas() {
			g.Replicas[i].PortKind = &p4v1.Replica_Port{Port: r.GetPort()}
		}
	}
	if h.NoGroupData {
		g.Metadata = nil
	}
}

func throughFloat(rate int64) int64 { return int64(float64(rate) / 1e6 * 1e6) }
