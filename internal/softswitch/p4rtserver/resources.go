package p4rtserver

import (
	"fmt"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/extern"
)

// prefixed prepends text to a status's message and keeps the code.
func prefixed(err error, format string, args ...any) error {
	st := status.Convert(err)
	return status.Error(st.Code(), fmt.Sprintf(format, args...)+st.Message())
}

func errMeterCounters() error {
	return status.Error(codes.Unimplemented, "meter counter data: v1model's meters do not count by color")
}

func counterValue(d *p4v1.CounterData) engine.CounterValue {
	return engine.CounterValue{Packets: uint64(d.GetPacketCount()), Bytes: uint64(d.GetByteCount())}
}

func counterData(v engine.CounterValue) *p4v1.CounterData {
	return &p4v1.CounterData{PacketCount: int64(v.Packets), ByteCount: int64(v.Bytes)}
}

func checkCounter(d *p4v1.CounterData) error {
	if d.GetPacketCount() < 0 || d.GetByteCount() < 0 {
		return fmt.Errorf("%d packets, %d bytes: neither may be negative", d.GetPacketCount(), d.GetByteCount())
	}
	return nil
}

// meterConfig converts a meter configuration for the engine. nil stays nil, which means green for all packets.
func meterConfig(c *p4v1.MeterConfig) *extern.MeterConfig {
	if c == nil {
		return nil
	}
	return &extern.MeterConfig{CIR: c.Cir, CBurst: c.Cburst, PIR: c.Pir, PBurst: c.Pburst}
}

func meterProto(c extern.MeterConfig) *p4v1.MeterConfig {
	return &p4v1.MeterConfig{Cir: c.CIR, Cburst: c.CBurst, Pir: c.PIR, Pburst: c.PBurst}
}

// checkMeter checks a meter configuration against the meter's type (spec 9.4) and the requirements of a two-rate
// marker.
func checkMeter(c *p4v1.MeterConfig, spec *p4cfg.MeterSpec) error {
	one := c.Pir == c.Cir && c.Pburst == c.Cburst
	switch spec.GetType() {
	case p4cfg.MeterSpec_TWO_RATE_THREE_COLOR:
		if c.Eburst != 0 {
			return invalidf("eburst %d: it must be 0 for a two-rate meter", c.Eburst)
		}
	case p4cfg.MeterSpec_SINGLE_RATE_TWO_COLOR:
		if !one || c.Eburst != 0 {
			return invalidf("a single-rate two-color meter needs pir = cir, pburst = cburst and eburst = 0; got cir %d, cburst %d, pir %d, pburst %d, eburst %d", c.Cir, c.Cburst, c.Pir, c.Pburst, c.Eburst)
		}
	case p4cfg.MeterSpec_SINGLE_RATE_THREE_COLOR:
		if !one {
			return invalidf("a single-rate three-color meter needs pir = cir and pburst = cburst; got cir %d, cburst %d, pir %d, pburst %d", c.Cir, c.Cburst, c.Pir, c.Pburst)
		}
		if c.Eburst != 0 {
			return status.Errorf(codes.Unimplemented, "eburst %d: the excess burst of RFC 2697 is not supported; 0 is", c.Eburst)
		}
	}
	if err := meterConfig(c).Validate(); err != nil {
		return invalidf("%v", err)
	}
	return nil
}

// cells returns the range of cells that an index selects: one cell, or all cells if idx is nil.
func (a *array) cells(kind string, idx *p4v1.Index) (from, to int64, err error) {
	switch {
	case idx == nil:
		return 0, a.size, nil
	case idx.Index < 0:
		return 0, 0, invalidf("%s %q: index %d: it must not be negative", kind, a.name, idx.Index)
	case idx.Index >= a.size:
		return 0, 0, status.Errorf(codes.OutOfRange, "%s %q: index %d: it has cells 0 to %d", kind, a.name, idx.Index, a.size-1)
	}
	return idx.Index, idx.Index + 1, nil
}

func (p *pipeline) arrayOf(kind string, in map[uint32]*array, id uint32) (*array, error) {
	if a, ok := in[id]; ok {
		return a, nil
	}
	return nil, invalidf("%s id %#x (%s): not a %s of the P4Info", kind, id, p.schema.nameOf(id), kind)
}

