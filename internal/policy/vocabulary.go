package policy

import (
	"net/netip"

	"op25b/internal/pipeline"
	"op25b/internal/strict"
)

// The text forms of the vocabulary. Package strict decodes each type by these methods.

func actions() []Action                { return []Action{Permit, Monitor, Limit, Reject, Drop} }
func knobs() []Knob                    { return []Knob{Knob(Permit), Knob(Monitor), Knob(Drop)} }
func sourceCheckValues() []SourceCheck { return []SourceCheck{SourceOff, SourceMonitor, SourceDrop} }
func addressings() []Addressing        { return []Addressing{Static, Dynamic} }
func foreigns() []ForeignTreatment     { return []ForeignTreatment{RemoveForeign, KeepForeign} }

// Accepts lists the actions.
func (Action) Accepts() string { return strict.OneOf(actions()) }

// Parse reads an action.
func (a *Action) Parse(text string) error { return strict.ParseWord(a, text, actions()) }

// Accepts lists the verdicts of a knob.
func (Knob) Accepts() string { return strict.OneOf(knobs()) }

// Parse reads the verdict of a knob.
func (k *Knob) Parse(text string) error { return strict.ParseWord(k, text, knobs()) }

// Accepts lists the source checks.
func (SourceCheck) Accepts() string { return strict.OneOf(sourceCheckValues()) }

// Parse reads a source check.
func (c *SourceCheck) Parse(text string) error { return strict.ParseWord(c, text, sourceCheckValues()) }

// Accepts lists the technologies of access.
func (AccessTechnology) Accepts() string { return strict.OneOf(accesses()) }

// Parse reads a technology of access.
func (a *AccessTechnology) Parse(text string) error { return strict.ParseWord(a, text, accesses()) }

// Accepts lists the kinds of addressing.
func (Addressing) Accepts() string { return strict.OneOf(addressings()) }

// Parse reads a kind of addressing.
func (a *Addressing) Parse(text string) error { return strict.ParseWord(a, text, addressings()) }

// Accepts lists the treatments of foreign entries.
func (ForeignTreatment) Accepts() string { return strict.OneOf(foreigns()) }

// Parse reads a treatment of foreign entries.
func (f *ForeignTreatment) Parse(text string) error { return strict.ParseWord(f, text, foreigns()) }

// Accepts lists the legs.
func (Leg) Accepts() string { return strict.OneOf(Legs()) }

// Parse reads a leg.
func (l *Leg) Parse(text string) error { return strict.ParseWord(l, text, Legs()) }

// Accepts shows a date.
func (Date) Accepts() string { return "a date such as 2006-10-01" }

// Parse reads a date as ParseDate does.
func (d *Date) Parse(text string) (err error) {
	*d, err = ParseDate(text)
	return err
}

// Accepts shows a UTC offset.
func (Offset) Accepts() string { return "a distance from UTC such as +09:00" }

// Parse reads a UTC offset as ParseOffset does.
func (o *Offset) Parse(text string) (err error) {
	*o, err = ParseOffset(text)
	return err
}

// Accepts shows a NAT64 prefix.
func (NAT64) Accepts() string { return WellKnownNAT64 + ", or a prefix such as 2001:db8:64::/96" }

// Parse reads a NAT64 prefix, or WellKnownNAT64. Validate checks its length.
func (n *NAT64) Parse(text string) error {
	if text == WellKnownNAT64 {
		n.Prefix = wellKnownNAT64
		return nil
	}
	p, err := netip.ParsePrefix(text)
	n.Prefix = p
	return err
}

// Range returns the range of TCP port numbers.
func (TCPPort) Range() (lo, hi uint64) { return 1, 65535 }

// Range excludes 0, which P4Runtime reads as "none", and numbers that do not fit a signed 64-bit integer.
func (DeviceID) Range() (lo, hi uint64) { return 1, 1<<63 - 1 }

// Range ends at MaxConnections.
func (Connections) Range() (lo, hi uint64) { return 1, uint64(MaxConnections) }

var (
	_ strict.Scalar = (*Action)(nil)
	_ strict.Scalar = (*Knob)(nil)
	_ strict.Scalar = (*SourceCheck)(nil)
	_ strict.Scalar = (*AccessTechnology)(nil)
	_ strict.Scalar = (*Addressing)(nil)
	_ strict.Scalar = (*ForeignTreatment)(nil)
	_ strict.Scalar = (*Leg)(nil)
	_ strict.Scalar = (*Date)(nil)
	_ strict.Scalar = (*Offset)(nil)
	_ strict.Scalar = (*NAT64)(nil)
	_ strict.Scalar = (*pipeline.MAC)(nil)
	_ strict.Scalar = (*pipeline.PortRole)(nil)
	_ strict.Number = TCPPort(0)
	_ strict.Number = DeviceID(0)
	_ strict.Number = Connections(0)
	_ strict.Number = pipeline.Port(0)
	_ strict.Number = pipeline.VID(0)
	_ strict.Number = pipeline.Session(0)
)
