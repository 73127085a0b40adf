package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"
)

// pageSize is the size of a page of a new file.
const pageSize = 16 << 10

// logEvery is the shortest time between two log lines about failed writes.
const logEvery = time.Minute

// closeTimeout limits the time that a close may take. No transaction is open at that time, so only a lock that a panic left locked can delay the
// close.
const closeTimeout = 5 * time.Second

// A Config configures a Store.
type Config struct {
	// Path is the name of the file. Its directory is created if necessary.
	Path string
	// Now returns the current time, which is used in the names of files that are set aside, for expiry in queries, and to limit log lines; nil
	// means time.Now.
	Now func() time.Time
	// Logger and Metrics may be nil.
	Logger  *zap.Logger
	Metrics *Metrics
}

// A Store is a history in a file. Its methods may be called from several goroutines.
//
// A store remains usable without its file. If the file cannot be opened or written, records fail, and each record tries again. A file that is
// damaged or has a later version is renamed, and a new file is created.
type Store struct {
	cfg Config

	// mu guards everything below. Queries hold it for reading.
	mu       sync.RWMutex
	closed   bool
	db       *bolt.DB // nil while the file cannot be opened
	openErr  error    // the reason why db is nil
	switches map[string]*switchState
	names    int               // the number of keys and counters
	next     uint32            // the id of the next new switch
	rolled   [numLevels]uint32 // for each level, the minute up to which the finer level is rolled up
	logged   time.Time         // the time at which a failed write was last logged
	failed   int               // the number of writes that have failed since then
}

var _ History = (*Store)(nil)

// Open opens a history. It creates the file if it does not exist. Open returns ErrConfig for an invalid configuration, and ErrInUse if another
// process has the file open. It logs and counts other errors, and the store tries to open the file again with each record.
func Open(cfg Config) (*Store, error) {
	if cfg.Path == "" {
		return nil, fmt.Errorf("%w: Path is empty: it must be the name of a file", ErrConfig)
	}
	if fi, err := os.Stat(cfg.Path); err == nil && !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrConfig, cfg.Path)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	s := &Store{cfg: cfg}
	if err := s.openLocked(); err != nil {
		if errors.Is(err, ErrInUse) {
			return nil, err
		}
		s.failedLocked(err)
	}
	return s, nil
}

// Close closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.closeLocked()
}

func (s *Store) closeLocked() error {
	db := s.db
	s.db, s.switches, s.names = nil, nil, 0
	if db == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- guard(db.Close) }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeTimeout):
		return damaged("a panic of bbolt left a lock locked; the file stays open")
	}
}

// openLocked opens the file. It first sets the file aside if necessary.
func (s *Store) openLocked() error {
	err := s.tryOpenLocked()
	if reason := reasonOf(err); reason != "" {
		if err = s.setAsideLocked(reason, err); err == nil {
			err = s.tryOpenLocked()
		}
	}
	s.openErr = err
	return err
}

// reasonOf returns the reason for setting a file aside, or "" if there is none.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, ErrDamaged):
		return "damaged"
	case errors.Is(err, ErrLater):
		return "later"
	}
	return ""
}

func (s *Store) tryOpenLocked() error {
	if err := os.MkdirAll(filepath.Dir(s.cfg.Path), 0o700); err != nil {
		return err
	}
	if err := checkFile(s.cfg.Path); err != nil {
		return err
	}
	db, err := openBolt(s.cfg.Path)
	if err != nil {
		return err
	}
	s.db = db
	if err := s.loadLocked(); err != nil {
		_ = s.closeLocked() // err is the more useful error
		return fmt.Errorf("%s: %w", s.cfg.Path, err)
	}
	return nil
}

// setAsideLocked renames the file. It never overwrites another file.
func (s *Store) setAsideLocked(reason string, why error) error {
	_ = s.closeLocked() // the file is not used any more
	base := fmt.Sprintf("%s.%s-%s", s.cfg.Path, reason, s.cfg.Now().UTC().Format("20060102T150405Z"))
	to := base
	for i := 2; ; i++ {
		if _, err := os.Lstat(to); errors.Is(err, os.ErrNotExist) {
			break
		}
		to = fmt.Sprintf("%s-%d", base, i)
	}
	if err := os.Rename(s.cfg.Path, to); err != nil {
		return fmt.Errorf("%w; the file could not be set aside: %w", why, err)
	}
	s.cfg.Metrics.fileSetAside(reason)
	s.cfg.Logger.Warn("history file set aside, a new one is begun", zap.String("file", s.cfg.Path), zap.String("now", to), zap.Error(why))
	return nil
}

// failedLocked counts a failed write. It logs at most one failure per logEvery.
func (s *Store) failedLocked(err error) {
	s.cfg.Metrics.writeFailed()
	s.failed++
	now := s.cfg.Now()
	if !s.logged.IsZero() && now.Sub(s.logged) < logEvery {
		return
	}
	s.cfg.Logger.Error("history not written", zap.String("file", s.cfg.Path), zap.Int("failures", s.failed), zap.Error(err))
	s.logged, s.failed = now, 0
}

