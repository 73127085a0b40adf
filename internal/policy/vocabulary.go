package policy

import (
	"net/netip"

	"op25b/internal/pipeline"
	"op25b/internal/strict"
)

// The types of the vocabulary implement the methods by which package strict decodes text: Accepts and
// Parse, or Range.

func actions() []Action                { return []Action{Permit, Monitor, Limit, Reject, Drop} }
func knobs() []Knob                    { return []Knob{Knob(Permit), Knob(Monitor), Knob(Drop)} }
func sourceCheckValues() []SourceCheck { return []SourceCheck{SourceOff, SourceMonitor, SourceDrop} }
func addressings() []Addressing        { return []Addressing{Static, Dynamic} }
func foreigns() []ForeignTreatment     { return []ForeignTreatment{RemoveForeign, KeepForeign} }
func subscribers() []Subscriber        { return []Subscriber{Leased} }
func leaseTLSValues() []LeaseTLS       { return []LeaseTLS{TLSOptional, TLSRequired} }

// Accepts lists the valid actions.
func (Action) Accepts() string { return strict.OneOf(actions()) }

// Parse parses an action.
func (a *Action) Parse(text string) error { return strict.ParseWord(a, text, actions()) }

// Accepts lists the valid verdicts of a knob.
func (Knob) Accepts() string { return strict.OneOf(knobs()) }

// Parse parses a knob's verdict.
func (k *Knob) Parse(text string) error { return strict.ParseWord(k, text, knobs()) }

// Accepts lists the valid source checks.
func (SourceCheck) Accepts() string { return strict.OneOf(sourceCheckValues()) }

// Parse parses a source check.
func (c *SourceCheck) Parse(text string) error { return strict.ParseWord(c, text, sourceCheckValues()) }

// Accepts lists the valid access technologies.
func (AccessTechnology) Accepts() string { return strict.OneOf(accesses()) }

// Parse parses an access technology.
func (a *AccessTechnology) Parse(text string) error { return strict.ParseWord(a, text, accesses()) }

// Accepts lists the valid kinds of addressing.
func (Addressing) Accepts() string { return strict.OneOf(addressings()) }

// Parse parses a kind of addressing.
func (a *Addressing) Parse(text string) error { return strict.ParseWord(a, text, addressings()) }

// Accepts lists the valid treatments of foreign entries.
func (ForeignTreatment) Accepts() string { return strict.OneOf(foreigns()) }

// Parse parses a treatment of foreign entries.
func (f *ForeignTreatment) Parse(text string) error { return strict.ParseWord(f, text, foreigns()) }

// Accepts lists the subscribers to which a rule can be restricted.
func (Subscriber) Accepts() string { return strict.OneOf(subscribers()) }

// Parse parses a restriction to some subscribers.
func (s *Subscriber) Parse(text string) error { return strict.ParseWord(s, text, subscribers()) }

// Accepts lists the valid values of LeaseTLS.
func (LeaseTLS) Accepts() string { return strict.OneOf(leaseTLSValues()) }

// Parse parses a LeaseTLS.
func (l *LeaseTLS) Parse(text string) error { return strict.ParseWord(l, text, leaseTLSValues()) }

// Accepts lists the attributes that can name a line.
func (Identify) Accepts() string { return strict.OneOf(Identifiers()) }

// Parse parses the name of an attribute that can name a line.
func (i *Identify) Parse(text string) error { return strict.ParseWord(i, text, Identifiers()) }

// Accepts lists the valid legs.
func (Leg) Accepts() string { return strict.OneOf(Legs()) }

// Parse parses a leg.
func (l *Leg) Parse(text string) error { return strict.ParseWord(l, text, Legs()) }

// Accepts describes a date by an example.
func (Date) Accepts() string { return "a date such as 2006-10-01" }

// Parse parses a date as ParseDate does.
func (d *Date) Parse(text string) (err error) {
	*d, err = ParseDate(text)
	return err
}

// Accepts describes a moment by examples.
func (Moment) Accepts() string {
	return "a date such as 2006-10-01, or with a time as 2006-10-01T05:30"
}

// Parse parses a moment as ParseMoment does.
func (m *Moment) Parse(text string) (err error) {
	*m, err = ParseMoment(text)
	return err
}

// Accepts describes a UTC offset by an example.
func (Offset) Accepts() string { return "a distance from UTC such as +09:00" }

// Parse parses a UTC offset as ParseOffset does.
func (o *Offset) Parse(text string) (err error) {
	*o, err = ParseOffset(text)
	return err
}

// Accepts describes a duration by an example.
func (Duration) Accepts() string { return "a duration such as 10m" }

// Parse parses a duration as ParseDuration does.
func (d *Duration) Parse(text string) (err error) {
	*d, err = ParseDuration(text)
	return err
}

// Accepts describes a NAT64 prefix by examples.
func (NAT64) Accepts() string { return WellKnownNAT64 + ", or a prefix such as 2001:db8:64::/96" }

// Parse parses a NAT64 prefix, or the name WellKnownNAT64. Validate checks the prefix length.
func (n *NAT64) Parse(text string) error {
	if text == WellKnownNAT64 {
		n.Prefix = wellKnownNAT64
		return nil
	}
	p, err := netip.ParsePrefix(text)
	n.Prefix = p
	return err
}

// Range returns the smallest and largest TCP port number.
func (TCPPort) Range() (lo, hi uint64) { return 1, 65535 }

// Range returns the smallest and largest device_id. It excludes 0, which P4Runtime reads as "none", and
// numbers that do not fit a signed 64-bit integer.
func (DeviceID) Range() (lo, hi uint64) { return 1, 1<<63 - 1 }

// Range returns the smallest and largest number in a Rate.
func (Connections) Range() (lo, hi uint64) { return 1, uint64(MaxConnections) }

var (
	_ strict.Scalar = (*Action)(nil)
	_ strict.Scalar = (*Knob)(nil)
	_ strict.Scalar = (*SourceCheck)(nil)
	_ strict.Scalar = (*AccessTechnology)(nil)
	_ strict.Scalar = (*Addressing)(nil)
	_ strict.Scalar = (*ForeignTreatment)(nil)
	_ strict.Scalar = (*Identify)(nil)
	_ strict.Scalar = (*Leg)(nil)
	_ strict.Scalar = (*Moment)(nil)
	_ strict.Scalar = (*Date)(nil)
	_ strict.Scalar = (*Offset)(nil)
	_ strict.Scalar = (*Duration)(nil)
	_ strict.Scalar = (*Subscriber)(nil)
	_ strict.Scalar = (*LeaseTLS)(nil)
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
