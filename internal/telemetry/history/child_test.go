package history

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childEnv is the environment variable that makes the test binary run as a child process.
const childEnv = "OP25B_HISTORY_CHILD"

// runChild runs the work of a child process, and reports whether this process is one.
func runChild() bool {
	path := os.Getenv(childEnv)
	if path == "" {
		return false
	}
	if err := child(path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return true
}

// child records totals without end, and prints each total when it is recorded. If a limit on the size of files is set, it tests the limit
// instead.
func child(path string) error {
	s, err := Open(Config{Path: path, Now: func() time.Time { return t0 }})
	if err != nil {
		return err
	}
	if limit := os.Getenv(childEnv + "_LIMIT"); limit != "" {
		return outgrow(s, path)
	}
	for n := uint64(1); ; n++ {
		if err := s.Record(t0.Add(time.Duration(n)*time.Minute), crowd(n)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// crowd returns the totals of 50 switches.
func crowd(n uint64) []Total {
	var all []Total
	for i := range 50 {
		all = append(all, total(Key{Switch: fmt.Sprint("edge-", i), Rule: "block-25"}, n*uint64(i+1)))
	}
	return all
}

// outgrow limits the growth of files to a MiB, and calls full.
func outgrow(s *Store, path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(fi.Size()) + 1<<20, Max: was.Max}); err != nil {
		return err
	}
	if err := full(s, "file too large", func() error { return unix.Setrlimit(unix.RLIMIT_FSIZE, &was) }); err != nil {
		return err
	}
	fmt.Println("recovered")
	return s.Close()
}

// full records until writes fail, makes room, and verifies that no packet was lost or doubled.
func full(s *Store, want string, makeRoom func() error) error {
	refused := func(err error) bool { return err != nil && strings.Contains(err.Error(), want) } // bbolt keeps only the text of some errors
	n := uint64(1)
	at := func() time.Time { return t0.Add(time.Duration(n) * time.Minute) }
	var err error
	for ; err == nil && n < 1e5; n++ {
		err = s.Record(at(), crowd(n))
	}
	if !refused(err) {
		return fmt.Errorf("after %d records: %w, want %s", n-1, err, want)
	}
	check := func(want uint64) error {
		res, err := s.Range(context.Background(), Query{From: t0, To: at().Add(time.Hour), Step: 24 * time.Hour, Switches: []string{"edge-49"}})
		if err != nil {
			return err
		}
		got := uint64(0)
		for _, p := range res.Series[0].Points {
			got += p.Packets
		}
		if got != want {
			return fmt.Errorf("%d packets, want %d", got, want)
		}
		return nil
	}
	if err := check((n - 3) * 50); err != nil { // record 1 is the base, and record n-1 failed
		return err
	}
	if err := s.Record(at(), crowd(n)); !refused(err) {
		return fmt.Errorf("a second record: %w, want %s", err, want)
	}
	if err := makeRoom(); err != nil {
		return err
	}
	n++
	if err := s.Record(at(), crowd(n)); err != nil {
		return err
	}
	return check((n - 1) * 50)
}

func command(t *testing.T, path string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), childEnv+"="+path), env...)
	return cmd
}

// TestKill verifies that a controller that is killed during a write neither loses nor doubles a recorded packet.
func TestKill(t *testing.T) {
	f := newFixture(t)
	last := uint64(0)
	for round := range 5 {
		cmd := command(t, f.path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 20 + 13*round {
			if !lines.Scan() {
				break
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var confirmed uint64
		for text := lines.Text(); ; text = lines.Text() {
			if _, err := fmt.Sscan(text, &confirmed); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if !lines.Scan() {
				break
			}
		}
		_ = cmd.Wait() // the process was killed

		f.open()
		if aside := f.aside(); len(aside) != 0 {
			t.Fatalf("the file was set aside: %v", aside)
		}
		got := f.sums(t0, t0.Add(stepDay), stepDay)
		for k, n := range got {
			var i uint64
			if _, err := fmt.Sscanf(k.Switch, "edge-%d", &i); err != nil {
				t.Fatal(err)
			}
			// The first total of the first round is the base. A total that falls adds nothing, so a later round, which begins at 1, adds only
			// its own packets.
			recorded := n/(i+1) - last
			want := confirmed - 1
			if recorded != want && recorded != want+1 || n%(i+1) != 0 {
				t.Fatalf("round %d: %v: %d packets are recorded, but %d were confirmed", round, k, recorded, want)
			}
		}
		if len(got) != 50 {
			t.Fatalf("%d series, want 50", len(got))
		}
		last = got[Key{Switch: "edge-0", Rule: "block-25"}]
		f.close()
	}
}

// TestFileTooLarge verifies that records fail while a limit on the size of files is reached, and that nothing is lost once the limit is
// removed.
func TestFileTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	out, err := command(t, path, childEnv+"_LIMIT=1").CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "recovered\n") {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestFullDisk verifies the same for a full disk.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small file system cannot be mounted (%v): run the test as root", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	f := newFixture(t)
	logs := f.observed()
	f.path = dir + "/history.db"
	f.open()
	err := full(f.Store, "no space left on device", func() error { return unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=64m") })
	if err != nil {
		t.Error(err)
	}
	if n := f.metric("op25b_history_write_errors_total"); n != 2 || logs.FilterMessage("history not written").Len() != 1 {
		t.Errorf("%v failures counted, want 2; log %v", n, logs.All())
	}
	f.open()
	if n := f.metric("op25b_history_files_set_aside_total"); n != 0 {
		t.Errorf("%v files were set aside", n)
	}
	f.close()
}
