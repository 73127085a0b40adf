package api

import (
	"maps"
	"os"
	"regexp"
	"testing"

	"op25b/internal/auth"
)

// The documentation lists the role that each call requires, and its examples of access files are valid.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	left := maps.Clone(verbs)
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+/\\w+)` \\| (\\w+) \\|$").FindAllSubmatch(page, -1) {
		procedure := "/op25b.v1." + string(row[1])
		if verb, ok := left[procedure]; !ok || verb.Least != auth.Role(row[2]) {
			t.Errorf("%s: the page says %s, the table %q", procedure, row[2], verb.Least)
		}
		delete(left, procedure)
	}
	for _, other := range []string{reflectV1, reflectV1Alpha, healthCheck} {
		delete(left, other)
	}
	if len(left) != 0 {
		t.Errorf("the page does not have %v", left)
	}
	for _, name := range []string{"api.md", "page.md"} {
		page, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
		if block == nil {
			t.Fatalf("%s has no access file", name)
		}
		if _, err := auth.Parse("docs/"+name, block[1]); err != nil {
			t.Error(err)
		}
	}
}
