package p4fuzz

import p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

// Habits are a switch's deviations from the specification in how it stores accepted writes. A Model reproduces them. The zero value means
// that there are none.
type Habits struct {
	KeepsMeter  bool // a MODIFY without meter_config leaves the meter unchanged, although section 9.1.7 requires a reset
	FloatRates  bool // rates are stored as floating-point units per microsecond and returned rounded
	NoExcess    bool // eburst is lost
	KeepsPorts  bool // a replica's port is returned as it was written, although section 8.4 requires the shortest form
	NoIsConst   bool // is_const is not returned
	NoGroupData bool // a multicast group's metadata is lost, although section 9.5.1 requires it in reads
}

// entry converts a written entry to the form that the switch returns. If the switch keeps an omitted meter, the meter is taken from old,
// which is the previous entry.
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
