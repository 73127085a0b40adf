package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"op25b/internal/store/storetest"
)

// TestStoreMoves moves a store from a data directory to an etcd cluster and back, with backups of a running controller, of the
// cluster and of a data directory. The history, the phases and the audit chain must not change.
func TestStoreMoves(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts controllers")
	}
	exe, err := exec.LookPath("op25b")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(fails string, args ...string) string {
		t.Helper()
		said, err := exec.Command(exe, args...).CombinedOutput()
		if (err != nil) != (fails != "") || !strings.Contains(string(said), fails) {
			t.Fatalf("%s: %v, want %q\n%s", args, err, fails, said)
		}
		return string(said)
	}
	// matches the records of backups, which are the only difference between the stores
	saved := regexp.MustCompile(`(?m)^.* backup store .*\n`)
	told := func(s *served) string {
		t.Helper()
		if said := run("", "audit", "verify", "--server", s.addr); !strings.Contains(said, "intact") {
			t.Errorf("audit verify: %s", said)
		}
		var all string
		for _, args := range [][]string{{"history"}, {"phase", "list"}, {"phase", "show", "before"}, {"audit", "list"}, {"diff", "1", "2"}} {
			all += run("", append(args, "--server", s.addr)...)
		}
		return saved.ReplaceAllString(all, "")
	}
	first := &served{exe: exe, dir: dir, addr: "127.0.0.1:0"}
	first.start(t)
	run("", "apply", "-f", "../examples/spinnet-2006", "--reason", "first", "--yes", "--no-wait", "--server", first.addr)
	run("", "phase", "activate", "before", "--reason", "slowly", "--yes", "--no-wait", "--server", first.addr)
	want := told(first)
	data := filepath.Join(dir, "store")
	file, offline, back := filepath.Join(dir, "a.backup"), filepath.Join(dir, "b.backup"), filepath.Join(dir, "c.backup")
	if said := run("", "store", "backup", file, "--server", first.addr); !strings.HasPrefix(said, "Revision 2 and 3 audit records, ") {
		t.Errorf("backup said %s", said)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	run("data directory in use", "store", "backup", offline, "--data-dir", data)
	run("data directory in use", "store", "restore", file, "--data-dir", data, "--replace", "--yes")
	first.kill(t)
	run("", "store", "backup", offline, "--data-dir", data)
	run("the store is not empty: it has revision 2 of the intent and 3 audit records: --replace discards them", "store", "restore", offline, "--data-dir", data)
	run("contains no store", "store", "backup", offline, "--data-dir", filepath.Join(dir, "nothing"))
	run("no store to restore into", "store", "restore", offline)
	nowhere := filepath.Join(dir, "nowhere", "x.backup")
	run("op25b: "+nowhere+": no such file or directory", "store", "backup", nowhere, "--data-dir", data)

	e := storetest.Start(t)
	run("", "store", "restore", offline, "--etcd", e.Endpoint())
	cluster := &served{exe: exe, dir: dir, addr: "127.0.0.1:0", store: []string{"--etcd", e.Endpoint()}}
	cluster.start(t)
	if is := told(cluster); is != want {
		t.Errorf("in the cluster:\n%s\nwant\n%s", is, want)
	}
	run("", "store", "backup", back, "--etcd", e.Endpoint())
	again := filepath.Join(dir, "again")
	run("", "store", "restore", back, "--data-dir", again)
	last := &served{exe: exe, dir: dir, addr: "127.0.0.1:0", store: []string{"--data-dir", again}}
	last.start(t)
	if is := told(last); is != want {
		t.Errorf("back:\n%s\nwant\n%s", is, want)
	}

	// A damaged backup is refused before a store is created.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(dir, "fresh")
	run(file+": not a usable backup: it is cut off", "store", "restore", file, "--data-dir", fresh)
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("a store was made for a damaged backup: %v", err)
	}
}
