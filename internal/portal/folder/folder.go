// Package folder reads the files of the portal's content, with bounds. A folder is an fs.FS, so that the embedded defaults, a folder on disk
// and a mounted ConfigMap, whose files are symbolic links, are read alike.
package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"op25b/internal/strict"
)

// ErrBound means that a folder has too many files, or that a file is too large or no regular file.
var ErrBound = errors.New("content cannot be read")

// List returns the names of the entries of a folder in ascending order. It leaves out names that begin with a dot. It returns ErrBound if the
// folder has more than limit entries.
func List(fsys fs.FS, limit int) ([]string, error) {
	f, err := fsys.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, fmt.Errorf("%w: not a folder", ErrBound)
	}
	entries, err := dir.ReadDir(limit + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(entries) > limit {
		return nil, fmt.Errorf("%w: the folder has more than %d files: move old ones elsewhere", ErrBound, limit)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Read reads a file of at most limit bytes. It follows symbolic links. The error is ErrBound, or one of fsys.
func Read(fsys fs.FS, name string, limit int) (strict.File, error) {
	info, err := fs.Stat(fsys, name) // before it is opened, as opening a pipe would wait for a writer
	switch {
	case err != nil:
		return strict.File{}, err
	case !info.Mode().IsRegular():
		return strict.File{}, fmt.Errorf("%w: %s is not a regular file: move it elsewhere", ErrBound, name)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return strict.File{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	switch {
	case err != nil:
		return strict.File{}, err
	case len(data) > limit:
		return strict.File{}, fmt.Errorf("%w: %s has more than %d bytes: shorten or divide it", ErrBound, name, limit)
	}
	return strict.File{Name: name, Data: data}, nil
}
