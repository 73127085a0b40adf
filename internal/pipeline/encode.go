package pipeline

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"op25b/internal/p4entry"
)

// Entries returns the entries of the state in the order of Key.Compare. It excludes rules, for which RuleEntries and EpochEntry exist.
// An entry of the state replaces an entry of Shared with the same key. Entries returns ErrInvalid, with all faults, if the state is
// invalid.
func (s *State) Entries() ([]Entry, error) {
	own, err := s.own()
	if s.Shared == nil || err != nil {
		return own, err
	}
	shared, err := s.Shared.entries()
	if err != nil {
		return nil, err
	}
	return merge(own, shared), nil
}

func (s *State) own() ([]Entry, error) {
	b := &builder{entries: make([]Entry, 0, s.size())}
	b.state(s)
	b.rejectFrom(s.RejectFrom)
	return b.done()
}

// merge merges two sorted lists. If both lists have an entry with the same key, merge keeps the entry of own.
func merge(own, shared []Entry) []Entry {
	all := make([]Entry, 0, len(own)+len(shared))
	for len(own) > 0 && len(shared) > 0 {
		switch order := compareEntries(own[0], shared[0]); {
		case order < 0:
			all, own = append(all, own[0]), own[1:]
		case order > 0:
			all, shared = append(all, shared[0]), shared[1:]
		default:
			shared = shared[1:]
		}
	}
	return append(append(all, own...), shared...)
}

// Merge returns the entries of two lists in the order of Key.Compare. own must be in this order; more may be in any order. If both lists have an
// entry with the same key, the entry of own remains.
func Merge(own, more []Entry) []Entry {
	sorted := slices.SortedFunc(slices.Values(more), compareEntries)
	return merge(own, slices.CompactFunc(sorted, func(a, b Entry) bool { return a.Key == b.Key }))
}

// RuleEntries returns the entries of a rule set under an epoch, in the order of Key.Compare. It returns ErrInvalid, with all faults, if
// the rule set or the epoch is invalid.
func RuleEntries(verdicts map[VerdictKey]Verdict, epoch Epoch) ([]Entry, error) {
	b := &builder{entries: make([]Entry, 0, len(verdicts))}
	if epoch == 0 {
		b.fault("epoch 0 is never given to a rule set; valid are 1 to 255")
	}
	for k, v := range verdicts {
		b.verdict(epoch, k, v)
	}
	return b.done()
}

func (b *builder) state(s *State) {
	for port, role := range s.Ports {
		b.port(port, role)
	}
	for k, v := range s.Lines {
		b.line(k, v)
	}
	for k, v := range s.Services {
		b.service(k, v)
	}
	for p, class := range s.Remotes {
		if e := b.prefix(remoteV4Table, remoteV6Table, "remote", p, class); e != nil {
			e.Value.does(setRemoteClassAction, uint64(class))
		}
	}
	for p, x := range s.Subscribers {
		b.subscriber(p, x)
	}
	for group, check := range s.SourceChecks {
		b.sourceCheck(group, check)
	}
	for k := range s.Sources {
		b.source(k)
	}
	for k, rate := range s.Limits {
		b.limit(k, rate)
	}
	for mac, at := range s.Bridge {
		b.bridge(mac, at)
	}
	for k, port := range s.LinePorts {
		b.linePort(k, port)
	}
	b.group(networkPortsGroup, s.NetworkPorts)
	b.group(allPortsGroup, s.AllPorts)
}

// done returns the sorted entries, or ErrInvalid with all faults.
func (b *builder) done() ([]Entry, error) {
	if len(b.faults) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(b.faults...))
	}
	slices.SortFunc(b.entries, compareEntries)
	return b.entries, nil
}

// SubscriberEntry returns the entry that gives the addresses of a prefix a class. It returns ErrInvalid if the prefix, the class or the line is
// invalid.
func SubscriberEntry(p netip.Prefix, x Subscriber) (Entry, error) {
	var b builder
	b.subscriber(p, x)
	return b.one()
}

