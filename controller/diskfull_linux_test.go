package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestI11DiskFull verifies that a controller ends with status 1 and a single message when its disk is full, and that no command reports a
// wrong outcome for a change in progress. After space is freed, the controller must start and have every change that was reported as stored.
func TestI11DiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a disk of 300 MB")
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=300m,mode=0700"); err != nil {
		fmt.Fprintf(os.Stderr, "SKIPPED %s: a small file system cannot be mounted here (%v): run the tests as root\n", t.Name(), err)
		t.Skip("no small file system")
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	exe, err := exec.LookPath("op25b")
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "TZ=UTC", "NO_COLOR=1", "HOME="+t.TempDir())
	serve := []string{
		"serve", "--data-dir", filepath.Join(disk, "data"), "--name", "noc-1", "--listen", "127.0.0.1:0",
		"-f", "../examples/spinnet-2006", "--apply-if-empty",
	}
	d, said, err := launch(exe, ".", env, serve)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(server any, args ...string) (string, error) {
		cmd := exec.Command(exe, args...)
		cmd.Env = append(env, fmt.Sprint(serverVariable, "=", server))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	junk := fillDisk(t, disk)
	stored := 1 // the number of stored revisions; serve -f stored the first
	var text string
	for phase := "before"; err == nil; phase = map[string]string{"before": "all-destinations", "all-destinations": "before"}[phase] {
		if text, err = ask(said["listen"], "phase", "activate", phase, "--reason", "a full disk", "--yes", "--no-wait", "--timeout", "5s"); err == nil {
			stored++
			if !strings.Contains(text, fmt.Sprintf("revision %d is stored", stored)) {
				t.Errorf("said: %s", text)
			}
		}
		if stored > 10000 {
			t.Fatal("the disk is full, and everything is stored")
		}
	}
	t.Logf("after revision %d: %s", stored, text)

	d.said.Wait()
	var exit *exec.ExitError
	if err := d.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the controller ended with %v, want status 1", err)
	}
	log := d.log.String()
	lines := strings.Split(strings.TrimSpace(log), "\n")
	last := lines[len(lines)-1]
	want := "op25b: the store in " + filepath.Join(disk, "data") + " has failed: "
	if !strings.HasPrefix(last, want) || !strings.HasSuffix(last, "no space left on device. A change in progress may or may not be stored: check op25b history once "+
		"the controller runs again. Make room on the file system of that directory, and start op25b serve again") || strings.Count(log, "panic") != 0 {
		t.Errorf("the controller said\n%s", log)
	}
	if !strings.Contains(log, "controller down; the switches stay as they are") {
		t.Errorf("the controller did not end in order:\n%s", log)
	}

	if err := os.Remove(junk); err != nil {
		t.Fatal(err)
	}
	d, said, err = launch(exe, ".", env, serve)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.end(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}()
	history, err := ask(said["listen"], "history", "--limit", "1")
	if err != nil {
		t.Fatal(history, err)
	}
	n := stored
	_, found := strings.CutPrefix(strings.Split(history, "\n")[1], fmt.Sprint(n))
	if !found {
		n++
		_, found = strings.CutPrefix(strings.Split(history, "\n")[1], fmt.Sprint(n))
	}
	told := strings.Contains(text, fmt.Sprintf("stored as revision %d", n)) || strings.Contains(text, fmt.Sprintf("revision %d is stored", n))
	denied := strings.Contains(text, "not stored") || strings.Contains(text, "nothing was stored")
	if !found || told && n == stored || denied && n != stored {
		t.Errorf("%d revisions were said to be stored, the last change was told as %q, and the history is\n%s", stored, text, history)
	}
}

// fillDisk fills a file system with one file and returns the path of that file.
func fillDisk(t *testing.T, disk string) string {
	t.Helper()
	path := filepath.Join(disk, "junk")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, endless{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	for err == nil || errors.Is(err, syscall.ENOSPC) {
		n, e := file.Write(bytes.Repeat([]byte{1}, 512))
		if err = e; n == 0 {
			break
		}
	}
	return path
}

// endless is a reader that returns zeros without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
