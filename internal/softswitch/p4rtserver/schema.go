package p4rtserver

import (
	"fmt"
	"maps"
	"slices"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/constraint"
	"op25b/internal/softswitch/engine"
)

// A schema is a P4Info that is indexed by id and checked for consistency. bind adds the positions of its objects in the program.
type schema struct {
	tables    map[uint32]*table
	actions   map[uint32]*action
	profiles  map[uint32]*profile
	counters  map[uint32]*array
	meters    map[uint32]*array
	registers map[uint32]*array
	valueSets map[uint32]*valueSet
	digests   map[uint32]*digest
	packetIn  *packetHeader // nil if the program has no packet_in header
	packetOut *packetHeader

	restrictions *constraint.Set // the program's @entry_restriction and @action_restriction annotations

	names map[uint32]string // name of every object with a preamble, for error messages
}

type table struct {
	id       uint32
	name     string
	fields   []field
	actions  map[uint32]p4cfg.ActionRef_Scope
	byAction map[string]*action // the table's actions by name
	ternary  bool               // whether a field is ternary, range or optional, so that entries need a priority
	size     int64
	isConst  bool
	initial  bool
	constDef uint32   // id of the const default action; 0 if the default action may be changed
	profile  *profile // nil for a direct table
	idle     bool     // whether entries may have an idle timeout
	counter  *p4cfg.DirectCounter
	meter    *p4cfg.DirectMeter

	prog *engine.Table // set by the method bind
}

type field struct {
	id    uint32
	name  string
	width int
	kind  p4cfg.MatchField_MatchType

	at int // index in the program's key; set by bind
}

type action struct {
	id      uint32
	name    string
	params  []param
	byParam map[uint32]int // index in params, by parameter id
}

type param struct {
	id    uint32
	name  string
	width int

	at int // index in the program's arguments; set by bind
}

type profile struct {
	id       uint32
	name     string
	tables   []*table
	selector bool
	size     int64
	maxGroup int32
	members  bool // whether selector_size_semantics is sum_of_members
	maxWght  int32
	weights  bool // whether the controller sets weights

	prog *engine.ActionProfile // set by bind
}

// An array is an indexed counter, meter or register.
type array struct {
	id   uint32
	name string
	size int64
	data *dataType // type of a register's cells

	meterSpec *p4cfg.MeterSpec

	// bind sets exactly one of the following three fields.
	counter  *engine.Counter
	meter    *engine.Meter
	register *engine.Register
}

type valueSet struct {
	id     uint32
	name   string
	fields []field
	size   int

	prog *engine.ValueSet // set by bind
}

type digest struct {
	id   uint32
	name string
	data *dataType

	learn string // name of the learn list in the program; set by bind
}

// A packetHeader is the layout of packet_in or packet_out metadata. The fields have no gaps between them, the most significant bit comes
// first, and the end is padded to a whole byte.
type packetHeader struct {
	fields []param
	bytes  int
}

