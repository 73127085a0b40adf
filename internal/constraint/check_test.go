package constraint

import (
	"errors"
	"fmt"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// exacts gives the exact keys that every entry of acl needs.
const exacts = `table_id: 1 match { field_id: 1 exact { value: "\x05" } } match { field_id: 12 exact { value: "\x01" } } `

// TestMeaning verifies whether each restriction holds for an entry. It covers every match type, with the key given and
// left out.
func TestMeaning(t *testing.T) {
	const (
		src      = `match { field_id: 2 ternary { value: "\x02\x00" mask: "\xff\x00" } }`
		srcExact = `match { field_id: 2 ternary { value: "\x02\x00" mask: "\xff\xff\xff\xff\xff\xff" } }`
		dst      = `match { field_id: 3 lpm { value: "\xc0\x00\x02\x00" prefix_len: 24 } }`
		host     = `match { field_id: 3 lpm { value: "\xc0\x00\x02\x01" prefix_len: 32 } }`
		ports    = `match { field_id: 4 range { low: "\x19" high: "\x02\x4b" } }`
		mail     = `match { field_id: 4 range { low: "\x19" high: "\x19" } }`
		vid      = `match { field_id: 5 optional { value: "\x07" } }`
		src6     = `match { field_id: 6 ternary { value: "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" mask: "\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" } }`
		dst6     = `match { field_id: 7 lpm { value: "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" prefix_len: 128 } }`
		type1    = `match { field_id: 8 ternary { value: "\x08\x00" mask: "\xff\xff" } }`
		type2    = `match { field_id: 11 ternary { value: "\x08\x00" mask: "\xff\xff" } }`
		half     = `match { field_id: 11 ternary { value: "\x08\x00" mask: "\xff\x00" } }`
		prio     = `priority: 10 `
	)
	for _, tc := range []struct {
		restriction, entry string
		want               bool
	}{
		{"true", "", true},
		{"false", "", false},

		// Exact: a key without a field name stands for its value.
		{"port == 5", "", true},
		{"port != 5", "", false},
		{"port::value == 5", "", true},
		{"port < 6 && port <= 5 && port > 4 && port >= 5", "", true},
		{"port < 5", "", false},
		{"port > 5", "", false},
		{"port <= 4", "", false},
		{"port >= 6", "", false},
		{"6 > port", "", true},

		// A number is taken modulo 2^W.
		{"port == 517", "", true},  // 512 + 5
		{"port == -507", "", true}, // -512 + 5
		{"port < 512", "", false},  // 512 is 0
		{"tagged == -1", "", true},

		// Ternary.
		{"hdr.eth.src::value == 0x200", src, true},
		{"hdr.eth.src::mask == 0xff00", src, true},
		{"hdr.eth.src == 0x200", src, false}, // a number is a key with that value and the full mask
		{"hdr.eth.src == 0x200", srcExact, true},
		{"hdr.eth.src != 0x200", src, true},
		{"hdr.eth.src::mask == -1", srcExact, true},
		{"hdr.eth.src::mask == -1", src, false},
		{"hdr.eth.src::mask == 0 && hdr.eth.src::value == 0", "", true},
		{"hdr.eth.src == 0", "", false}, // an omitted key matches every value, not only 0
		{"type == type2", type1 + type2, true},
		{"type == type2", type1 + half, false},
		{"type::value == type2::value", type1 + half, true},
		{"type == type2", "", true},
		{"type == type2::value", type1 + half, true},
		{"type2 == type::value", type1 + half, false},
		{"src6::value == ipv6('2001:db8::'); src6::mask == ipv6('ffff:ffff::')", src6, true},
		{"src6::value > ipv6('2001:db7:ffff:ffff:ffff:ffff:ffff:ffff')", src6, true},
		{"src6::value < 0x20010db8000000000000000000000001", src6, true},
		{"src6::mask == 0", "", true},

		// LPM.
		{"dst4::prefix_length == 24", dst, true},
		{"dst4::value == ipv4('192.0.2.0')", dst, true},
		{"dst4 == ipv4('192.0.2.0')", dst, false},
		{"dst4 == ipv4('192.0.2.1')", host, true},
		{"dst4::prefix_length == 0", "", true},
		{"dst4 == 0", "", false},
		{"dst4::prefix_length < 4294967320", dst, true},
		{"-dst4::prefix_length == -24", dst, true},
		{"-dst4::prefix_length < -99999999999999999999999999", dst, false},
		{"dst4::prefix_length < 99999999999999999999999999", dst, true},
		{"port == -dst4::prefix_length", dst, false},
		{"l4::low == -dst4::prefix_length", dst + `match { field_id: 4 range { low: "\xff\xe8" high: "\xff\xff" } }`, true},
		{"dst6 == ipv6('2001:db8::1'); dst6::prefix_length == 128", dst6, true},
		{"src6::value == -dst4::prefix_length", dst + `match { field_id: 6 ternary { value: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xe8" mask: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" } }`, true},
		{"dst6 == ipv6('2001:db8::1:0:0:1')", dst6, false},

		// Range.
		{"l4::low == 25 && l4::high == 587", ports, true},
		{"l4 == 25", ports, false},
		{"l4 == 25", mail, true},
		{"l4::low <= l4::high", mail, true},
		{"l4::low < l4::high", mail, false},
		{"l4::low == 0 && l4::high == 65535", "", true},
		{"l4 == 0", "", false},

		// Optional.
		{"vid == 7", vid, true},
		{"vid::mask == -1 && vid::value == 7", vid, true},
		{"vid::mask == 0xfff", vid, true},
		{"vid::mask == 0 && vid::value == 0", "", true},
		{"vid == 0", "", false},

		// Attributes.
		{"::priority == 10", prio, true},
		{"::priority < 10", prio, false},
		{"-::priority < 0", prio, true},
		{"::priority == 0", "", true},
		{"port != ::priority", prio, true},
		{"port == ::priority", "priority: 517", true},

		// Operators and their precedence.
		{"!false", "", true},
		{"!true == false", "", true}, // (!true) == false
		{"!(true == false)", "", true},
		{"true || false && false", "", true}, // true || (false && false)
		{"(true || false) && false", "", false},
		{"false && false || true", "", true},
		{"true || true -> false", "", false}, // (true || true) -> false
		{"true || (true -> false)", "", true},
		{"false -> false; false", "", false}, // (false -> false) && false
		{"false -> (false; false)", "", true},
		{"false -> true", "", true},
		{"false -> false", "", true},
		{"true -> true", "", true},
		{"true -> false", "", false},
		{"true != false", "", true},
		{"true == false", "", false},
		{"1 == 1 && 2 != 1 && 1 < 2 && 1 <= 1 && 2 > 1 && 2 >= 2", "", true},
		{"1 != 1 || 2 == 1 || 2 < 1 || 2 <= 1 || 1 > 2 || 1 >= 2", "", false},
		{"1 == --1 && -1 < 0", "", true},
		{"340282366920938463463374607431768211456 > 340282366920938463463374607431768211455", "", true},
		{"0x10 == 16 && 0b10 == 2 && 0o10 == 8 && 0d10 == 10 && 010 == 10", "", true},
	} {
		s := mustLoad(t, programWith(t, tc.restriction, ""))
		err := s.CheckEntry(parseText(t, &p4v1.TableEntry{}, exacts+tc.entry))
		if (err == nil) != tc.want || err != nil && !errors.Is(err, ErrViolated) {
			t.Errorf("%s of %s: %v", tc.restriction, tc.entry, err)
		}
	}
}

// TestSeveralRestrictions verifies that all restrictions of a table must hold, whatever their form is.
func TestSeveralRestrictions(t *testing.T) {
	info := programWith(t, "", "")
	info.Tables[0].Preamble.Annotations = []string{annotate("entry_restriction", "port != 1"), "@hidden", annotate("entry_restriction", "port != 2")}
	s := mustLoad(t, info)
	for port, want := range map[int]bool{1: false, 2: false, 3: true} {
		e := parseText(t, &p4v1.TableEntry{}, fmt.Sprintf(`table_id: 1 match { field_id: 1 exact { value: "\x%02x" } } match { field_id: 12 exact { value: "\x00" } }`, port))
		if err := s.CheckEntry(e); (err == nil) != want {
			t.Errorf("port %d: %v", port, err)
		}
	}
}

// TestViolations verifies that a violation names the table, the condition that does not hold, as written, and the values
// in the condition.
func TestViolations(t *testing.T) {
	const given = exacts + `priority: 7
		match { field_id: 2 ternary { value: "\x02\x00" mask: "\xff\x00" } }
		match { field_id: 3 lpm { value: "\xc0\x00\x02\x00" prefix_len: 24 } }
		match { field_id: 4 range { low: "\x19" high: "\x02\x4b" } }
		match { field_id: 5 optional { value: "\x07" } }
		match { field_id: 6 ternary { value: "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" mask: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" } }`
	for _, tc := range []struct{ restriction, entry, message string }{
		{"false", exacts, `false`},
		{"true; port == 5; // which\n port\n != /* the\nfirst */ 5; false", exacts, `port != 5: port is 0x5`},
		{"hdr.eth.src::mask == 0 || hdr.eth.src::mask==-1", given, `hdr.eth.src::mask == 0 || hdr.eth.src::mask==-1: hdr.eth.src is 0x200 &&& 0xff00`},
		{"(dst4::prefix_length > 24)", given, `(dst4::prefix_length > 24): dst4 is 0xc0000200/24`},
		{"l4 == 25 && true", given, `l4 == 25: l4 is 0x19..0x24b`},
		{"vid == 8", given, `vid == 8: vid is 0x7`},
		{"src6 == 1", given, `src6 == 1: src6 is 0x20010db8000000000000000000000001 &&& 0xffffffffffffffffffffffffffffffff`},
		{"::priority > 7 -> true; !(::priority == 7)", given, `!(::priority == 7): ::priority is 7`},
		{
			"!(vid::mask == 0 && hdr.eth.src::mask == 0 && dst4::prefix_length == 0 && l4::high == -1)", exacts,
			`!(vid::mask == 0 && hdr.eth.src::mask == 0 && dst4::prefix_length == 0 && l4::high == -1): vid is left out, hdr.eth.src is left out, dst4 is left out, l4 is left out`,
		},
	} {
		err := mustLoad(t, programWith(t, tc.restriction, "")).CheckEntry(parseText(t, &p4v1.TableEntry{}, tc.entry))
		if want := `table "acl": restriction violated: ` + tc.message; !errors.Is(err, ErrViolated) || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// TestActions verifies that the restriction of an action applies wherever the action is used: in entries, action sets,
// default entries and members.
func TestActions(t *testing.T) {
	const (
		good = `action_id: 2 params { param_id: 1 value: "\x01" } params { param_id: 2 value: "\x02" } params { param_id: 3 value: "\x01" }`
		bad  = `action_id: 2 params { param_id: 1 value: "\x00" } params { param_id: 2 value: "\x02" } params { param_id: 3 value: "\x01" }`
		free = `action_id: 3 params { param_id: 1 value: "\x00" }`
		said = `action "forward": restriction violated: port != 0: port is 0x0`
	)
	s := mustLoad(t, programWith(t, "port != 5", "port != 0; mac == 2"))
	other := `match { field_id: 1 exact { value: "\x06" } } match { field_id: 12 exact { value: "\x01" } } `
	for _, tc := range []struct{ entry, message string }{
		{`table_id: 1 ` + other + `action { action { ` + good + ` } }`, ""},
		{`table_id: 1 ` + other + `action { action { ` + free + ` } }`, ""},
		{`table_id: 1 ` + other, ""},
		{`table_id: 1 ` + other + `action { action_profile_member_id: 3 }`, ""},
		{`table_id: 1 ` + other + `action { action_profile_group_id: 3 }`, ""},
		{`table_id: 1 ` + other + `action { action { ` + bad + ` } }`, `table "acl": ` + said},
		{`table_id: 5 match { field_id: 1 exact { value: "\x05" } } action { action { ` + bad + ` } }`, `table "free": ` + said},
		{`table_id: 1 ` + other + `action { action_profile_action_set { action_profile_actions { action { ` + good + ` } } action_profile_actions { action { ` + bad + ` } } } }`, `table "acl": ` + said},
		{`table_id: 1 ` + other + `action { action_profile_action_set { action_profile_actions { action { ` + good + ` } } } }`, ""},
		// A default entry has no key, so the table's restriction does not apply.
		{`table_id: 1 is_default_action: true`, ""},
		{`table_id: 1 is_default_action: true action { action { ` + good + ` } }`, ""},
		{`table_id: 1 is_default_action: true action { action { ` + bad + ` } }`, `table "acl": ` + said},
		// The table's restriction is checked first.
		{exacts + `action { action { ` + bad + ` } }`, `table "acl": restriction violated: port != 5: port is 0x5`},
	} {
		err := s.CheckEntry(parseText(t, &p4v1.TableEntry{}, tc.entry))
		if got := fmt.Sprint(err); err != nil && got != tc.message || err == nil && tc.message != "" || err != nil && !errors.Is(err, ErrViolated) {
			t.Errorf("%s\n got %v\nwant %s", tc.entry, err, tc.message)
		}
	}
	if err := s.CheckAction(parseText(t, &p4v1.Action{}, good)); err != nil {
		t.Error(err)
	}
	if err := s.CheckAction(parseText(t, &p4v1.Action{}, bad)); !errors.Is(err, ErrViolated) || err.Error() != said {
		t.Error(err)
	}
}

// TestEntriesThatCannotBeJudged verifies that an entry or action that does not match the P4Info is refused, and that the
// error is not a violation.
func TestEntriesThatCannotBeJudged(t *testing.T) {
	s := mustLoad(t, programWith(t, "port == 5", "port != 0"))
	const forward = `params { param_id: 1 value: "\x01" } params { param_id: 2 value: "\x02" } `
	for _, tc := range []struct{ entry, message string }{
		{``, `table id 0x0: not as in the P4Info: not a table of it`},
		{`table_id: 2`, `table id 0x2: not as in the P4Info: not a table of it`},
		{`table_id: 1`, `table "acl": not as in the P4Info: key port: missing; an exact key must be given`},
		{exacts + `match { field_id: 12 exact { value: "\x01" } }`, `table "acl": not as in the P4Info: key tagged: given twice`},
		{exacts + `match { field_id: 13 exact { value: "\x01" } }`, `table "acl": not as in the P4Info: match field id 13: unknown; ` + keysOfACL},
		{exacts + `match { field_id: 2 exact { value: "\x01" } }`, `table "acl": not as in the P4Info: key hdr.eth.src: the match is of another type; it must be ternary<48>`},
		{exacts + `match { field_id: 5 ternary { value: "\x01" } }`, `table "acl": not as in the P4Info: key vid: the match is of another type; it must be optional<12>`},
		{exacts + `match { field_id: 3 range { low: "\x01" } }`, `table "acl": not as in the P4Info: key dst4: the match is of another type; it must be lpm<32>`},
		{exacts + `match { field_id: 4 lpm { value: "\x01" } }`, `table "acl": not as in the P4Info: key l4: the match is of another type; it must be range<16>`},
		{`table_id: 1 match { field_id: 1 optional { value: "\x01" } }`, `table "acl": not as in the P4Info: key port: the match is of another type; it must be exact<9>`},
		{exacts + `match { field_id: 2 }`, `table "acl": not as in the P4Info: key hdr.eth.src: the match is of another type; it must be ternary<48>`},
		{exacts + `match { field_id: 2 ternary { value: "\x01" } }`, `table "acl": not as in the P4Info: key hdr.eth.src: empty value; zero is one zero byte`},
		{exacts + `match { field_id: 5 optional { value: "\x10\x00" } }`, `table "acl": not as in the P4Info: key vid: value 0x1000 has more than 12 bits`},
		{exacts + `match { field_id: 6 ternary { value: "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" mask: "\x01" } }`, `table "acl": not as in the P4Info: key src6: value 0x0100000000000000000000000000000000 has more than 128 bits`},
		{exacts + `match { field_id: 3 lpm { value: "\x01" prefix_len: 33 } }`, `table "acl": not as in the P4Info: key dst4: prefix length 33; it must be 0 to 32`},
		{exacts + `match { field_id: 3 lpm { value: "\x01" prefix_len: -1 } }`, `table "acl": not as in the P4Info: key dst4: prefix length -1; it must be 0 to 32`},
		{exacts + `action { action { action_id: 1 } }`, `table "acl": action id 0x1: not as in the P4Info: not an action of it`},
		{exacts + `action { action { action_id: 2 ` + forward + `} }`, `table "acl": action "forward": not as in the P4Info: parameter label: missing; every parameter must be given`},
		{exacts + `action { action { action_id: 2 ` + forward + `params { param_id: 4 value: "\x01" } } }`, `table "acl": action "forward": not as in the P4Info: parameter id 4: unknown; the action has port, mac, label`},
		{exacts + `action { action { action_id: 2 ` + forward + `params { param_id: 1 value: "\x01" } } }`, `table "acl": action "forward": not as in the P4Info: parameter port: given twice`},
		{exacts + `action { action { action_id: 2 ` + forward + `params { param_id: 3 value: "\x02\x00" } } }`, `table "acl": action "forward": not as in the P4Info: parameter label: value 0x0200 has more than 9 bits`},
	} {
		err := s.CheckEntry(parseText(t, &p4v1.TableEntry{}, tc.entry))
		if !errors.Is(err, ErrEntry) || err.Error() != tc.message {
			t.Errorf("%s\n got %v\nwant %s", tc.entry, err, tc.message)
		}
	}
}

// TestOddValues verifies that leading zero bytes have no effect, and that keys that cannot be restricted may have any
// value.
func TestOddValues(t *testing.T) {
	s := mustLoad(t, programWith(t, "port == 5 && src6::value == 1", ""))
	err := s.CheckEntry(parseText(t, &p4v1.TableEntry{}, `table_id: 1 match { field_id: 1 exact { value: "\x00\x00\x05" } } match { field_id: 12 exact { value: "\x01" } }
		match { field_id: 6 ternary { value: "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" mask: "\x01" } }
		match { field_id: 9 optional { value: "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" } } match { field_id: 10 exact { value: "x" } }`))
	if err != nil {
		t.Error(err)
	}
}

func BenchmarkCheckEntry(b *testing.B) {
	s := mustLoad(b, programWith(b, `
		hdr.eth.src::mask == 0 || hdr.eth.src::mask == -1;
		dst4::prefix_length != 0 -> type == 0x0800;
		src6::mask != 0 -> type == 0x86dd;
		l4::low != 0 || l4::high != 0xffff -> (type == 0x0800 || type == 0x86dd) && l4::low <= l4::high;
		vid == 0 -> port != 0;
		::priority < 0x7fffffff`, "port != 0 && label < 500"))
	e := parseText(b, &p4v1.TableEntry{}, exacts+`priority: 7
		match { field_id: 3 lpm { value: "\xc0\x00\x02\x00" prefix_len: 24 } }
		match { field_id: 4 range { low: "\x19" high: "\x02\x4b" } }
		match { field_id: 8 ternary { value: "\x08\x00" mask: "\xff\xff" } }
		action { action { action_id: 2 params { param_id: 1 value: "\x01" } params { param_id: 2 value: "\x02" } params { param_id: 3 value: "\x01" } } }`)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.CheckEntry(e); err != nil {
			b.Fatal(err)
		}
	}
}
