package auth

import (
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// A File is an access file that is read again when it has changed. It starts no goroutine: each call of Access compares the modification
// time, size and inode of the file. If the file is invalid or missing, its last valid contents stay in use. A File is safe for concurrent
// use.
type File struct {
	path    string
	onError func(error)

	mu     sync.Mutex // guards everything that follows
	access *Grants
	stat   fs.FileInfo // file info of the last attempt
	looked time.Time   // time of that attempt
	told   string      // last error passed to onError
}

// Open reads an access file. onError, if not nil, is called once for each reason why a changed file cannot be used.
func Open(path string, onError func(error)) (*File, error) {
	f := &File{path: path, onError: onError}
	if err := f.refreshLocked(); err != nil {
		return nil, err
	}
	return f, nil
}

// Access returns the current contents of the file.
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

// settled is the age after which an unchanged modification time means an unchanged file. File systems have a time resolution of up to 2 s.
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
