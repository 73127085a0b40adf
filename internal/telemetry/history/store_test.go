package history

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// observed makes the fixture keep its metrics and its log.
func (f *fixture) observed() *observer.ObservedLogs {
	core, logs := observer.New(zap.InfoLevel)
	f.log, f.m = zap.New(core), NewMetrics(f.reg)
	return logs
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	f := newFixture(t).open()
	for name, tc := range map[string]struct {
		path string
		is   error
		want string
	}{
		"no path":     {"", ErrConfig, "invalid history configuration: Path is empty: it must be the name of a file"},
		"a directory": {dir, ErrConfig, "invalid history configuration: " + dir + " is not a regular file"},
		"in use":      {f.path, ErrInUse, "history file in use: " + f.path + ": another process has it open; name another file, or stop that process"},
	} {
		_, err := Open(Config{Path: tc.path})
		if !errors.Is(err, tc.is) || err.Error() != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	if aside := f.aside(); len(aside) != 0 {
		t.Errorf("a file in use was set aside: %v", aside)
	}
}

func TestClosed(t *testing.T) {
	f := newFixture(t).open()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Record(t0, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Record: %v", err)
	}
	if _, err := f.Range(context.Background(), Query{From: t0, To: t0.Add(time.Hour)}); !errors.Is(err, ErrClosed) {
		t.Errorf("Range: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

func TestRecordRefusesImpossibleTimes(t *testing.T) {
	f := newFixture(t).open()
	for _, at := range []time.Time{{}, time.Unix(-1, 0), time.Date(5050, 6, 1, 0, 0, 0, 0, time.UTC)} {
		err := f.Record(at, []Total{total(keyA, 1)})
		if want := "invalid time of a record: " + stamp(at) + ": it must be between 1970 and 5049"; !errors.Is(err, ErrTime) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestReopen verifies that a controller that restarts counts the packets that the switch counted in the
// meantime.
func TestReopen(t *testing.T) {
	f := newFixture(t).open()
	boot := t0.Add(-time.Hour)
	f.record(t0, total(keyA, 100, boot), total(keyC, 5, boot))
	f.record(t0.Add(time.Minute), total(keyA, 110, boot), total(keyC, 5, boot))
	f.open()
	f.record(t0.Add(2*time.Minute), total(keyA, 125, boot), total(keyC, 2, t0.Add(80*time.Second)))
	got := f.sums(t0, t0.Add(time.Hour), time.Hour)
	if got[keyA] != 25 || got[keyC] != 2 {
		t.Errorf("%d and %d, want 25 and 2", got[keyA], got[keyC])
	}
}

// corrupt modifies a history's file, so that it is damaged or foreign.
func corrupt(t *testing.T, path string, how func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(how); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnreadableFilesAreSetAside(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(path string)
		want  string // the text of the log line
	}{
		"later": {func(path string) {
			corrupt(t, path, func(tx *bolt.Tx) error {
				return tx.Bucket(bucketMeta).Put(metaFormat, binary.AppendUvarint(nil, formatVersion+1))
			})
		}, "history file of a later version: format 3: this program reads up to 2"},
		"damaged/no format": {func(path string) {
			corrupt(t, path, func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Delete(metaFormat) })
		}, "damaged history file: it has no format version"},
		"damaged/another program's": {func(path string) {
			corrupt(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketMeta) })
		}, `damaged history file: it has no bucket "meta"`},
		"damaged/no level": {func(path string) {
			corrupt(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("10m")) })
		}, `damaged history file: it has no bucket "10m"`},
		"damaged/a key without a name": {func(path string) {
			corrupt(t, path, func(tx *bolt.Tx) error { return tx.Bucket(bucketKeys).Delete(periodKey(0, 1)) })
		}, "damaged history file: switch 0: key 1: invalid encoding: number that ends after bytes: 0"},
		"damaged/text": {func(path string) {
			writeFile(t, path, []byte("not a database\n"))
		}, "damaged history file: it has no valid meta page"},
		"damaged/cut off": {func(path string) {
			b := readFile(t, path)
			writeFile(t, path, b[:5*pageSize])
		}, "pages of 16384 bytes are in use, but the file has 81920 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			logs := f.observed()
			f.open()
			f.record(t0, total(keyA, 100))
			f.record(t0.Add(time.Minute), total(keyA, 200))
			f.close()
			tc.spoil(f.path)
			spoiled := readFile(t, f.path)
			for range 2 { // the second time, a file of that name already exists
				f.clock.set(t0.Add(2 * time.Minute))
				f.open()
				f.record(t0.Add(2*time.Minute), total(keyA, 300))
				f.record(t0.Add(3*time.Minute), total(keyA, 301))
				if got := f.sums(t0, t0.Add(time.Hour), time.Hour)[keyA]; got != 1 {
					t.Errorf("%d in the new file, want 1", got)
				}
				f.close()
				writeFile(t, f.path, spoiled)
			}
			reason, _, _ := strings.Cut(name, "/")
			file := "history.db." + reason + "-20061001T000200Z"
			aside := f.aside()
			if len(aside) != 2 || aside[0] != file || aside[1] != file+"-2" {
				t.Fatalf("files %v, want %s and %s-2", aside, file, file)
			}
			if got := readFile(t, filepath.Join(filepath.Dir(f.path), file)); string(got) != string(spoiled) {
				t.Error("the file was changed")
			}
			said := logs.FilterMessage("history file set aside, a new one is begun").All()
			if len(said) != 2 || !strings.Contains(said[0].ContextMap()["error"].(string), tc.want) {
				t.Errorf("log %v, want an error with %s", said, tc.want)
			}
			if n := f.metric("op25b_history_files_set_aside_total"); n != 2 {
				t.Errorf("metric %v, want 2", n)
			}
		})
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDamageWhileOpen verifies that a damaged value is detected when a query or a record reads it.
func TestDamageWhileOpen(t *testing.T) {
	for _, by := range []string{"query", "record"} {
		f := newFixture(t)
		f.observed()
		f.open()
		f.record(t0, total(keyA, 100))
		f.record(t0.Add(time.Minute), total(keyA, 200))
		if err := f.db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("1m")).Put(periodKey(uint32(t0.Unix()/60)+1, 0), []byte{60, 0})
		}); err != nil {
			t.Fatal(err)
		}
		q := Query{From: t0, To: t0.Add(time.Hour)}
		at := t0.Add(90 * time.Second)
		if by == "query" {
			if _, err := f.Range(context.Background(), q); !errors.Is(err, ErrDamaged) {
				t.Errorf("%v, want ErrDamaged", err)
			}
			_, err := f.Range(context.Background(), q)
			if want := "the history is not open: its file was damaged; the next record begins a new file"; err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
		f.record(at, total(keyA, 300))
		f.record(at.Add(time.Minute), total(keyA, 301))
		if got := f.sums(t0, t0.Add(time.Hour), time.Hour)[keyA]; got != 1 {
			t.Errorf("%s: %d in the new file, want 1", by, got)
		}
		if aside := f.aside(); len(aside) != 1 {
			t.Errorf("%s: files %v, want one", by, aside)
		}
	}
}

