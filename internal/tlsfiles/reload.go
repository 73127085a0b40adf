package tlsfiles

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// A file is the path of a file with the description of the file in error messages.
type file struct{ what, path string }

// settled is the age above which an unchanged modification time means unchanged content. A file that is rewritten in place within the
// same clock tick in which it was read looks unchanged. The clock tick of a file system is up to 2 s (FAT). So a file that is younger
// than settled is read again.
const settled = 2 * time.Second

// A reloaded is a value that is derived from the current content of files. If there are no files, the value is always zero.
type reloaded[T any] struct {
	files   []file
	parse   func(contents [][]byte) (T, error)
	onError func(error)

	mu       sync.Mutex // guards all following fields
	value    T
	stats    []fs.FileInfo // file infos of the last attempt to read; nil if the attempt failed
	contents [][]byte      // content that was last parsed successfully
	young    bool          // whether a file was not settled at the last attempt
	told     string        // last error that was passed to onError
}

func none[T any]() *reloaded[T] { return new(reloaded[T]) }

// watch reads the files for the first time. It returns an error if they are invalid.
func watch[T any](onError func(error), files []file, parse func([][]byte) (T, error)) (*reloaded[T], error) {
	r := &reloaded[T]{files: files, parse: parse, onError: onError}
	if err := r.refresh(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFiles, err)
	}
	return r, nil
}

// current returns the value of the current files. If they are invalid, it returns the last valid value.
func (r *reloaded[T]) current() T {
	value, news := r.look()
	if news != nil && r.onError != nil {
		r.onError(news)
	}
	return value
}

// look returns the value, and an error if there is one that has not been reported yet.
func (r *reloaded[T]) look() (value T, news error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(); err != nil && err.Error() != r.told {
		r.told = err.Error()
		news = fmt.Errorf("%w: %w; the ones read before stay in use", ErrFiles, err)
	}
	return r.value, news
}

// refresh reads the files and derives the value again if the files have changed since the last attempt.
func (r *reloaded[T]) refresh() error {
	if len(r.files) == 0 {
		return nil
	}
	stats := make([]fs.FileInfo, len(r.files))
	for i, f := range r.files {
		var err error
		if stats[i], err = os.Stat(f.path); err != nil { // Stat follows symbolic links, because mounted secrets are replaced by changing a link
			r.stats = nil
			return fmt.Errorf("%s %s: %w", f.what, f.path, reason(err))
		}
	}
	if !r.young && r.stats != nil && slices.EqualFunc(stats, r.stats, same) {
		return nil
	}
	// The file infos are read before the contents, so that the next call detects a change that is made during the read.
	r.young = slices.ContainsFunc(stats, func(s fs.FileInfo) bool { return time.Since(s.ModTime()) < settled })
	r.stats = nil
	contents := make([][]byte, len(r.files))
	for i, f := range r.files {
		var err error
		if contents[i], err = os.ReadFile(f.path); err != nil {
			return fmt.Errorf("%s %s: %w", f.what, f.path, reason(err))
		}
	}
	r.stats = stats
	if r.contents != nil && slices.EqualFunc(contents, r.contents, bytes.Equal) {
		r.told = ""
		return nil
	}
	value, err := r.parse(contents)
	if err != nil {
		return err
	}
	r.value, r.contents, r.told = value, contents, ""
	return nil
}

func same(a, b fs.FileInfo) bool {
	return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && os.SameFile(a, b)
}
