package api

import (
	"maps"
	"os"
	"regexp"
	"testing"

	"op25b/internal/auth"
)

// The documentation lists the role that each call requires, and its example of an access file is
// valid.
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
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the page has no access file")
	}
	if _, err := auth.Parse("docs/api.md", block[1]); err != nil {
		t.Error(err)
	}
}
