package p4fuzz

import p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

// Habits are a switch's deviations from the specification in how it stores accepted writes. A Model applies the same deviations. The zero
// value has no deviations.
type Habits struct {
	KeepsMeter  bool // a MODIFY without meter_config leaves the meter unchanged; section 9.1.7 requires a reset
	FloatRates  bool // stores rates as floating-point units per microsecond, and returns the rounded values
	NoExcess    bool // loses eburst
	KeepsPorts  bool // returns the port of a replica with the bytes of the write; section 8.4 requires the shortest form
	NoIsConst   bool // does not return is_const
	NoGroupData bool // loses the metadata of a multicast group; section 9.5.1 requires it in reads
}

// entry converts a written entry to the form that the switch returns. old is the previous entry, from which an omitted meter is taken.
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

// group converts a written multicast group to the form that the switch returns.
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
