package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestList(t *testing.T) {
	files := fstest.MapFS{"b.md": {}, "a.md": {}, ".hidden": {}}
	got, err := List(files, 3)
	if diff := cmp.Diff([]string{"a.md", "b.md"}, got); err != nil || diff != "" {
		t.Errorf("%v\n-want +got:\n%s", err, diff)
	}
	const want = "content cannot be read: the folder has more than 2 files: move old ones elsewhere"
	if _, err := List(files, 2); !errors.Is(err, ErrBound) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := List(os.DirFS(filepath.Join(t.TempDir(), "none")), 2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"fits": 10, "large": 11} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("a", size)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("fits", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"fits": "", "link": "",
		"large": "content cannot be read: large has more than 10 bytes: shorten or divide it",
		"sub":   "content cannot be read: sub is not a regular file: move it elsewhere",
		"pipe":  "content cannot be read: pipe is not a regular file: move it elsewhere",
	} {
		f, err := Read(os.DirFS(dir), name, 10)
		switch {
		case want == "" && (err != nil || f.Name != name || len(f.Data) != 10):
			t.Errorf("%s: %v, %v", name, f, err)
		case want != "" && (!errors.Is(err, ErrBound) || err.Error() != want):
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := Read(os.DirFS(dir), "none", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", fmt.Sprint(err))
	}
}