// SourceEntry returns the entry that binds an address range to a line. It returns ErrInvalid if the line or the range is invalid.
func SourceEntry(k SourceKey) (Entry, error) {
	var b builder
	b.source(k)
	return b.one()
}

// one returns the only entry, or ErrInvalid.
func (b *builder) one() (Entry, error) {
	if len(b.faults) > 0 {
		return Entry{}, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(b.faults...))
	}
	return b.entries[0], nil
}

// EpochEntry returns the default entry that puts an epoch in force. If synOnly is true, the rules stop only new connections. Like every
// default entry, it can only be modified.
func EpochEntry(epoch Epoch, synOnly bool) Entry {
	drain := uint64(0)
	if synOnly {
		drain = 1
	}
	e := Entry{Key: Key{table: runningEpochTable, standard: true}}
	e.Value.does(setEpochAction, uint64(epoch), drain)
	return e
}

// size estimates the number of entries of the state, excluding the entries of Shared.
func (s *State) size() int {
	return len(s.Ports) + len(s.Lines) + len(s.Services) + len(s.Remotes) + len(s.Subscribers) + len(s.SourceChecks) + len(s.Sources) +
		len(s.Limits) + len(s.Bridge) + len(s.LinePorts) + 3
}

type builder struct {
	entries []Entry
	faults  []error
}

func (b *builder) fault(format string, args ...any) {
	b.faults = append(b.faults, fmt.Errorf(format, args...))
}

// add appends an entry and returns a pointer to it. The pointer is valid until the next call of add.
func (b *builder) add(t Table) *Entry {
	b.entries = append(b.entries, Entry{Key: Key{table: t}})
	return &b.entries[len(b.entries)-1]
}

func (b *builder) port(port Port, role PortRole) {
	if port > MaxPort || role > Network {
		b.fault("port %d of role %d: the port must be at most %d and the role access (0) or network (1)", port, role, MaxPort)
		return
	}
	e := b.add(portRoleTable)
	e.Key.exactly(portRolePortKey, uint64(port))
	e.Value.does(setRoleAction, uint64(role))
}

func (b *builder) line(k LineKey, v Line) {
	if k.Port > MaxPort || k.OuterVID > MaxVID || k.InnerVID > MaxVID || k.Session > MaxSession || v.Index == 0 || v.Index > MaxLineIndex {
		b.fault("line %+v: %+v: the port must be at most %d, VLAN ids at most %d, the session at most %d and the index 1 to %d",
			k, v, MaxPort, MaxVID, MaxSession, MaxLineIndex)
		return
	}
	e := b.add(lineTable)
	if k.Session != 0 {
		e.Key = Key{table: sessionTable}
		e.Key.exactly(sessionPortKey, uint64(k.Port))
		e.Key.exactly(sessionOuterVIDKey, uint64(k.OuterVID))
		e.Key.exactly(sessionInnerVIDKey, uint64(k.InnerVID))
		e.Key.exactly(sessionSessionKey, uint64(k.Session))
	} else {
		e.Key.exactly(linePortKey, uint64(k.Port))
		e.Key.exactly(lineOuterVIDKey, uint64(k.OuterVID))
		e.Key.exactly(lineInnerVIDKey, uint64(k.InnerVID))
	}
	e.Value.does(setLineAction, uint64(v.Group), uint64(v.Index))
}

func (b *builder) service(k ServiceKey, v ServiceValue) {
	if v.Priority < 1 || v.Service == 0 || v.Service > LastService || v.Leg < UpDst || v.Leg > UpSrc || !k.SrcPort.Exact && !k.DstPort.Exact || k.Handshake > SYNACK {
		b.fault("service %+v: %+v: the priority must be at least 1, the service 1 to %d, the leg 1 to 4, the handshake at most 2, and a port given",
			k, v, LastService)
		return
	}
	e := b.add(serviceTable)
	e.Key.priority = v.Priority
	e.Key.exactly(serviceRoleKey, uint64(k.Role))
	for key, p := range map[int]PortMatch{serviceSrcPortKey: k.SrcPort, serviceDstPortKey: k.DstPort} {
		if p.Exact {
			e.Key.masked(key, uint64(p.Port), 0xffff)
		}
	}
	if k.Handshake != 0 {
		e.Key.masked(serviceHandshakeKey, uint64(k.Handshake), 3)
	}
	e.Value.does(setServiceAction, uint64(v.Leg), uint64(v.Service))
}