// writeCounter sets one cell or all cells of an indexed counter (spec 9.3.2).
func (p *pipeline) writeCounter(op p4v1.Update_Type, e *p4v1.CounterEntry) error {
	if err := onlyModify(op, "counter entry"); err != nil {
		return err
	}
	a, err := p.arrayOf("counter", p.schema.counters, e.GetCounterId())
	if err != nil {
		return err
	}
	from, to, err := a.cells("counter", e.Index)
	if err != nil {
		return err
	}
	if err := checkCounter(e.Data); err != nil {
		return invalidf("counter %q: data: %v", a.name, err)
	}
	if e.Data == nil { // without data, nothing changes
		return nil
	}
	for i := from; i < to; i++ {
		if err := a.counter.Write(int(i), counterValue(e.Data)); err != nil {
			return engineError(err)
		}
	}
	return nil
}

// writeMeter configures one cell or all cells of an indexed meter (spec 9.4.2).
func (p *pipeline) writeMeter(op p4v1.Update_Type, e *p4v1.MeterEntry) error {
	if err := onlyModify(op, "meter entry"); err != nil {
		return err
	}
	a, err := p.arrayOf("meter", p.schema.meters, e.GetMeterId())
	if err != nil {
		return err
	}
	from, to, err := a.cells("meter", e.Index)
	if err != nil {
		return err
	}
	if e.CounterData != nil {
		return errMeterCounters()
	}
	if e.Config != nil {
		if err := checkMeter(e.Config, a.meterSpec); err != nil {
			return prefixed(err, "meter %q: config: ", a.name)
		}
	}
	for i := from; i < to; i++ {
		if err := a.meter.Write(int(i), meterConfig(e.Config)); err != nil {
			return engineError(err)
		}
	}
	return nil
}

// writeRegister sets one cell or all cells of a register (spec 9.7).
func (p *pipeline) writeRegister(op p4v1.Update_Type, e *p4v1.RegisterEntry) error {
	if err := onlyModify(op, "register entry"); err != nil {
		return err
	}
	a, err := p.arrayOf("register", p.schema.registers, e.GetRegisterId())
	if err != nil {
		return err
	}
	from, to, err := a.cells("register", e.Index)
	if err != nil {
		return err
	}
	words, err := a.data.decode(e.Data)
	if err != nil {
		return invalidf("register %q: %v", a.name, err)
	}
	for i := from; i < to; i++ {
		if err := a.register.Write(int(i), words[0]); err != nil {
			return engineError(err)
		}
	}
	return nil
}

// directEntry finds the table entry to which a direct resource belongs.
func (p *pipeline) directEntry(kind string, e *p4v1.TableEntry) (*table, engine.Entry, error) {
	var no engine.Entry
	if e == nil {
		return nil, no, invalidf("%s: table_entry: missing", kind)
	}
	t, err := p.tableOf(e.TableId)
	if err != nil {
		return nil, no, err
	}
	if kind == "direct counter" && t.counter == nil || kind == "direct meter" && t.meter == nil {
		return nil, no, invalidf("table %q: it has no %s", t.name, kind)
	}
	if e.IsDefaultAction {
		return nil, no, errDefaultResources(t)
	}
	en, err := t.key(e)
	if err != nil {
		return nil, no, err
	}
	if _, ok := t.prog.Get(en.Matches, en.Priority); !ok {
		return nil, no, status.Errorf(codes.NotFound, "table %q: %s: no entry with this match and priority", t.name, kind)
	}
	return t, en, nil
}

// writeDirectCounter sets the counter of a table entry (spec 9.3.1).
func (p *pipeline) writeDirectCounter(op p4v1.Update_Type, e *p4v1.DirectCounterEntry) error {
	if err := onlyModify(op, "direct counter entry"); err != nil {
		return err
	}
	t, en, err := p.directEntry("direct counter", e.GetTableEntry())
	if err != nil {
		return err
	}
	if err := checkCounter(e.Data); err != nil {
		return invalidf("table %q: direct counter: data: %v", t.name, err)
	}
	if e.Data == nil { // without data, nothing changes
		return nil
	}
	if err := t.prog.WriteCounter(en.Matches, en.Priority, counterValue(e.Data)); err != nil {
		return engineError(err)
	}
	return nil
}

// writeDirectMeter configures the meter of a table entry (spec 9.4.1).
func (p *pipeline) writeDirectMeter(op p4v1.Update_Type, e *p4v1.DirectMeterEntry) error {
	if err := onlyModify(op, "direct meter entry"); err != nil {
		return err
	}
	if e.GetCounterData() != nil {
		return errMeterCounters()
	}
	t, en, err := p.directEntry("direct meter", e.GetTableEntry())
	if err != nil {
		return err
	}
	if e.Config != nil {
		if err := checkMeter(e.Config, t.meter.GetSpec()); err != nil {
			return prefixed(err, "table %q: direct meter: config: ", t.name)
		}
	}
	if err := t.prog.WriteMeter(en.Matches, en.Priority, meterConfig(e.Config)); err != nil {
		return engineError(err)
	}
	return nil
}
