package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"op25b/e2e/vectors"
)

// TestVectorsAreCounted verifies that README.md and docs/developing.md state the number of golden
// vectors.
func TestVectorsAreCounted(t *testing.T) {
	all, err := vectors.Read(os.DirFS(vectorsFolder))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d,%03d golden vectors", len(all)/1000, len(all)%1000)
	for _, page := range []string{"../README.md", "../docs/developing.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s does not have %q", page, want)
		}
	}
}