// prefix appends an entry to the class table of the prefix's family. If the prefix or the class is invalid, prefix records a fault and
// returns nil.
func (b *builder) prefix(v4, v6 Table, what string, p netip.Prefix, class Class) *Entry {
	if !isPrefix(p) || class == 0 {
		b.fault("%s prefix %v of class %d: must be a masked IPv4 or IPv6 prefix of length 1 or more, and a class of 1 or more", what, p, class)
		return nil
	}
	e := b.add(byFamily(p, v4, v6))
	e.Key.within(e.Key.table.meaning().prefix, p)
	return e
}

func (b *builder) subscriber(p netip.Prefix, x Subscriber) {
	if x.Line > MaxLineIndex {
		b.fault("subscriber prefix %v of line %d: the line must be at most %d", p, x.Line, MaxLineIndex)
		return
	}
	if x.Until > MaxClockSecond {
		b.fault("subscriber prefix %v until clock second %d: the second must be at most %d, or 0 for no end", p, x.Until, MaxClockSecond)
		return
	}
	if e := b.prefix(subscriberV4Table, subscriberV6Table, "subscriber", p, x.Class); e != nil {
		e.Value.does(setSubscriberClassAction, uint64(x.Class), uint64(x.Line), uint64(x.Until))
	}
}

func isPrefix(p netip.Prefix) bool {
	return p.IsValid() && p == p.Masked() && p.Bits() > 0 && !p.Addr().Is4In6()
}

func (b *builder) sourceCheck(group LineGroup, check SourceCheck) {
	action, ok := map[SourceCheck]Action{SourceMonitor: monitorSourceAction, SourceDrop: dropSourceAction}[check]
	if !ok {
		b.fault("source check %d of line group %d: must be monitor (%d) or drop (%d)", check, group, SourceMonitor, SourceDrop)
		return
	}
	e := b.add(sourceCheckTable)
	e.Key.exactly(sourceCheckLineGroupKey, uint64(group))
	e.Value.does(action)
}

func (b *builder) source(k SourceKey) {
	if k.Line == 0 || k.Line > MaxLineIndex || !isPrefix(k.Prefix) {
		b.fault("source %v of line %d: must be a masked IPv4 or IPv6 prefix of length 1 or more, and a line of 1 to %d", k.Prefix, k.Line, MaxLineIndex)
		return
	}
	e := b.add(byFamily(k.Prefix, sourceV4Table, sourceV6Table))
	if e.Key.table == sourceV4Table {
		e.Key.exactly(sourceV4LineKey, uint64(k.Line))
		e.Key.within(sourceV4PrefixKey, k.Prefix)
	} else {
		e.Key.exactly(sourceV6LineKey, uint64(k.Line))
		e.Key.within(sourceV6PrefixKey, k.Prefix)
	}
	e.Value.does(boundAction)
}

func (b *builder) limit(k LimitKey, rate Rate) {
	if k.Line == 0 || k.Line > MaxLineIndex || k.From > Network || rate.PerSecond == 0 || rate.Burst == 0 {
		b.fault("limit %+v: %+v: the line must be 1 to %d, rate and burst at least 1", k, rate, MaxLineIndex)
		return
	}
	e := b.add(connectionLimitTable)
	e.Key.exactly(connectionLimitLineKey, uint64(k.Line))
	e.Key.exactly(connectionLimitRoleKey, uint64(k.From))
	e.Value.does(meterConnectionAction)
	// The committed and the peak bucket are equal, so they act as a single bucket (RFC 2698).
	e.setMeter(&p4entry.Meter{CIR: int64(rate.PerSecond), CBurst: int64(rate.Burst), PIR: int64(rate.PerSecond), PBurst: int64(rate.Burst)})
}

