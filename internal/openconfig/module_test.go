package openconfig

import (
	"os"
	"strings"
	"testing"
)

// TestModuleOfThisRepository verifies that the module in docs/yang defines every served node of that module, and that its
// revision and organization match Capabilities.
func TestModuleOfThisRepository(t *testing.T) {
	text, err := os.ReadFile("../../docs/yang/op25b-filter.yang")
	if err != nil {
		t.Fatal(err)
	}
	module := strings.Join(strings.Fields(string(text)), " ")
	want := func(statement string) {
		t.Helper()
		if !strings.Contains(module, statement) {
			t.Errorf("the module has no statement %q", statement)
		}
	}
	for _, m := range models() {
		if m.Name == modFilter {
			want("module " + m.Name + " {")
			want("revision " + m.Version + " {")
			want(`organization "` + m.Organization + `";`)
		}
	}
	var check func(*schema)
	check = func(s *schema) {
		if s.module == modFilter {
			switch {
			case s.leaf():
				want("leaf " + s.name + " {")
			case s.list():
				want("list " + s.name + ` { key "` + strings.Join(s.keys, " ") + `";`)
			default:
				want("container " + s.name + " {")
			}
		}
		for _, c := range s.children {
			check(c)
		}
	}
	check(newSchema())
	for l := range legs {
		want("enum " + l.String() + " { value " + string(rune('0'+l)) + ";")
	}
}
