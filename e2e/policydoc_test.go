package e2e

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"op25b/internal/compile/compiletest"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// TestPolicyPage verifies that the documents in docs/policy.md are valid and compile in every phase, and that the page names every
// key of a document.
func TestPolicyPage(t *testing.T) {
	page, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	var files []strict.File
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1) {
		files = append(files, strict.File{Name: "docs/policy.md", Data: m[1]})
	}
	b, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.Policy.Phases {
		ph := &b.Policy.Phases[i]
		if _, err := compiletest.Compile(b, nil, "edge-1", policy.Everywhere(ph.Name), b.Policy.Begins(ph)); err != nil {
			t.Error(err)
		}
	}
	text := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(string(page), "")
	for _, key := range keysOf(reflect.TypeFor[policy.Policy](), reflect.TypeFor[policy.Inventory](), reflect.TypeFor[policy.Exemption]()) {
		if !strings.Contains(text, "`"+key+"`") {
			t.Errorf("docs/policy.md says nothing of the key %q", key)
		}
	}
}

// keysOf returns the YAML keys of the given types and of all types that these contain.
func keysOf(types ...reflect.Type) []string {
	var keys []string
	seen := map[reflect.Type]bool{}
	for len(types) > 0 {
		x := types[0]
		types = types[1:]
		for x.Kind() == reflect.Slice || x.Kind() == reflect.Pointer || x.Kind() == reflect.Array {
			x = x.Elem()
		}
		if x.Kind() != reflect.Struct || seen[x] {
			continue
		}
		seen[x] = true
		for f := range x.Fields() {
			if tag, ok := f.Tag.Lookup("yaml"); ok && tag != "-" {
				key, _, _ := strings.Cut(tag, ",")
				keys = append(keys, key)
				types = append(types, f.Type)
			}
		}
	}
	return keys
}