func (b *builder) rejectFrom(from RejectFrom) {
	v4, v6 := make([]byte, 4), make([]byte, 16)
	if from.IPv4.IsValid() {
		v4 = from.IPv4.AsSlice()
	}
	if from.IPv6.IsValid() {
		v6 = from.IPv6.AsSlice()
	}
	if len(v4) != 4 || len(v6) != 16 || from.IPv6.Is4In6() {
		b.fault("reject from %v and %v: must be an IPv4 and an IPv6 address", from.IPv4, from.IPv6)
		return
	}
	e := b.add(rejectSourceTable)
	e.Key.standard = true
	e.Value.action = setRejectSourceAction
	e.Value.set(append(v4, v6...))
}

func (b *builder) linePort(k VLANKey, port Port) {
	if k == (VLANKey{}) || k.OuterVID > MaxVID || k.InnerVID > MaxVID || port > MaxPort {
		b.fault("line port %+v at %d: there must be a tag, VLAN ids at most %d and the port at most %d", k, port, MaxVID, MaxPort)
		return
	}
	e := b.add(linePortTable)
	e.Key.exactly(linePortOuterVIDKey, uint64(k.OuterVID))
	e.Key.exactly(linePortInnerVIDKey, uint64(k.InnerVID))
	e.Value.does(setLinePortAction, uint64(port))
}

func (b *builder) verdict(epoch Epoch, k VerdictKey, v Verdict) {
	action := actionOf(v.Action)
	builtIn := (v.Rule == RuleLaterFragment || v.Rule == RuleUndetermined) && v.Action <= Drop
	if action == 0 || v.Rule < FirstRule || v.Rule > LastRule && !builtIn || k.Priority < 1 || k.Leg.Set && (k.Leg.Value < UpDst || k.Leg.Value > UpSrc) ||
		k.Service.Set && k.Service.Value == 0 {
		b.fault("verdict %+v: %+v: the action must be permit, monitor, drop, limit or reject, the rule %d to %d, the priority at least 1, "+
			"leg and service at least 1 if set", k, v, FirstRule, LastRule)
		return
	}
	e := b.add(verdictTable)
	e.Key.priority = k.Priority
	e.Key.exactly(verdictEpochKey, uint64(epoch))
	match := func(key int, set bool, value, mask uint64) {
		if set {
			e.Key.masked(key, value, mask)
		}
	}
	match(verdictLineGroupKey, k.Group.Set, uint64(k.Group.Value), 0xff)
	match(verdictLegKey, k.Leg.Set, uint64(k.Leg.Value), 0x7)
	match(verdictServiceKey, k.Service.Set, uint64(k.Service.Value), 0xff)
	match(verdictRemoteClassKey, k.RemoteClass.Set, uint64(k.RemoteClass.Value), 0xff)
	match(verdictSubscriberClassKey, k.SubscriberClass.Set, uint64(k.SubscriberClass.Value), 0xff)
	e.Value.does(action, uint64(v.Rule))
}

func (b *builder) bridge(mac MAC, at BridgePort) {
	if mac[0]&1 != 0 || mac == (MAC{}) || at.Port > MaxPort {
		b.fault("bridge %x at port %d: must be a unicast address at a port of at most %d", mac, at.Port, MaxPort)
		return
	}
	action := forwardToAccessAction
	if at.Role == Network {
		action = forwardToNetworkAction
	}
	e := b.add(bridgeTable)
	copy(e.Key.value(e.Key.field(bridgeDstAddrKey)), mac[:])
	e.Value.does(action, uint64(at.Port))
}

func (b *builder) group(id uint32, ports []Port) {
	if len(ports) == 0 {
		return
	}
	sorted := slices.Clone(ports)
	slices.Sort(sorted)
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) || sorted[len(sorted)-1] > MaxPort {
		b.fault("multicast group %d: ports %v: each must be at most %d and stand once", id, ports, MaxPort)
		return
	}
	b.entries = append(b.entries, NewGroup(id, sorted))
}
