package p4rtserver

import (
	"strings"
	"testing"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
)

// restrict returns a function that annotates objects of a P4Info. The keys of texts are the objects' aliases.
func restrict(texts map[string]string) func(*p4cfg.P4Info) {
	return func(i *p4cfg.P4Info) {
		for name, text := range texts {
			if t := tableNamed(i, name); t != nil {
				t.Preamble.Annotations = append(t.Preamble.Annotations, `@entry_restriction("`+text+`")`)
				continue
			}
			a := actionNamed(i, name)
			a.Preamble.Annotations = append(a.Preamble.Annotations, `@action_restriction("`+text+`")`)
		}
	}
}

// newRestricted returns the same switch as newObjects, but its program has restrictions.
func newRestricted(t *testing.T, texts map[string]string) *objects {
	t.Helper()
	o := newSwitch(t)
	if err := o.push(verifyAndCommit, o.changed(restrict(texts))); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestRestrictions writes entries, default entries and members that a restriction forbids, and similar ones that it allows.
func TestRestrictions(t *testing.T) {
	const (
		rest    = `match { field_id: 1 exact { value: "\x01" } } `
		drop    = `action { action { action_id: drop } } `
		source  = `match { field_id: 2 ternary { value: "\x02" mask: "\x0f" } } `
		exact   = `match { field_id: 2 ternary { value: "\x02" mask: "\xff\xff\xff\xff\xff\xff" } } `
		ranged  = `match { field_id: 3 range { low: "\x08\x00" high: "\x08\x06" } } `
		groupOf = `match { field_id: 4 optional { value: "\x07" } } `
		toPort0 = `action { action { action_id: forward params { param_id: 1 value: "\x00" } } } `
		toPort2 = `action { action { action_id: forward params { param_id: 1 value: "\x02" } } } `
		badPort = `action %name forward: restriction violated: port != 0: port is 0x0`
		onlyAll = `table %acl: restriction violated: src::mask == 0 || src::mask == -1: src is 0x2 &&& 0xf`
	)
	texts := map[string]string{
		"acl":       "src::mask == 0 || src::mask == -1; // nothing between\n type == 0x0806 || type::low == 0; group::mask != 0 -> ::priority > 5",
		"route_v4":  "prefix::prefix_length <= 24",
		"host":      "mac != 0",
		"seeded":    "src != 0x61", // the program itself declares an entry that violates this restriction
		"fixed":     "type::mask == -1",
		"forward":   "port != 0",
		"set_epoch": "epoch < 100",
	}
	acl := func(priority, rest string) string {
		return `table_entry { table_id: acl priority: ` + priority + ` ` + rest + `}`
	}
	for _, tc := range []struct {
		name    string
		setup   []string
		op      p4v1.Update_Type
		entity  string
		message string // empty if the update is allowed
	}{
		{"exact", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x00" } } ` + toPort2 + `}`, `table %host: restriction violated: mac != 0: mac is 0x0`},
		{"exact allowed", nil, insert, host1, ""},
		{"lpm", nil, insert, `table_entry { table_id: route_v4 match { field_id: 1 lpm { value: "\x0a\x00\x00\x00" prefix_len: 25 } } action { action { action_id: NoAction } } }`, `table %route_v4: restriction violated: prefix::prefix_length <= 24: prefix is 0xa000000/25`},
		{"lpm allowed", nil, insert, route1, ""},
		{"ternary", nil, insert, acl("6", rest+source+drop), onlyAll},
		{"ternary allowed", nil, insert, acl("6", rest+exact+drop), ""},
		{"range", nil, insert, acl("6", rest+ranged+drop), `table %acl: restriction violated: type == 0x0806 || type::low == 0: type is 0x800..0x806`},
		{"left out", nil, insert, acl("1", rest+drop), ""},
		{"priority", nil, insert, acl("5", rest+groupOf+drop), `table %acl: restriction violated: group::mask != 0 -> ::priority > 5: group is 0x7, ::priority is 5`},
		{"priority allowed", nil, insert, acl("6", rest+groupOf+drop), ""},

		{"action", nil, insert, acl("6", rest+toPort0), `table %acl: ` + badPort},
		{"action of a modify", []string{host1}, modify, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } ` + toPort0 + `}`, `table %host: ` + badPort},
		{"modify allowed", []string{host1}, modify, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } ` + drop + `}`, ""},
		{"default", nil, modify, `table_entry { table_id: host is_default_action: true ` + toPort0 + `}`, `table %host: ` + badPort},
		{"default allowed", nil, modify, `table_entry { table_id: host is_default_action: true ` + toPort2 + `}`, ""},
		{"default of a keyless table", nil, modify, `table_entry { table_id: epoch is_default_action: true action { action { action_id: set_epoch params { param_id: 1 value: "\x64" } } } }`, `table %epoch: action %name set_epoch: restriction violated: epoch < 100: epoch is 0x64`},
		{"default reset", nil, modify, `table_entry { table_id: host is_default_action: true }`, ""},
		{"member", nil, insert, `action_profile_member { action_profile_id: paths member_id: 1 ` + `action { action_id: forward params { param_id: 1 value: "\x00" } } }`, `action profile %paths: member 1: ` + badPort},
		{"member of a modify", []string{member1}, modify, `action_profile_member { action_profile_id: paths member_id: 1 ` + `action { action_id: forward params { param_id: 1 value: "\x00" } } }`, `action profile %paths: member 1: ` + badPort},
		{"member allowed", nil, insert, member1, ""},
		{"action set", nil, insert, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x01" } } action { action_profile_action_set {
			action_profile_actions { action { action_id: forward params { param_id: 1 value: "\x02" } } weight: 1 }
			action_profile_actions { action { action_id: forward params { param_id: 1 value: "\x00" } } weight: 1 } } } }`, `table %balanced: ` + badPort},
		{"action set allowed", nil, insert, set1, ""},
		{"action set of a modify", []string{set1}, modify, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x01" } } action { action_profile_action_set {
			action_profile_actions { action { action_id: forward params { param_id: 1 value: "\x00" } } weight: 1 } } } }`, `table %balanced: ` + badPort},

		// Entries that the program declares are kept although they violate a restriction, and may be deleted. The counters of const
		// entries may be written.
		{"entry of the program deleted", nil, del, `table_entry { table_id: seeded match { field_id: 1 exact { value: "\x61" } } }`, ""},
		{"entry of the program modified", nil, modify, `table_entry { table_id: seeded match { field_id: 1 exact { value: "\x61" } } action { action { action_id: NoAction } } }`, `table %seeded: restriction violated: src != 0x61: src is 0x61`},
		{"counter of a const entry", nil, modify, `table_entry { table_id: fixed priority: 3 match { field_id: 1 ternary { value: "\x08\x00" mask: "\xff\x00" } } counter_data { packet_count: 3 } }`, ""},
		// DELETE is not checked against restrictions, so its errors are the same as without restrictions.
		{"delete", nil, del, acl("6", rest+source), `table %acl: DELETE: no entry with this match and priority`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := newRestricted(t, texts)
			for _, s := range tc.setup {
				o.must(insert, s)
			}
			if tc.message == "" {
				o.must(tc.op, tc.entity)
				return
			}
			code := codes.InvalidArgument
			if tc.op == del {
				code = codes.NotFound
			}
			before := o.state()
			o.refused(tc.op, tc.entity, code, o.message(tc.message))
			o.wantState(before)
		})
	}
}

