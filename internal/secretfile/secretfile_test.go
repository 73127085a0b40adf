package secretfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWarnings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode               fs.FileMode
		readable, writable string
	}{
		{0o600, "", ""},
		{0o640, "", ""},
		{0o644, "token file " + path + ": every user of this host can read it (mode 0644); run chmod 600 " + path, ""},
		{0o602, "", "token file " + path + ": every user of this host can write it (mode 0602); run chmod o-w " + path},
	} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if got := Readable("token file", path); got != c.readable {
			t.Errorf("mode %04o: Readable is %q, want %q", c.mode, got, c.readable)
		}
		if got := Writable("token file", path); got != c.writable {
			t.Errorf("mode %04o: Writable is %q, want %q", c.mode, got, c.writable)
		}
	}
	for _, path := range []string{"", filepath.Join(t.TempDir(), "absent")} {
		if got := Readable("token file", path) + Writable("token file", path); got != "" {
			t.Errorf("path %q: %q, want nothing", path, got)
		}
	}
}
