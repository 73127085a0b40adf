package plan

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestDocuments(t *testing.T) {
	got := diffs(
		[]file{{"a", []byte("1\n2\n")}, {"gone", []byte("x\n")}, {"same", []byte("s\n")}},
		[]file{{"a", []byte("1\n3\n")}, {"b", []byte("new\n")}, {"same", []byte("s\n")}},
	)
	want := []DocumentDiff{
		{Path: "files/a", Unified: "--- current/a\n+++ proposed/a\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n"},
		{Path: "files/b", Added: true, Unified: "--- /dev/null\n+++ proposed/b\n@@ -0,0 +1,1 @@\n+new\n"},
		{Path: "files/gone", Removed: true, Unified: "--- current/gone\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	long := diffs(nil, []file{{"a", []byte(strings.Repeat("line\n", MaxDiff/4))}})[0]
	if !long.Truncated || len(long.Unified) > MaxDiff || !strings.HasSuffix(long.Unified, "+line\n") {
		t.Errorf("a long difference: %d bytes, cut %v", len(long.Unified), long.Truncated)
	}
}

func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.String().Draw(t, "text")
		most := rapid.IntRange(0, 40).Draw(t, "most")
		got, cut := Cut(whole, most)
		if !utf8.ValidString(got) || cut != (len(whole) > most) || cut && len(got) > most || !strings.HasPrefix(whole, got) || !cut && got != whole {
			t.Fatalf("%q cut at %d is %q, %v", whole, most, got, cut)
		}
	})
}
