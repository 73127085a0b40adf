package writefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func text(s string) func(*os.File) error {
	return func(f *os.File) error {
		_, err := f.WriteString(s)
		return err
	}
}

// state returns the content, the mode, and the number of files in the folder.
func state(t *testing.T, path string) (string, fs.FileMode, int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data), info.Mode().Perm(), len(all)
}

// TestReplace verifies that a file is replaced as a whole with its mode, and that a failed write leaves the old file and nothing else.
func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for _, c := range []struct {
		content string
		mode    fs.FileMode
	}{{"first", 0o600}, {"second", 0o644}, {"", 0o600}} {
		if err := Replace(path, c.mode, []byte(c.content)); err != nil {
			t.Fatal(err)
		}
		if content, mode, n := state(t, path); content != c.content || mode != c.mode || n != 1 {
			t.Errorf("%q, %o, %d files, want %+v", content, mode, n, c)
		}
	}
	if err := Replace(path, 0o600, []byte("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := ReplaceFunc(path, 0o644, func(f *os.File) error {
		if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the temporary file has mode %o, %v", info.Mode().Perm(), err)
		}
		return errors.Join(text("half")(f), broken)
	})
	if content, mode, n := state(t, path); !errors.Is(err, broken) || content != "old" || mode != 0o600 || n != 1 {
		t.Errorf("%v, %q, %o, %d files", err, content, mode, n)
	}
	if err := Replace(filepath.Join(path, "b"), 0o600, nil); err == nil {
		t.Error("a file below a file was written")
	}
}

// TestCreate verifies that an existing file is never overwritten, also one that appears during the write.
func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := CreateFunc(path, 0o600, text("mine")); err != nil {
		t.Fatal(err)
	}
	if content, mode, n := state(t, path); content != "mine" || mode != 0o600 || n != 1 {
		t.Errorf("%q, %o, %d files", content, mode, n)
	}
	if err := CreateFunc(path, 0o600, text("other")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an existing file: %v", err)
	}
	if content, _, n := state(t, path); content != "mine" || n != 1 {
		t.Errorf("%q, %d files", content, n)
	}
}
