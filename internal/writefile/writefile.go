// Package writefile writes whole files, so that a crash leaves either no trace or the complete file.
package writefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes a file with a content and a mode. After a crash, path has either its old or its new content.
func Replace(path string, mode fs.FileMode, content []byte) error {
	return ReplaceFunc(path, mode, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// ReplaceFunc is like Replace, with the content that write writes. write gets a temporary file in the same directory, which is removed if write
// fails. ReplaceFunc returns write's error as it is.
func ReplaceFunc(path string, mode fs.FileMode, write func(*os.File) error) error {
	return whole(path, mode, write, os.Rename)
}

// CreateFunc is like ReplaceFunc, but overwrites nothing: it returns an error of the kind fs.ErrExist if path exists once write is done.
func CreateFunc(path string, mode fs.FileMode, write func(*os.File) error) error {
	return whole(path, mode, write, os.Link)
}

// whole writes a temporary file and gives it its name by place.
func whole(path string, mode fs.FileMode, write func(*os.File) error, place func(from, to string) error) error {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+name+"-*") // CreateTemp sets mode 0600, so nobody else can read the file before it has its mode
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after a rename
	err = write(f)
	if err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = place(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
