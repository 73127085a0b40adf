package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

// Paths of etcd's data, relative to etcd's directory.
const (
	databasePath = "member/snap/db"
	logPath      = "member/wal"
)

// A DamageError means that etcd cannot start because its data directory is damaged. The directory was not changed.
type DamageError struct {
	Dir  string // the data directory
	File string // the damaged or missing file
	What string // the defect
}

// Error names the file, the defect, and how to restore the store.
func (e *DamageError) Error() string {
	return fmt.Sprintf("%v: %s: %s; nothing was changed, and the switches keep their entries. To restore, move %s away and restore a backup "+
		"with op25b store restore FILE --data-dir %s; without a backup start on an empty directory and apply the documents again",
		ErrDamaged, e.File, e.What, e.Dir, e.Dir)
}

// Unwrap returns ErrDamaged.
func (e *DamageError) Unwrap() error { return ErrDamaged }

var _ error = (*DamageError)(nil)

// A databaseState describes the content of etcd's database.
type databaseState struct {
	size    int64  // size in bytes as etcd counts it, which may be less than the size of the file; 0 if there is no database
	keys    bool   // whether the database has content
	applied uint64 // index of the last log entry that was applied to the database
}

// inspect reads all data of an etcd that is not running. It returns a *DamageError for data that would make etcd panic, fault or wait
// forever. A state that etcd repairs by itself is not damage, such as a log whose last record is incomplete.
func inspect(ctx context.Context, dir, etcdDir string) (databaseState, error) {
	database, logs := filepath.Join(etcdDir, databasePath), filepath.Join(etcdDir, logPath)
	damaged := func(file, format string, args ...any) (databaseState, error) {
		return databaseState{}, &DamageError{Dir: dir, File: file, What: fmt.Sprintf(format, args...)}
	}
	state, err := readDatabase(ctx, database)
	if ctx.Err() != nil {
		return state, context.Cause(ctx)
	}
	names, missing := logFiles(logs)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return state, err
	case err != nil:
		return damaged(database, "the database cannot be read: %v", err)
	case missing != nil && errors.Is(missing, fs.ErrNotExist) && !state.keys:
		return state, nil // this is the first start, or an earlier start ended before anything was stored
	case missing != nil:
		return damaged(logs, "%v; the database has entries up to %d of the log", missing, state.applied)
	}
	log, err := readLog(ctx, names)
	switch {
	case ctx.Err() != nil:
		return state, context.Cause(ctx)
	case errors.Is(err, fs.ErrPermission):
		return state, err
	case err != nil:
		return damaged(logs, "the log cannot be read: %v", err)
	case log.last < state.applied:
		return damaged(logs, "the log ends at entry %d, and the database has entries up to %d", log.last, state.applied)
	case log.snapshot > state.applied:
		return damaged(database, "the database has entries up to %d of the log, and must have those up to %d", state.applied, log.snapshot)
	}
	return state, nil
}

// readDatabase reads every entry of the database.
func readDatabase(ctx context.Context, path string) (state databaseState, err error) {
	file, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return state, nil
	case err != nil:
		return state, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return state, err // the file was just created: etcd fills it, or reads the log again
	}
	b, err := openBolt(file, info.Size())
	if err != nil {
		return state, err
	}
	state.size = b.size * int64(b.pages)
	b.ctx, b.each = ctx, func(bucket string, key, value []byte) error {
		switch bucket {
		case "key":
			state.keys = true
			return checkEntry(key, value)
		case "meta":
			if string(key) == "consistent_index" && len(value) == 8 {
				state.applied = binary.BigEndian.Uint64(value)
			}
		}
		return nil
	}
	return state, b.walk()
}

// checkEntry checks an entry in etcd's bucket of keys. The entry's key is a revision: 8 bytes, an underscore, and 8 bytes for the
// position in the transaction. The letter t follows if the entry is a deletion.
func checkEntry(key, value []byte) error {
	deletion := len(key) == 18 && key[17] == 't'
	if len(key) != 17 && !deletion || key[8] != '_' || key[0]&0x80 != 0 || key[9]&0x80 != 0 {
		return fmt.Errorf("key %.40xis not a revision", key)
	}
	var kv mvccpb.KeyValue
	if err := proto.Unmarshal(value, &kv); err != nil {
		return fmt.Errorf("revision %x: %w", key, err)
	}
	if main := int64(binary.BigEndian.Uint64(key)); len(kv.GetKey()) == 0 || !deletion && kv.GetModRevision() != main {
		return fmt.Errorf("revision %x claims to be revision %d of %q", key, kv.GetModRevision(), kv.GetKey())
	}
	return nil
}
