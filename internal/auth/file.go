package auth

import (
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// A File is an access file that is read again after it has changed. It starts no goroutine, because each call of Access compares the
// modification time, size and inode of the file. If the file is invalid or missing, its last valid contents stay in use. A File is safe
// for concurrent use.
type File struct {
	path    string
	onError func(error)

	mu     sync.Mutex // guards the fields below
	access *Grants
	stat   fs.FileInfo // the file info at the last attempt to read the file
	looked time.Time   // the time of the last attempt
	told   string      // the last error passed to onError
}

// Open reads an access file. If onError is not nil, it is called when a changed file cannot be used, once for each different error.
func Open(path string, onError func(error)) (*File, error) {
	f := &File{path: path, onError: onError}
	if err := f.refreshLocked(); err != nil {
		return nil, err
	}
	return f, nil
}

// Access returns the current contents of the file, which it reads again if the file has changed.
func (f *File) Access() *Grants {
	access, news := f.look()
	if news != nil && f.onError != nil {
		f.onError(news)
	}
	return access
}

func (f *File) look() (access *Grants, news error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refreshLocked(); err != nil && err.Error() != f.told {
		f.told, news = err.Error(), err
	}
	return f.access, news
}

// settled is the age from which an unchanged modification time means that the file is unchanged. The time resolution of some file systems
// is 2 s.
const settled = 2 * time.Second

func (f *File) refreshLocked() error {
	stat, err := os.Stat(f.path)
	if err != nil {
		f.stat = nil
		return fmt.Errorf("%w: %w", ErrAccess, err)
	}
	if was := f.stat; was != nil && os.SameFile(was, stat) && was.Size() == stat.Size() && was.ModTime().Equal(stat.ModTime()) &&
		f.looked.Sub(stat.ModTime()) > settled {
		return nil
	}
	f.stat, f.looked = stat, time.Now()
	access, err := readAccess(f.path)
	if err != nil {
		return err
	}
	f.access, f.told = access, ""
	return nil
}
