package readfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := Bounded(path, 5); err != nil || string(b) != "12345" {
		t.Errorf("%q, %v", b, err)
	}
	for _, c := range []struct {
		path string
		want error
		text string
	}{
		{path, ErrLarge, "file too large: " + path + " has more than 4 bytes"},
		{"/dev/zero", ErrLarge, "file too large: /dev/zero has more than 4 bytes"},
		{path + ".absent", fs.ErrNotExist, "open " + path + ".absent: no such file or directory"},
	} {
		if b, err := Bounded(c.path, 4); b != nil || !errors.Is(err, c.want) || err.Error() != c.text {
			t.Errorf("%s: %q, %v", c.path, b, err)
		}
	}
}