// newSchema indexes a P4Info. Errors name the invalid object of the P4Info.
func newSchema(info *p4cfg.P4Info) (*schema, error) {
	s := &schema{
		tables: map[uint32]*table{}, actions: map[uint32]*action{}, profiles: map[uint32]*profile{},
		counters: map[uint32]*array{}, meters: map[uint32]*array{}, registers: map[uint32]*array{},
		valueSets: map[uint32]*valueSet{}, digests: map[uint32]*digest{}, names: map[uint32]string{},
	}
	for _, step := range []func(*p4cfg.P4Info) error{
		s.addActions, s.addProfiles, s.addTables, s.addDirect, s.addArrays, s.addOthers, s.addHeaders, s.addRestrictions,
	} {
		if err := step(info); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// name registers an object's id and name. Ids are unique across all kinds of objects.
func (s *schema) name(kind string, p *p4cfg.Preamble) error {
	switch {
	case p.GetId() == 0:
		return fmt.Errorf("P4Info: %s %q: id 0 is not a valid id", kind, p.GetName())
	case p.GetName() == "":
		return fmt.Errorf("P4Info: %s %#x: has no name", kind, p.GetId())
	}
	if old, ok := s.names[p.Id]; ok {
		return fmt.Errorf("P4Info: %s %q: id %#x is also that of %q", kind, p.Name, p.Id, old)
	}
	s.names[p.Id] = p.Name
	return nil
}

func (s *schema) addActions(info *p4cfg.P4Info) error {
	for _, a := range info.GetActions() {
		if err := s.name("action", a.Preamble); err != nil {
			return err
		}
		out := &action{id: a.Preamble.Id, name: a.Preamble.Name, byParam: map[uint32]int{}}
		for _, p := range a.Params {
			if _, dup := out.byParam[p.Id]; dup || p.Id == 0 {
				return fmt.Errorf("P4Info: action %q: parameter %q: id %d is zero or taken", out.name, p.Name, p.Id)
			}
			if err := checkWidth(p.Bitwidth, p.GetTypeName(), info); err != nil {
				return fmt.Errorf("P4Info: action %q: parameter %q: %w", out.name, p.Name, err)
			}
			out.byParam[p.Id] = len(out.params)
			out.params = append(out.params, param{id: p.Id, name: p.Name, width: int(p.Bitwidth)})
		}
		s.actions[out.id] = out
	}
	return nil
}

// checkWidth checks the type of a value. Translated types are rejected, because their values need a mapping that P4Runtime does not
// transmit.
func checkWidth(width int32, typeName *p4cfg.P4NamedType, info *p4cfg.P4Info) error {
	if n := info.GetTypeInfo().GetNewTypes()[typeName.GetName()]; n.GetTranslatedType() != nil {
		return fmt.Errorf("type %q has @p4runtime_translation, which is not supported", typeName.GetName())
	}
	if width <= 0 {
		return fmt.Errorf("bitwidth %d; it must be positive", width)
	}
	return nil
}

func (s *schema) addProfiles(info *p4cfg.P4Info) error {
	for _, p := range info.GetActionProfiles() {
		if err := s.name("action profile", p.Preamble); err != nil {
			return err
		}
		_, members := p.SelectorSizeSemantics.(*p4cfg.ActionProfile_SumOfMembers_)
		s.profiles[p.Preamble.Id] = &profile{
			id: p.Preamble.Id, name: p.Preamble.Name, selector: p.WithSelector, size: p.Size, maxGroup: p.MaxGroupSize,
			members: members, maxWght: p.GetSumOfMembers().GetMaxMemberWeight(), weights: !p.WeightsDisallowed,
		}
	}
	return nil
}

func (s *schema) addTables(info *p4cfg.P4Info) error {
	for _, t := range info.GetTables() {
		if err := s.name("table", t.Preamble); err != nil {
			return err
		}
		out := &table{
			id: t.Preamble.Id, name: t.Preamble.Name, size: t.Size, isConst: t.IsConstTable, constDef: t.ConstDefaultActionId,
			idle:    t.IdleTimeoutBehavior == p4cfg.Table_NOTIFY_CONTROL,
			initial: t.HasInitialEntries,
			actions: map[uint32]p4cfg.ActionRef_Scope{}, byAction: map[string]*action{},
		}
		var err error
		if out.fields, err = matchFields(t.MatchFields, info); err != nil {
			return fmt.Errorf("P4Info: table %q: %w", out.name, err)
		}
		for _, f := range out.fields {
			switch f.kind {
			case p4cfg.MatchField_TERNARY, p4cfg.MatchField_RANGE, p4cfg.MatchField_OPTIONAL:
				out.ternary = true
			}
		}
		for _, r := range t.ActionRefs {
			a := s.actions[r.Id]
			if a == nil {
				return fmt.Errorf("P4Info: table %q: action_refs: id %#x is not an action of the P4Info", out.name, r.Id)
			}
			out.actions[r.Id], out.byAction[a.name] = r.Scope, a
		}
		if _, ok := out.actions[out.constDef]; !ok && out.constDef != 0 {
			return fmt.Errorf("P4Info: table %q: const_default_action_id %#x is not among its action_refs", out.name, out.constDef)
		}
		if t.ImplementationId != 0 {
			if out.profile = s.profiles[t.ImplementationId]; out.profile == nil {
				return fmt.Errorf("P4Info: table %q: implementation_id %#x is not an action profile of the P4Info", out.name, t.ImplementationId)
			}
			out.profile.tables = append(out.profile.tables, out)
		}
		s.tables[out.id] = out
	}
	return nil
}

func matchFields(in []*p4cfg.MatchField, info *p4cfg.P4Info) ([]field, error) {
	var out []field
	for _, m := range in {
		if m.Id == 0 || fieldIndex(out, m.Id) >= 0 {
			return nil, fmt.Errorf("match field %q: id %d is zero or taken", m.Name, m.Id)
		}
		if err := checkWidth(m.Bitwidth, m.TypeName, info); err != nil {
			return nil, fmt.Errorf("match field %q: %w", m.Name, err)
		}
		if o := m.GetOtherMatchType(); o != "" {
			return nil, fmt.Errorf("match field %q: match type %q is not supported; exact, lpm, ternary, range and optional are", m.Name, o)
		}
		if m.GetMatchType() == p4cfg.MatchField_UNSPECIFIED {
			return nil, fmt.Errorf("match field %q: match type is not set", m.Name)
		}
		out = append(out, field{id: m.Id, name: m.Name, width: int(m.Bitwidth), kind: m.GetMatchType()})
	}
	return out, nil
}

func (s *schema) addDirect(info *p4cfg.P4Info) error {
	for _, c := range info.GetDirectCounters() {
		if err := s.name("direct counter", c.Preamble); err != nil {
			return err
		}
		t := s.tables[c.DirectTableId]
		if t == nil {
			return fmt.Errorf("P4Info: direct counter %q: direct_table_id %#x is not a table of the P4Info", c.Preamble.Name, c.DirectTableId)
		}
		t.counter = c
	}
	for _, m := range info.GetDirectMeters() {
		if err := s.name("direct meter", m.Preamble); err != nil {
			return err
		}
		t := s.tables[m.DirectTableId]
		if t == nil {
			return fmt.Errorf("P4Info: direct meter %q: direct_table_id %#x is not a table of the P4Info", m.Preamble.Name, m.DirectTableId)
		}
		t.meter = m
	}
	return nil
}

func (s *schema) addArrays(info *p4cfg.P4Info) error {
	for _, c := range info.GetCounters() {
		if err := s.name("counter", c.Preamble); err != nil {
			return err
		}
		s.counters[c.Preamble.Id] = &array{id: c.Preamble.Id, name: c.Preamble.Name, size: c.Size}
	}
	for _, m := range info.GetMeters() {
		if err := s.name("meter", m.Preamble); err != nil {
			return err
		}
		s.meters[m.Preamble.Id] = &array{id: m.Preamble.Id, name: m.Preamble.Name, size: m.Size, meterSpec: m.Spec}
	}
	for _, r := range info.GetRegisters() {
		if err := s.name("register", r.Preamble); err != nil {
			return err
		}
		d, err := newDataType(r.TypeSpec, info.GetTypeInfo())
		if err != nil {
			return fmt.Errorf("P4Info: register %q: %w", r.Preamble.Name, err)
		}
		s.registers[r.Preamble.Id] = &array{id: r.Preamble.Id, name: r.Preamble.Name, size: int64(r.Size), data: d}
	}
	return nil
}

func (s *schema) addOthers(info *p4cfg.P4Info) error {
	for _, v := range info.GetValueSets() {
		if err := s.name("value set", v.Preamble); err != nil {
			return err
		}
		f, err := matchFields(v.Match, info)
		if err != nil {
			return fmt.Errorf("P4Info: value set %q: %w", v.Preamble.Name, err)
		}
		s.valueSets[v.Preamble.Id] = &valueSet{id: v.Preamble.Id, name: v.Preamble.Name, fields: f, size: int(v.Size)}
	}
	for _, d := range info.GetDigests() {
		if err := s.name("digest", d.Preamble); err != nil {
			return err
		}
		dt, err := newDataType(d.TypeSpec, info.GetTypeInfo())
		if err != nil {
			return fmt.Errorf("P4Info: digest %q: %w", d.Preamble.Name, err)
		}
		s.digests[d.Preamble.Id] = &digest{id: d.Preamble.Id, name: d.Preamble.Name, data: dt}
	}
	if e := info.GetExterns(); len(e) > 0 {
		return fmt.Errorf("P4Info: extern type %q: not supported; v1model has no externs of its own in a P4Info", e[0].ExternTypeName)
	}
	return nil
}

func (s *schema) addHeaders(info *p4cfg.P4Info) error {
	for _, c := range info.GetControllerPacketMetadata() {
		if err := s.name("controller_packet_metadata", c.Preamble); err != nil {
			return err
		}
		h, total, seen := &packetHeader{}, 0, map[uint32]bool{}
		for _, m := range c.Metadata {
			if seen[m.Id] || m.Id == 0 {
				return fmt.Errorf("P4Info: %s: metadata %q: id %d is zero or taken", c.Preamble.Name, m.Name, m.Id)
			}
			if err := checkWidth(m.Bitwidth, m.TypeName, info); err != nil {
				return fmt.Errorf("P4Info: %s: metadata %q: %w", c.Preamble.Name, m.Name, err)
			}
			seen[m.Id] = true
			total += int(m.Bitwidth)
			h.fields = append(h.fields, param{id: m.Id, name: m.Name, width: int(m.Bitwidth)})
		}
		h.bytes = (total + 7) / 8
		switch c.Preamble.Name {
		case "packet_in":
			s.packetIn = h
		case "packet_out":
			s.packetOut = h
		default:
			return fmt.Errorf("P4Info: controller_packet_metadata %q: the name must be packet_in or packet_out", c.Preamble.Name)
		}
	}
	return nil
}

func (s *schema) addRestrictions(info *p4cfg.P4Info) error {
	set, err := constraint.Load(info)
	if err != nil {
		return fmt.Errorf("P4Info: %w", err)
	}
	s.restrictions = set
	return nil
}

// allowsEntry checks an entry against the @entry_restriction of its table and the @action_restriction of its actions. Neither entries that
// the program declares nor the keys of a DELETE are checked.
func (s *schema) allowsEntry(e *p4v1.TableEntry) error {
	if err := s.restrictions.CheckEntry(e); err != nil {
		return invalidf("%v", err)
	}
	return nil
}

// ordered returns objects in the order of their ids. Every wildcard read returns objects in that order.
func ordered[T any](m map[uint32]T) []T {
	out := make([]T, 0, len(m))
	for _, id := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[id])
	}
	return out
}

func keysOf[V any](m map[string]V) func(func(string) bool) { return maps.Keys(m) }
