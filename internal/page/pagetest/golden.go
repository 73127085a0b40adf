package pagetest

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the structures of pages in testdata anew")

// Golden compares the outline of the page that the browser shows with a file. With the flag -update, it writes the file instead. mask, if not nil,
// replaces what differs from run to run in both.
func Golden(t *testing.T, ctx context.Context, file string, mask func(string) string) {
	t.Helper()
	got := Tree(t, ctx).Outline()
	if mask != nil {
		got = mask(got)
	}
	want, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	if !*update {
		t.Errorf("the structure of the page differs from %s (- file, + page); if the change is intended, run the test with -update and review the difference:\n%s", file, cmp.Diff(string(want), got))
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
}
