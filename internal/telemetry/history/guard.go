package history

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// guard calls f, which uses bbolt. bbolt trusts the pages of its file. On damaged pages, it panics or reads outside the mapped file. guard
// returns ErrDamaged in both cases.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	err = f()
	if errors.Is(err, errValue) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

func (s *Store) view(f func(*bolt.Tx) error) error {
	return guard(func() error { return s.db.View(f) })
}

func (s *Store) update(f func(*bolt.Tx) error) error {
	return guard(func() error { return s.db.Update(f) })
}

// openBolt opens the file of a database. If bbolt panics, openBolt closes the file, which also releases its lock.
func openBolt(path string) (db *bolt.DB, err error) {
	var file *os.File
	err = guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout: time.Millisecond, // bbolt tries to lock the file only once
			// A map of free pages stays fast in a file with many free pages.
			FreelistType: bolt.FreelistMapType,
			PageSize:     pageSize,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				var err error
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		return err
	})
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, ErrDamaged):
		if file != nil {
			_ = file.Close()
		}
	case errors.Is(err, berrors.ErrTimeout):
		return nil, inUse(path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

func inUse(path string) error {
	return fmt.Errorf("%w: %s: another process has it open; name another file, or stop that process", ErrInUse, path)
}
