package engine

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestLoadRefuses verifies that Load refuses each fault in an otherwise valid program. The error
// must name the position and the expected form.
func TestLoadRefuses(t *testing.T) {
	good := func() *testProgram {
		return tableProgram("exact", l{key("exact", "h", "a")}, func(p *testProgram, _ m) {
			p.root["calculations"] = l{m{"name": "k", "id": 0, "algo": "crc16", "input": l{fld("h", "a")}}}
			p.root["field_lists"] = l{m{"id": 1, "name": "fl", "elements": l{fld("h", "a")}}}
		})
	}
	if _, err := Load(good().json(t), Options{}); err != nil {
		t.Fatal(err)
	}
	action := func(p *testProgram, prims ...any) { p.action("broken", nil, prims...) }
	table := func(p *testProgram) m { return p.tables[0][0].(m) }
	for _, c := range []struct {
		name  string
		spoil func(p *testProgram)
		kind  error
		want  string
	}{
		{"primitive", func(p *testProgram) { action(p, prim("warp", hx("0x1"))) }, ErrUnsupported, `action "broken": primitive "warp"`},
		{"parameters", func(p *testProgram) { action(p, prim("assign", hx("0x1"))) }, ErrProgram, "1 parameters, want 2"},
		{"operation", func(p *testProgram) { action(p, set(fld("h", "a"), wrapped(op("**", hx("0x1"), hx("0x2"))))) }, ErrUnsupported, `operation "**"`},
		{"operand", func(p *testProgram) { action(p, set(fld("h", "a"), wrapped(op("&", nil, hx("0x2"))))) }, ErrProgram, "operand is missing"},
		{"type of operand", func(p *testProgram) { action(p, set(fld("h", "a"), wrapped(op("b2d", nil, hx("0x2"))))) }, ErrProgram, "want a boolean, got a number"},
		{"field", func(p *testProgram) { action(p, set(fld("h", "zz"), hx("0x2"))) }, ErrProgram, `"h_t" has no field "zz"`},
		{"header", func(p *testProgram) { action(p, prim("add_header", hdr("zz"))) }, ErrProgram, `no header "zz"`},
		{"value type", func(p *testProgram) { action(p, set(fld("h", "a"), m{"type": "dream", "value": 1})) }, ErrUnsupported, `"dream"`},
		{"number", func(p *testProgram) { action(p, set(fld("h", "a"), hx("0xzz"))) }, ErrProgram, `"0xzz" is not a hexadecimal number`},
		{"write to a constant", func(p *testProgram) { action(p, set(hx("0x1"), hx("0x2"))) }, ErrProgram, "want a field to write to"},
		{"runtime data", func(p *testProgram) { action(p, set(fld("h", "a"), param(3))) }, ErrProgram, "no parameter 3"},
		{"jump", func(p *testProgram) { action(p, prim("_jump", hx("0x9"))) }, ErrProgram, "a jump to 9"},
		{"counter", func(p *testProgram) { action(p, prim("count", m{"type": "counter_array", "value": "c"}, hx("0x0"))) }, ErrProgram, `no indexed counter "c"`},
		{"register", func(p *testProgram) {
			action(p, prim("register_read", fld("h", "a"), m{"type": "register_array", "value": "r"}, hx("0x0")))
		}, ErrProgram, `no register "r"`},
		{"field list", func(p *testProgram) { action(p, prim("resubmit", hx("0x9"))) }, ErrProgram, "no field list with id 9"},
		{"learn list", func(p *testProgram) { action(p, prim("generate_digest", hx("0x1"), hx("0x9"))) }, ErrProgram, "no learn list with id 9"},
		{"algorithm", func(p *testProgram) { p.root["calculations"].(l)[0].(m)["algo"] = "md5" }, ErrUnsupported, `calculation "k"`},
		{"extern", func(p *testProgram) { p.root["extern_instances"] = l{m{"name": "x", "id": 0, "type": "Checksum"}} }, ErrUnsupported, `extern instance "x" of type "Checksum"`},
		{"parser op", func(p *testProgram) { p.states[0].(m)["parser_ops"] = l{m{"op": "leap", "parameters": l{}}} }, ErrUnsupported, `state "start": parser op "leap"`},
		{"state", func(p *testProgram) { p.states[0].(m)["transitions"] = l{otherwise("zz")} }, ErrProgram, `no state "zz"`},
		{"transition", func(p *testProgram) { p.states[0].(m)["transitions"] = l{m{"type": "maybe", "next_state": nil}} }, ErrUnsupported, `transition of type "maybe"`},
		{"match type", func(p *testProgram) { table(p)["key"].(l)[0].(m)["match_type"] = "regex" }, ErrUnsupported, `table "t": not supported: key 0 of match type "regex"`},
		{"table type", func(p *testProgram) { table(p)["type"] = "dream" }, ErrUnsupported, `table type "dream"`},
		{"profile", func(p *testProgram) { table(p)["type"] = "indirect" }, ErrProgram, "no action profile"},
		{"next table", func(p *testProgram) { table(p)["base_default_next"] = "zz" }, ErrProgram, `no table, condition or call "zz"`},
		{"action id", func(p *testProgram) { table(p)["action_ids"] = l{99} }, ErrProgram, "no action with id 99"},
		{"direct meter", func(p *testProgram) { table(p)["direct_meters"] = "dm" }, ErrProgram, `no direct meter "dm"`},
		{"deparser", func(p *testProgram) { p.emits = l{"zz"} }, ErrProgram, `deparser "deparser": bad program: no header "zz"`},
		{"header type", func(p *testProgram) { p.headers[0].(m)["header_type"] = "zz" }, ErrProgram, `header "scalars": bad program: no header type "zz"`},
		{"standard metadata", func(p *testProgram) { p.types[1].(m)["fields"] = l{} }, ErrProgram, "not a v1model program"},
		{"version", func(p *testProgram) { p.root["__meta__"] = m{"version": l{1, 0}} }, ErrProgram, "__meta__.version"},
		{"checksum", func(p *testProgram) {
			p.root["checksums"] = l{m{"name": "c", "id": 0, "target": l{"h", "a"}, "type": "generic", "calculation": "zz"}}
		}, ErrProgram, `checksum "c": bad program: no calculation "zz"`},
	} {
		p := good()
		c.spoil(p)
		e, err := Load(p.json(t), Options{})
		if e != nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.kind, c.want)
		}
	}
	if _, err := Load([]byte("{"), Options{}); !errors.Is(err, ErrProgram) || errors.As(err, new(*json.SyntaxError)) == false {
		t.Errorf("no JSON: %v", err)
	}
}
