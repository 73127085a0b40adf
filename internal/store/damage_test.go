package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"op25b/e2e/longform"
)

// wornStore creates a data directory with some revisions and audit records, and returns its path.
func wornStore(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	random := rand.NewChaCha8([32]byte{4})
	for i := range uint64(20) {
		put(t, s.Revisions(), i, map[string][]byte{"a": noise(random, 100<<10)})
	}
	appendRecords(t, s, 50)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// copyOf copies a data directory and returns the path of the copy.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, "etcd"), os.DirFS(filepath.Join(dir, "etcd"))); err != nil {
		t.Fatal(err)
	}
	return to
}

// fingerprint returns the hashes of all files below a directory except the lock file.
func fingerprint(t testing.TB, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "lock" {
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s %x\n", path, sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// rewrite returns a function that applies change to the content of each file that matches the pattern.
func rewrite(pattern string, change func([]byte) []byte) func(testing.TB, string) {
	return func(t testing.TB, dir string) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, path := range files {
			content, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(content), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func remove(path string) func(testing.TB, string) {
	return func(t testing.TB, dir string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
}

func firstBytes(n int) func([]byte) []byte {
	return func(b []byte) []byte { return b[:min(n, len(b))] }
}

func zeroed(from, to int) func([]byte) []byte {
	return func(b []byte) []byte {
		clear(b[min(from, len(b)):min(to, len(b))])
		return b
	}
}

const (
	databaseFile = "etcd/member/snap/db"
	logParts     = "etcd/member/wal/*.wal"
)

// A damaged store does not open. The error names the file, the defect and how to restore the store. No file is changed. A defect that
// etcd can repair from its log does not count as damage.
func TestDamagedStore(t *testing.T) {
	if testing.Short() {
		t.Skip("a copy of a log of 64 MB for each damage")
	}
	worn := wornStore(t)
	for _, c := range []struct {
		name   string
		damage func(testing.TB, string)
		file   string // the damaged file; empty if the store opens nevertheless
		want   string
	}{
		{"none", func(testing.TB, string) {}, "", ""},
		{"database removed", remove(databaseFile), "", ""},
		{"database and snapshots removed", remove("etcd/member/snap"), "", ""},
		{"database emptied", rewrite(databaseFile, firstBytes(0)), "", ""},
		{"log cut in its last record", rewrite(logParts, func(b []byte) []byte {
			end := len(b)
			for end > 0 && b[end-1] == 0 {
				end--
			}
			return append(b[:end-5:end-5], make([]byte, len(b)-end+5)...)
		}), "etcd/member/wal", "the log cannot be read: "}, // not caused by a crash, because a crash does not truncate data that was synced
		{"log removed", remove("etcd/member/wal"), "etcd/member/wal", "the write-ahead log is missing: file does not exist; the database has entries up to "},
		{"log emptied", func(t testing.TB, dir string) {
			remove("etcd/member/wal")(t, dir)
			if err := os.Mkdir(filepath.Join(dir, "etcd/member/wal"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "etcd/member/wal", "the write-ahead log is missing"},
		{"part of the log missing", func(t testing.TB, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "etcd/member/wal/0000000000000002-0000000000000100.wal"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "etcd/member/wal", "part 1 of the write-ahead log is missing; the database has"},
		{"log of other parts", func(t testing.TB, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "etcd/member/wal/copy.wal"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "etcd/member/wal", "copy.wal is not the name of a part of the write-ahead log"},
		{"log zeroed", rewrite(logParts, zeroed(0, 1<<30)), "etcd/member/wal", "the log cannot be read: its first record is missing"},
		{"log without its beginning", rewrite(logParts, zeroed(0, 100)), "etcd/member/wal", "the log cannot be read: its first record is missing"},
		{"log of no bytes", rewrite(logParts, firstBytes(0)), "etcd/member/wal", "the log cannot be read: its first record is missing"},
		{"log cut off", rewrite(logParts, firstBytes(300<<10)), "etcd/member/wal", "the log ends at entry "},
		{"log zeroed in the middle", rewrite(logParts, zeroed(300<<10, 400<<10)), "etcd/member/wal", "the log "},
		{"log changed", rewrite(logParts, func(b []byte) []byte { b[200<<10] ^= 0xff; return b }), "etcd/member/wal", "crc mismatch"},
		{"database of one page", rewrite(databaseFile, firstBytes(4096)), databaseFile, "the database cannot be read: it was cut off: it has 4096 bytes of at least "},
		{"database of four pages", rewrite(databaseFile, firstBytes(4*4096)), databaseFile, "it was cut off: it has 16384 bytes of at least "},
		{"database cut off", rewrite(databaseFile, firstBytes(1<<20)), databaseFile, "the database cannot be read: it was cut off"},
		{"database zeroed", rewrite(databaseFile, zeroed(0, 1<<30)), databaseFile, "the database cannot be read: neither of its first two pages is valid"},
		{"database without its beginning", rewrite(databaseFile, zeroed(0, 8192)), databaseFile, "the database cannot be read: neither of its first two pages is valid"},
		{"pages zeroed", rewrite(databaseFile, zeroed(8192, 1<<20)), databaseFile, "the database cannot be read: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOf(t, worn)
			c.damage(t, dir)
			before := fingerprint(t, dir)
			s, err := Open(within(t), Config{Dir: dir})
			if c.file == "" {
				if err != nil {
					t.Fatal(err)
				}
				if head := must(s.Revisions().Head(within(t)))(t); head.Number != 20 {
					t.Errorf("the head is %d", head.Number)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				_ = s.Close()
			}
			wantError(t, err, ErrDamaged, "the data directory is damaged: "+filepath.Join(dir, c.file)+": ")
			wantError(t, err, ErrDamaged, c.want)
			wantError(t, err, ErrDamaged, "; nothing was changed, and the switches keep their entries. To restore, move "+dir+" away and restore a backup with op25b store restore")
			if after := fingerprint(t, dir); after != before {
				t.Errorf("files were changed:\n%s\nwere\n%s", after, before)
			}
		})
	}
}

// damagedEnv is the environment variable with the data directory that a separate process opens. A separate process is needed because
// some damage ends the process.
const damagedEnv = "OP25B_TEST_DAMAGED"

func damagedProcess(dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	s, err := Open(ctx, Config{Dir: dir})
	if err == nil {
		if _, err = s.Revisions().Head(ctx); err == nil {
			_, err = s.Audit().Verify(ctx)
		}
		err = errors.Join(err, s.Close())
	}
	switch {
	case err == nil:
		fmt.Println("RESULT intact")
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrFailed), errors.Is(err, ErrCorrupt), errors.Is(err, ErrBroken):
		fmt.Println("RESULT told:", err)
	default:
		fmt.Println("RESULT other:", err)
	}
}

// Whichever bytes are changed, the attempt to open and read the store ends with a result. The process neither panics nor faults nor
// hangs.
func TestChangedBytesAreTold(t *testing.T) {
	if testing.Short() {
		t.Skip("a process for each damage")
	}
	worn := wornStore(t)
	random := rand.New(rand.NewPCG(7, 7))
	outcomes := make(map[string]int)
	cases := 20
	if longform.On() {
		cases = 300
	}
	for i := range cases {
		dir := copyOf(t, worn)
		damage := func(b []byte) []byte {
			size := len(b)
			for range 1 + random.IntN(100) {
				at := random.IntN(size)
				for j := at; j < min(at+1+random.IntN(64), size); j++ {
					b[j] = byte(random.Uint32())
				}
			}
			return b
		}
		if i%3 == 0 { // damage the records of the log, and not the preallocated space after them
			rewrite(logParts, func(b []byte) []byte { damage(b[:2<<20]); return b })(t, dir)
		} else {
			rewrite(databaseFile, damage)(t, dir)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*deadline) // longer than the deadline of the process itself
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // SIGQUIT makes the process print where it hangs
		cmd.Env = append(os.Environ(), damagedEnv+"="+dir)
		began := time.Now()
		out, err := cmd.CombinedOutput()
		cancel()
		kind, _, _ := strings.Cut(strings.TrimPrefix(string(out), "RESULT "), ":")
		kind = strings.TrimSpace(kind)
		if err != nil || kind != "intact" && kind != "told" {
			t.Errorf("damage %d: after %v: %v: %s", i, time.Since(began), err, out[:min(len(out), 20000)])
			continue
		}
		outcomes[kind]++
	}
	t.Logf("%v", outcomes)
}