// TestRefusedActionSetLeavesNothing verifies that a refused action set leaves no members behind. Otherwise the profile would count as
// programmed with action sets.
func TestRefusedActionSetLeavesNothing(t *testing.T) {
	o := newRestricted(t, map[string]string{"forward": "port == 2"})
	forbidden := strings.ReplaceAll(set1, `value: "\x02"`, `value: "\x03"`)
	violated := o.message(`table %balanced: action %name forward: restriction violated: port == 2: port is 0x3`)
	o.refused(insert, forbidden, codes.InvalidArgument, violated)
	o.must(insert, member1)
	o.must(del, member1)
	o.must(insert, set1)
	o.refused(modify, forbidden, codes.InvalidArgument, violated)
	o.must(del, set1)
	o.must(insert, member1)
}

// TestRestrictionInABatch verifies that only the update that violates a restriction is refused.
func TestRestrictionInABatch(t *testing.T) {
	o := newRestricted(t, map[string]string{"host": "mac != 0"})
	zero := `table_entry { table_id: host match { field_id: 1 exact { value: "\x00" } } action { action { action_id: drop } } }`
	d := details(t, o.write(o.update(insert, zero), o.update(insert, host1)))
	if codes.Code(d[0].CanonicalCode) != codes.InvalidArgument || d[0].Space != errorSpace || d[1].CanonicalCode != 0 {
		t.Errorf("%v", d)
	}
	o.reads(`table_entry { table_id: host }`, host1)
}

// TestBadRestrictionRefused verifies that the running pipeline is kept if a pushed program's restriction cannot be parsed.
func TestBadRestrictionRefused(t *testing.T) {
	o := newObjects(t)
	o.must(insert, host1)
	before := o.state()
	for _, tc := range []struct {
		texts   map[string]string
		message string
	}{
		{map[string]string{"host": "mac = 0"}, `table %host: bad restriction: 1:5: "=": unexpected; valid here: one of :: == != < <= > >= && || -> ; or the end`},
		{map[string]string{"host": "true;\n src == 0"}, `table %host: bad restriction: 2:2: "src": not a key; the table has mac`},
		{map[string]string{"forward": "port"}, `action %name forward: bad restriction: 1:1: "port": is bit<9>; valid here is a bool, as a comparison with == != < <= > or >= is`},
	} {
		for _, action := range []p4v1.SetForwardingPipelineConfigRequest_Action{verify, verifyAndCommit, verifyAndSave, reconcile} {
			wantStatus(t, o.push(action, o.changed(restrict(tc.texts))), codes.InvalidArgument, action.String()+": config: P4Info: "+o.message(tc.message))
		}
	}
	o.wantState(before)
}

// TestReconcileHoldsStateToRestrictions verifies that a push with RECONCILE_AND_COMMIT is refused if the new program's restrictions
// forbid an existing entry.
func TestReconcileHoldsStateToRestrictions(t *testing.T) {
	o := newObjects(t)
	o.must(insert, host1)
	before := o.state()
	err := o.push(reconcile, o.changed(restrict(map[string]string{"host": "mac != 1"})))
	wantStatus(t, err, codes.InvalidArgument, o.message("RECONCILE_AND_COMMIT: the forwarding state cannot be kept: table %host: restriction violated: mac != 1: mac is 0x1"))
	o.wantState(before)
	if err := o.push(reconcile, o.changed(restrict(map[string]string{"host": "mac == 1", "forward": "port == 2"}))); err != nil {
		t.Fatal(err)
	}
	o.wantState(before)
}