// TestUnwritableDirectory verifies that each record fails while the history cannot be opened, and that one log
// line a minute is written. The history must work as soon as it can be opened.
func TestUnwritableDirectory(t *testing.T) {
	f := newFixture(t)
	logs := f.observed()
	obstacle := filepath.Dir(f.path) + "/state"
	writeFile(t, obstacle, nil)
	f.path = obstacle + "/history.db"
	f.open()
	at := t0
	for range 10 {
		at = at.Add(15 * time.Second)
		f.clock.set(at)
		if err := f.Record(at, []Total{total(keyA, 1)}); err == nil {
			t.Error("no error")
		}
		if _, err := f.Range(context.Background(), Query{From: t0, To: at}); err == nil || !strings.HasPrefix(err.Error(), "the history is not open: mkdir ") {
			t.Errorf("%v", err)
		}
	}
	said := logs.FilterMessage("history not written").All()
	if len(said) != 3 { // at 0:00, 1:00 and 2:00
		t.Errorf("%d lines of log, want 3", len(said))
	}
	if n := said[len(said)-1].ContextMap()["failures"]; n != int64(4) {
		t.Errorf("%v failures in the last line, want 4", n)
	}
	if n := f.metric("op25b_history_write_errors_total"); n != 11 {
		t.Errorf("metric %v, want 11", n)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	f.record(at, total(keyA, 1))
	f.record(at.Add(time.Minute), total(keyA, 3))
	if got := f.sums(t0, t0.Add(time.Hour), time.Hour)[keyA]; got != 2 {
		t.Errorf("%d, want 2", got)
	}
}

// TestConcurrentUse verifies that Record, Range and Close may be called from several goroutines.
func TestConcurrentUse(t *testing.T) {
	f := newFixture(t).open()
	f.record(t0, crowd(0)...)
	f.clock.set(t0.Add(time.Hour))
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			before := uint64(0)
			for {
				res, err := f.Range(context.Background(), Query{From: t0, To: t0.Add(24 * time.Hour), Step: time.Hour, Switches: []string{"edge-0"}})
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				n := uint64(0)
				for _, s := range res.Series {
					for _, p := range s.Points {
						n += p.Packets
					}
				}
				if n < before {
					t.Errorf("%d packets after %d", n, before)
				}
				before = n
			}
		})
	}
	for m := range uint64(100) {
		if err := f.Record(t0.Add(time.Duration(m)*time.Minute), crowd(m)); err != nil {
			t.Error(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
}