// loadLocked reads the states of all switches. It creates the buckets of a new file.
func (s *Store) loadLocked() error {
	isNew, version := false, uint64(0)
	err := s.view(func(tx *bolt.Tx) (err error) {
		k, _ := tx.Cursor().First()
		isNew = k == nil
		if !isNew {
			version, err = s.readLocked(tx)
		}
		return err
	})
	if err == nil && !isNew && version < formatVersion {
		err = s.update(beginFormat)
	}
	if err != nil || !isNew {
		return err
	}
	s.switches, s.names, s.next, s.rolled = make(map[string]*switchState), 0, 0, [numLevels]uint32{}
	return s.update(func(tx *bolt.Tx) error {
		names := [][]byte{bucketMeta, bucketSwitches, bucketKeys, bucketCounters}
		for l := range levels {
			names = append(names, bucket(l, Rules))
		}
		for _, n := range names {
			if _, err := tx.CreateBucket(n); err != nil {
				return err
			}
		}
		return beginFormat(tx)
	})
}

// beginFormat adds to a file what version 1 does not have.
func beginFormat(tx *bolt.Tx) error {
	for l := range levels {
		if _, err := tx.CreateBucketIfNotExists(bucket(l, Interfaces)); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(metaFormat, binary.AppendUvarint(nil, formatVersion))
}

// readLocked reads what the store keeps in memory, and returns the version of the file's format.
func (s *Store) readLocked(tx *bolt.Tx) (version uint64, err error) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return 0, fmt.Errorf("%w: it has no bucket %q", ErrDamaged, bucketMeta)
	}
	r := reader{b: meta.Get(metaFormat)}
	switch version = r.uvarint(); {
	case r.err != nil || version == 0:
		return 0, fmt.Errorf("%w: it has no format version", ErrDamaged)
	case version > formatVersion:
		return 0, fmt.Errorf("%w: format %d: this program reads up to %d", ErrLater, version, formatVersion)
	}
	for l := range levels {
		for k := range numKinds {
			if tx.Bucket(bucket(l, k)) == nil && (k == Rules || version > 1) {
				return 0, fmt.Errorf("%w: it has no bucket %q", ErrDamaged, bucket(l, k))
			}
		}
	}
	var rolled [numLevels]uint32
	if b := meta.Get(metaRolled); b != nil {
		r := reader{b: b}
		for l := tens; l < numLevels; l++ {
			rolled[l] = r.uint32()
		}
		if r.err != nil {
			return 0, fmt.Errorf("%w: %s: %w", ErrDamaged, metaRolled, r.err)
		}
	}
	next := uint32(0)
	if b := meta.Get(metaNextSwitch); b != nil {
		r := reader{b: b}
		if next = r.uint32(); r.err != nil {
			return 0, fmt.Errorf("%w: %s: %w", ErrDamaged, metaNextSwitch, r.err)
		}
	}
	switches, names, err := readSwitches(tx, next)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	s.switches, s.names, s.next, s.rolled = switches, names, next, rolled
	return version, nil
}

// readSwitches reads the states of all switches with their keys and counters. names is the number of keys and counters.
func readSwitches(tx *bolt.Tx, next uint32) (switches map[string]*switchState, names int, err error) {
	states, keys, counters := tx.Bucket(bucketSwitches), tx.Bucket(bucketKeys), tx.Bucket(bucketCounters)
	if states == nil || keys == nil || counters == nil {
		return nil, 0, fmt.Errorf("it has no bucket %q, %q or %q", bucketSwitches, bucketKeys, bucketCounters)
	}
	switches = make(map[string]*switchState)
	c := states.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) != 4 {
			return nil, 0, fmt.Errorf("a switch whose id has %d bytes: want 4", len(k))
		}
		id := binary.BigEndian.Uint32(k)
		sw, err := decodeSwitch(v)
		if err != nil {
			return nil, 0, fmt.Errorf("switch %d: %w", id, err)
		}
		if sw.id = id; id >= next || switches[sw.name] != nil {
			return nil, 0, fmt.Errorf("switch %d, named %q, is not unique or not below %d", id, sw.name, next)
		}
		if err := readNames(sw, keys, counters); err != nil {
			return nil, 0, fmt.Errorf("switch %d: %w", id, err)
		}
		switches[sw.name] = sw
		names += sw.names()
	}
	return switches, names, nil
}

// readNames reads the names of the keys and counters of a switch.
func readNames(sw *switchState, keys, counters *bolt.Bucket) error {
	sw.keys.byName, sw.counters.byName = make(map[keyName]int), make(map[counterName]int)
	for i := range sw.keys.all {
		k := &sw.keys.all[i]
		if err := decodeKey(keys.Get(periodKey(sw.id, k.id)), k); err != nil {
			return fmt.Errorf("key %d: %w", k.id, err)
		}
		sw.keys.byName[k.name] = i
	}
	for i := range sw.counters.all {
		c := &sw.counters.all[i]
		if err := decodeCounter(counters.Get(periodKey(sw.id, c.id)), c); err != nil {
			return fmt.Errorf("counter %d: %w", c.id, err)
		}
		sw.counters.byName[c.name] = i
	}
	return nil
}
