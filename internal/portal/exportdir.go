package portal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// marker is the file by which a folder is known to be an export. A folder without it is never replaced.
const marker = ".op25b-export"

// ErrNotExport is returned by Write if the folder exists and is not an export.
var ErrNotExport = errors.New("not an export")

// Write writes the files to a folder. A web server that serves the folder shows either the old export or the new one: the files are written to
// a folder beside it, which then takes its place. An empty folder and an earlier export are replaced; for any other folder or file, Write
// returns ErrNotExport and changes nothing.
func (x *Exported) Write(dir string) (err error) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // the link stays, and what it leads to is replaced
	}
	exists, err := replaceable(dir)
	if err != nil {
		return err
	}
	parent, name := filepath.Split(filepath.Clean(dir))
	if parent == "" {
		parent = "."
	}
	temp, err := os.MkdirTemp(parent, "."+name+".new-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if err := os.Chmod(temp, 0o755); err != nil { // a web server of another user reads it
		return err
	}
	for _, f := range append([]File{{marker, []byte("This folder was written by op25b portal --export, which replaces it as a whole.\n")}}, x.Files...) {
		at := filepath.Join(temp, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, f.Data, 0o644); err != nil {
			return err
		}
	}
	if exists {
		return exchange(temp, dir) // temp is the earlier export afterwards, and is removed
	}
	return os.Rename(temp, dir)
}

// replaceable reports whether a folder exists. It returns ErrNotExport if something exists that must not be replaced.
func replaceable(dir string) (exists bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		if info, statErr := os.Stat(dir); statErr == nil && !info.IsDir() {
			return false, fmt.Errorf("%w: %s is a file: name a new folder, an empty one, or an earlier export", ErrNotExport, dir)
		}
		return false, err
	case len(entries) == 0:
		return true, nil
	}
	if _, err := os.Lstat(filepath.Join(dir, marker)); err != nil {
		return false, fmt.Errorf("%w: %s has files that op25b did not write: name a new folder, an empty one, or an earlier export", ErrNotExport, dir)
	}
	return true, nil
}

// exchangeInSteps exchanges two folders by renaming them. For a moment, nothing has the name b.
func exchangeInSteps(a, b string) error {
	aside := a + "-old"
	if err := os.Rename(b, aside); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(aside, b))
	}
	return os.Rename(aside, a)
}
