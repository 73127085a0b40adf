package constraint

import (
	"errors"
	"strings"
	"testing"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
)

// TestAccepted verifies that valid restrictions load.
func TestAccepted(t *testing.T) {
	for _, text := range []string{
		"true", "false;", "(true;)", "!true", "!!true", "true != false", "(true == true) == false",
		"port == 0", "port == 0d12", "port == 0D12", "port == 0x1F", "port == 0XaB", "port == 0b101", "port == 0B1", "port == 0o17", "port == 0O7", "port == 007",
		"port == -1", "port == --1", "1 == 2", "-1 < 5", "port::value < 5", "5 > port", "port == port", "port == tagged -> true || port::value == 9",
		"hdr.eth.src == 1", "hdr . eth . src :: mask == 1", "hdr.eth.src::value == hdr.eth.src::mask", "type == type2", "type::value == type2", "type2 == type::value",
		"dst4::prefix_length <= 32", "-dst4::prefix_length >= -24", "dst4::prefix_length == dst6::prefix_length", "dst4::value == ::priority", "type == -dst4::prefix_length",
		"l4::low < l4::high", "l4 == 25", "vid::mask == 0 || vid::mask == -1", "vid == 5", "::priority < 0x7fffffff", "0 < ::priority", "-::priority < 0",
		"hdr.eth.src == mac('00:00:5e:00:53:01')", "dst4 == ipv4('192.0.2.1')", "src6::value > ipv6('::')", "dst6 != ipv6('::ffff:192.0.2.1')",
		"true && true || false -> true; true;", "true -> (true -> false)", "a_b == 1 -> true",
		"true // to the end", "/* before */ true /* * / ** */", "true // one\n; true // two\r; false\r\n// three", "\ttrue\n",
		"port == 1" + strings.Repeat(" && port == 1", 100_000), strings.Repeat("(", 400) + "true" + strings.Repeat(")", 400),
	} {
		info := programWith(t, text, "")
		info.Tables[0].MatchFields[11].Name = "tagged"
		if strings.HasPrefix(text, "a_b") {
			info.Tables[0].MatchFields[11].Name = "a_b"
		}
		if strings.Contains(text, "port == tagged") {
			info.Tables[0].MatchFields[11].Bitwidth = 9
		}
		if _, err := Load(info); err != nil {
			t.Errorf("%.100s: %v", text, err)
		}
	}
	for _, text := range []string{"port != 0", "port < label", "mac == mac('00:00:5e:00:53:01'); port != -1", "true"} {
		if _, err := Load(programWith(t, "", text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

const (
	keysOfACL = "the table has port, hdr.eth.src, dst4, l4, vid, src6, dst6, type, huge, text, type2, tagged"
	operand   = "unexpected; valid here: true, false, a number, ipv4('...'), ipv6('...'), mac('...'), a key, ::priority, ! - or ("
	infixOp   = "unexpected; valid here: one of :: == != < <= > >= && || -> ; or the end"
	inParens  = "unexpected; valid here: one of :: == != < <= > >= && || -> ; )"
	notNumber = "not a number; it must be decimal (12 or 0d12), 0x1f, 0b101 or 0o17, of at most 256 digits"
	wantBool  = "valid here is a bool, as a comparison with == != < <= > or >= is"
)

// TestRefused verifies that Load refuses a restriction that is not in the language or does not fit the table. The
// error must name the table, the position, the token and what would be valid.
func TestRefused(t *testing.T) {
	for _, tc := range []struct{ text, message string }{
		// Syntax.
		{" ", `1:2: the end: ` + operand},
		{"// nothing\n", `2:1: the end: ` + operand},
		{";", `1:1: ";": ` + operand},
		{"true;;", `1:6: ";": ` + operand},
		{"&& true", `1:1: "&&": ` + operand},
		{"true &&", `1:8: the end: ` + operand},
		{"true true", `1:6: "true": ` + infixOp},
		{"true\n  # false", `2:3: "#": ` + infixOp},
		{"true\r\n # false", `2:2: "#": ` + infixOp},
		{"true\r # false", `2:2: "#": ` + infixOp},
		{"/* é */ é", `1:9: "é": ` + operand},
		{"(true", `1:6: the end: ` + inParens},
		{"(true 5)", `1:7: "5": ` + inParens},
		{"true)", `1:5: ")": ` + infixOp},
		{"true;)", `1:6: ")": ` + operand},
		{"()", `1:2: ")": ` + operand},
		{"true & false", `1:6: "&": ` + infixOp},
		{"port = 1", `1:6: "=": ` + infixOp},
		{"port == 0b2", `1:9: "0b2": ` + notNumber},
		{"port == 0x", `1:9: "0x": ` + notNumber},
		{"port == 0o8", `1:9: "0o8": ` + notNumber},
		{"port == 1_000", `1:9: "1_000": ` + notNumber},
		{"port == 12a", `1:9: "12a": ` + notNumber},
		{"port == " + strings.Repeat("1", 257), `1:9: "` + strings.Repeat("1", 60) + `...": ` + notNumber},
		{"true /* never ends", `1:6: "/* never ends": the comment does not end; a */ must close it`},
		{"dst4 == ipv4('1.2.3.4", `1:14: "'1.2.3.4": the address does not end; a ' must close it`},
		{"dst4 == ipv4('1.2.3')", `1:14: "1.2.3": not an address of type ipv4; ipv4('192.0.2.1') is one`},
		{"dst4 == ipv4('::1')", `1:14: "::1": not an address of type ipv4; ipv4('192.0.2.1') is one`},
		{"dst6 == ipv6('1.2.3.4')", `1:14: "1.2.3.4": not an address of type ipv6; ipv6('2001:db8::1') is one`},
		{"dst6 == ipv6('fe80::1%eth0')", `1:14: "fe80::1%eth0": not an address of type ipv6; ipv6('2001:db8::1') is one`},
		{"hdr.eth.src == mac('00-00-5e-00-53-01')", `1:20: "00-00-5e-00-53-01": not an address of type mac; mac('02:00:00:00:00:01') is one`},
		{"hdr.eth.src == mac('+0:00:5e:00:53:01')", `1:20: "+0:00:5e:00:53:01": not an address of type mac; mac('02:00:00:00:00:01') is one`},
		{"dst4 == ip('1.2.3.4')", `1:9: "ip": not an address type; ipv4, ipv6 and mac are`},
		{"dst4 == ipv4(1)", `1:14: "1": unexpected; valid here: an address between single quotes`},
		{"dst4 == ipv4('1.2.3.4';", `1:23: ";": unexpected; valid here: )`},
		{"hdr.eth. == 1", `1:10: "==": unexpected; valid here: the next part of the name hdr.eth`},
		{"vid:: == 1", `1:7: "==": unexpected; valid here: value, mask, prefix_length, low or high`},
		{"port == 1 == true", `1:11: "==": does not chain; put parentheses around what is meant to come first`},
		{"port < 1 != true", `1:10: "!=": does not chain; put parentheses around what is meant to come first`},
		{"true -> true -> true", `1:14: "->": does not chain; put parentheses around what is meant to come first`},
		{strings.Repeat("(", 501), `1:501: "(": nested too deeply; at most 500 levels are valid`},
		{strings.Repeat("!", 501), `1:501: "!": nested too deeply; at most 500 levels are valid`},

		// Names.
		{"foo == 1", `1:1: "foo": not a key; ` + keysOfACL},
		{"true;\n  hdr.eth.dst == 1", `2:3: "hdr.eth.dst": not a key; ` + keysOfACL},
		{"huge == 1", `1:1: "huge": has 129 bits; 1 to 128 can be restricted`},
		{"text == 1", `1:1: "text": its match type cannot be restricted; exact, lpm, ternary, range and optional can`},
		{"::prio == 1", `1:3: "prio": not an attribute; valid after :: here: priority`},
		{"::", `1:3: the end: not an attribute; valid after :: here: priority`},

		// Fields.
		{"port::mask == 1", `1:7: "mask": not a field of port; exact<9> has the field value`},
		{"hdr.eth.src::prefix_length == 1", `1:14: "prefix_length": not a field of hdr.eth.src; ternary<48> has the fields value and mask`},
		{"dst4::mask == 1", `1:7: "mask": not a field of dst4; lpm<32> has the fields value and prefix_length`},
		{"l4::value == 1", `1:5: "value": not a field of l4; range<16> has the fields low and high`},
		{"vid::low == 1", `1:6: "low": not a field of vid; optional<12> has the fields value and mask`},
		{"5::value == 1", `1:4: "value": not a field of 5; int has no fields`},
		{"true::value", `1:7: "value": not a field of true; bool has no fields`},
		{"::priority::value == 1", `1:13: "value": not a field of ::priority; int has no fields`},
		{"port::value::value == 1", `1:12: "::": a field has no fields of its own`},

		// Types.
		{"port", `1:1: "port": is exact<9>; ` + wantBool},
		{"1", `1:1: "1": is int; ` + wantBool},
		{"vid::mask", `1:1: "vid::mask": is bit<12>; ` + wantBool},
		{"true && port /* which */\n:: value", `1:9: "port :: value": is bit<9>; ` + wantBool},
		{"5 || true", `1:1: "5": is int; ` + wantBool},
		{"true -> (5)", `1:9: "(5)": is int; ` + wantBool},
		{"true; true; dst4", `1:13: "dst4": is lpm<32>; ` + wantBool},
		{"!port", `1:2: "port": is exact<9>; ` + wantBool},
		{"-true == 1", `1:2: "true": is bool; valid after - is an int: a number, a prefix_length or ::priority`},
		{"-port == 1", `1:2: "port": is exact<9>; valid after - is an int: a number, a prefix_length or ::priority`},
		{"port == true", `1:6: "==": cannot compare exact<9> with bool; exact<9> compares with int, bit<9> and exact<9>`},
		{"true == 1", `1:6: "==": cannot compare bool with int; bool compares with bool`},
		{"1 == true", `1:3: "==": cannot compare int with bool; int compares with int, bit<W> and keys`},
		{"vid::mask != l4::low", `1:11: "!=": cannot compare bit<12> with bit<16>; bit<12> compares with int, bit<12> and keys of 12 bits`},
		{"hdr.eth.src == vid::mask", `1:13: "==": cannot compare ternary<48> with bit<12>; ternary<48> compares with int, bit<48> and ternary<48>`},
		{"type == l4", `1:6: "==": cannot compare ternary<16> with range<16>; ternary<16> compares with int, bit<16> and ternary<16>`},
		{"hdr.eth.src > 5", `1:13: ">": ternary<48> has no order; == and != are valid, or comparing the fields value and mask`},
		{"vid >= 5", `1:5: ">=": optional<12> has no order; == and != are valid, or comparing the fields value and mask`},
		{"5 < dst4", `1:3: "<": lpm<32> has no order; == and != are valid, or comparing the fields value and prefix_length`},
		{"l4 <= 5", `1:4: "<=": range<16> has no order; == and != are valid, or comparing the fields low and high`},
		{"true < false", `1:6: "<": bool has no order; == and != are valid`},
	} {
		_, err := Load(programWith(t, tc.text, ""))
		if want := `table "acl": bad restriction: ` + tc.message; !errors.Is(err, ErrRestriction) || err.Error() != want {
			t.Errorf("%.100s\n got %v\nwant %s", tc.text, err, want)
		}
	}
}

// TestRefusedOfActions verifies that an action's restriction can use only the action's parameters.
func TestRefusedOfActions(t *testing.T) {
	for _, tc := range []struct{ text, message string }{
		{"port != ", `1:9: the end: unexpected; valid here: true, false, a number, ipv4('...'), ipv6('...'), mac('...'), a parameter, ! - or (`},
		{"vid == 1", `1:1: "vid": not a parameter; the action has port, mac, label`},
		{"port::value == 1", `1:7: "value": not a field of port; bit<9> has no fields`},
		{"::priority == 1", `1:3: "priority": not an attribute; valid after :: here: nothing; an action has no attributes, only a table's entries do`},
		{"port < mac", `1:6: "<": cannot compare bit<9> with bit<48>; bit<9> compares with int, bit<9> and keys of 9 bits`},
		{"-port == 1", `1:2: "port": is bit<9>; valid after - is an int: a number, a prefix_length`},
	} {
		_, err := Load(programWith(t, "", tc.text))
		if want := `action "forward": bad restriction: ` + tc.message; !errors.Is(err, ErrRestriction) || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", tc.text, err, want)
		}
	}
	info := programWith(t, "", "")
	info.Actions[2].Preamble.Annotations = []string{annotate("action_restriction", "x == 1")}
	_, err := Load(info)
	if want := `action "other": bad restriction: 1:1: "x": not a parameter; the action has no parameters`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestAmbiguousNameRefused verifies that a restriction cannot use a name that two keys share.
func TestAmbiguousNameRefused(t *testing.T) {
	info := programWith(t, "type == 1", "")
	info.Tables[0].MatchFields[10].Name = "type"
	_, err := Load(info)
	if err == nil || !strings.Contains(err.Error(), `1:1: "type": more than one key has this name; the table has port, `) {
		t.Error(err)
	}
}

// TestAllFaultsAreTold verifies that Load reports every faulty restriction, so that all can be fixed at once.
func TestAllFaultsAreTold(t *testing.T) {
	info := programWith(t, "foo == 1", "bar == 1")
	_, err := Load(info)
	for _, want := range []string{`table "acl": bad restriction: 1:1: "foo"`, `action "forward": bad restriction: 1:1: "bar"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want ...%s...", err, want)
		}
	}
}

// TestAnnotations verifies how Load reads the string literals that p4c prints in annotations.
func TestAnnotations(t *testing.T) {
	for _, tc := range []struct {
		annotation string
		want       []string
	}{
		{`@entry_restriction("true")`, []string{"true"}},
		{` @entry_restriction ( "true" ) `, []string{"true"}},
		{`@entry_restriction("")`, []string{""}},
		{`@entry_restriction("a" "b;" "c")`, []string{"a\nb;\nc"}},
		{"@entry_restriction(\"\n  // a comment with 'quotes' and a \\\"dq\\\"\n  e::mask == 0\")", []string{"\n  // a comment with 'quotes' and a \"dq\"\n  e::mask == 0"}},
		{`@entry_restriction("a \\ b \n c \t \x (\")")`, []string{"a \\ b \n c \t \\x (\")"}},
		{`@entry_restriction_of("x")`, nil},
		{`@entry_restrictio`, nil},
		{`@defaultonly`, nil},
		{``, nil},
	} {
		got, err := restrictions(ofTable, &configv1.Preamble{Annotations: []string{tc.annotation}})
		if err != nil || strings.Join(got, "|") != strings.Join(tc.want, "|") || len(got) != len(tc.want) {
			t.Errorf("%s: %q (%v), want %q", tc.annotation, got, err, tc.want)
		}
	}
}

func TestAnnotationsRefused(t *testing.T) {
	const want = `it must be one or more strings, as in ("port != 0")`
	for _, tc := range []struct{ annotation, message string }{
		{`@entry_restriction(e == 1)`, `@entry_restriction: body "(e == 1)": "e == 1" is not a string; ` + want},
		{`@entry_restriction`, `@entry_restriction: body "": not between ( and ); ` + want},
		{`@entry_restriction"true"`, `@entry_restriction: body "\"true\"": not between ( and ); ` + want},
		{`@entry_restriction("true"`, `@entry_restriction: body "(\"true\"": not between ( and ); ` + want},
		{`@entry_restriction("true)`, `@entry_restriction: body "(\"true)": a string does not end; ` + want},
		{`@entry_restriction("true\")`, `@entry_restriction: body "(\"true\\\")": a string does not end; ` + want},
		{`@entry_restriction("true", "false")`, `@entry_restriction: body "(\"true\", \"false\")": ", \"false\"" is not a string; ` + want},
		{`@entry_restriction()`, `@entry_restriction: body "()": no string; ` + want},
		{`@action_restriction("true")`, `@action_restriction: is not for tables; @entry_restriction is`},
	} {
		info := programWith(t, "", "")
		info.Tables[0].Preamble.Annotations = []string{tc.annotation}
		_, err := Load(info)
		if want := `table "acl": bad restriction: ` + tc.message; !errors.Is(err, ErrRestriction) || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", tc.annotation, err, want)
		}
	}
}

// TestStructuredAnnotations verifies that structured annotations, @entry_restriction["..."], have the same meaning.
func TestStructuredAnnotations(t *testing.T) {
	for _, tc := range []struct{ body, message string }{
		{`name: "entry_restriction" expression_list { expressions { string_value: "port == 1" } expressions { string_value: "true" } }`, ""},
		{`name: "color" expression_list { expressions { int64_value: 1 } }`, ""},
		{`name: "entry_restriction" expression_list { expressions { string_value: "port == 1" } expressions { string_value: "1" } }`, `1:1: "1": is int; ` + wantBool},
		{`name: "entry_restriction" expression_list { }`, `@entry_restriction[...]: holds no string; write @entry_restriction("...") or @entry_restriction["..."]`},
		{`name: "entry_restriction" kv_pair_list { kv_pairs { key: "x" value { string_value: "true" } } }`, `@entry_restriction[...]: holds no string; write @entry_restriction("...") or @entry_restriction["..."]`},
		{`name: "action_restriction"`, `@action_restriction: is not for tables; @entry_restriction is`},
	} {
		info := parseText(t, &configv1.P4Info{}, program+`tables { preamble { id: 9 name: "t" structured_annotations { `+tc.body+` } } match_fields { id: 1 name: "port" bitwidth: 9 match_type: EXACT } }`)
		_, err := Load(info)
		if tc.message == "" {
			if err != nil {
				t.Errorf("%s: %v", tc.body, err)
			}
			continue
		}
		if want := `table "t": bad restriction: ` + tc.message; err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", tc.body, err, want)
		}
	}
	info := parseText(t, &configv1.P4Info{}, `tables { preamble { id: 9 name: "t" structured_annotations { name: "entry_restriction" expression_list { expressions { int64_value: 1 } } } } }`)
	_, err := Load(info)
	if !errors.Is(err, ErrRestriction) || !strings.HasSuffix(err.Error(), "; it must hold strings") {
		t.Error(err)
	}
}

// TestPlaceInAdjacentLiterals verifies that adjacent literals are lines of one text, so that a fault in the second
// literal is reported on line 2.
func TestPlaceInAdjacentLiterals(t *testing.T) {
	info := programWith(t, "", "")
	info.Tables[0].Preamble.Annotations = []string{`@entry_restriction("port == 1; // first" " foo == 1")`}
	_, err := Load(info)
	if want := `table "acl": bad restriction: 2:2: "foo": not a key; ` + keysOfACL; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
