package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var updatePages = flag.Bool("update-pages", false, "write what commands printed into the pages that show it")

// pageDay is the date on which every page is set. Phases and exemptions depend on the date, so the test moves the dates in documents and commands
// forward by the days since pageDay, and moves the dates in the output back.
var pageDay = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// longest is the maximum duration of a command on a page.
const longest = 2 * time.Minute

// A reader follows one page at a terminal, in a directory that contains the examples.
type reader struct {
	t         *testing.T
	page      string
	dir       string
	env       []string
	days      int         // the days since pageDay
	begun     time.Time   // the start of the test, truncated to a second
	addresses [][2]string // pairs of an address on the page and the real address
	mended    map[int]pageCommand
	zone      string // the UTC offset of times that are shown without one; it comes from the heading of the last table
}

// TestPages runs the commands of each page in order at a terminal, with real switches and a real controller. The output must match the page. The
// comment of pageBlock describes the form of a page.
//
// Times, durations and hashes are not compared; see plain. Of the progress of a change, only the last line of each switch is compared; see
// settled. On a page, a line of three dots stands for any number of lines, and the text after a question is the answer to type.
func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("pages have no races of their own")
	}
	for _, page := range pages(t) {
		t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) { replay(t, page) })
	}
}

func replay(t *testing.T, page string) {
	now := time.Now().UTC()
	r := &reader{
		t: t, page: page, dir: t.TempDir(), mended: map[int]pageCommand{}, zone: "+0000",
		days: int(now.Truncate(24*time.Hour).Sub(pageDay) / (24 * time.Hour)), begun: now.Truncate(time.Second),
	}
	r.env = append(os.Environ(), "TZ=UTC", "NO_COLOR=1", "HOME="+r.dir)
	if err := os.CopyFS(filepath.Join(r.dir, "examples"), os.DirFS("../examples")); err != nil {
		t.Fatal(err)
	}
	r.edit(func(text string) string { return moveDates(text, r.days) })
	for _, b := range pageBlocks(t, page) {
		switch {
		case b.skipped != "":
			for _, c := range b.commands(t) {
				fmt.Printf("SKIPPED %s:%d: $ %s: %s\n", page, c.line, c.text, b.skipped)
			}
		case b.kind == "diff":
			r.patch(b)
		case b.kind == "console":
			for _, c := range b.commands(t) {
				switch {
				case strings.HasSuffix(c.text, "&"):
					r.start(c)
				case !b.hidden || !r.prepare(c):
					r.play(c, b.hidden)
				}
				if t.Failed() && !*updatePages {
					t.FailNow() // the next commands depend on this command
				}
			}
		}
	}
	if *updatePages {
		r.mend()
	}
}

// prepare carries out a hidden command that no shell knows, and reports whether it is one; see pageBlock.
func (r *reader) prepare(c pageCommand) bool {
	r.t.Helper()
	command, args, _ := strings.Cut(r.local(c.text), " ")
	var err error
	switch command {
	case "mail":
		err = sendMail(strings.Fields(args))
	case "lose":
		err = lose(strings.Fields(args))
	case "hurry":
		r.env = append(r.env, hurryVariable+"="+args)
	default:
		return false
	}
	if err != nil {
		r.t.Fatalf("%s:%d: %v", r.page, c.line, err)
	}
	return true
}

// edit applies a change to every document.
func (r *reader) edit(change func(string) string) {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "examples/*/*.yaml"))
	if err != nil || len(files) == 0 {
		r.t.Fatalf("no documents: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(change(string(text))), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

// patch applies a diff with one hunk to a document.
func (r *reader) patch(b pageBlock) {
	r.t.Helper()
	if len(b.text) < 4 || !strings.HasPrefix(b.text[1], "+++ b/") || !strings.HasPrefix(b.text[2], "@@ ") {
		r.t.Fatalf("%s:%d: not a diff of one hunk", r.page, b.line)
	}
	var old, now strings.Builder
	for _, line := range b.text[3:] {
		text := moveDates(line[1:], r.days) + "\n"
		if line[0] != '+' {
			old.WriteString(text)
		}
		if line[0] != '-' {
			now.WriteString(text)
		}
	}
	file := filepath.Join(r.dir, strings.TrimPrefix(b.text[1], "+++ b/"))
	was, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	if n := strings.Count(string(was), old.String()); n != 1 {
		r.t.Fatalf("%s:%d: the text to replace is %d times in the document", r.page, b.line, n)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(was), old.String(), now.String(), 1)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// defaults are the addresses that a daemon uses by default. The key is the name of both the flag and the field in the log.
var defaults = map[string]map[string]string{
	"serve":  {"listen": "127.0.0.1:2525"},
	"switch": {"p4runtime": "127.0.0.1:9559", "gnmi": "127.0.0.1:9339"},
	"portal": {"listen": "127.0.0.1:2590"},
}

// start starts a daemon on free ports in the reader's directory. The daemon's real addresses then replace the addresses of the page in the
// documents and in later commands.
func (r *reader) start(c pageCommand) {
	r.t.Helper()
	text, _, _ := strings.Cut(strings.TrimSuffix(r.local(c.text), "&"), "2>")
	args := strings.Fields(text)
	if len(c.want) != 0 || args[0] != "op25b" || defaults[args[1]] == nil {
		r.t.Fatalf("%s:%d: $ %s: only op25b serve, op25b portal and op25b switch run in the background, and print to a log", r.page, c.line, c.text)
	}
	exe, err := exec.LookPath("op25b")
	if err != nil {
		r.t.Fatal(err)
	}
	shown := map[string]string{}
	addresses := maps.Clone(defaults[args[1]])
	for _, more := range []string{"dataplane", "metrics"} {
		if slices.Contains(args, "--"+more) {
			addresses[more] = ""
		}
	}
	for name, address := range addresses {
		i := slices.Index(args, "--"+name)
		if i < 0 {
			i = len(args)
			args = append(args, "--"+name, address)
		}
		shown[name], args[i+1] = args[i+1], "127.0.0.1:0"
	}
	d, said, err := launch(exe, r.dir, r.env, args[1:])
	if err != nil {
		r.t.Fatalf("%s:%d: %v", r.page, c.line, err)
	}
	r.t.Cleanup(func() {
		if err := d.end(syscall.SIGTERM); err != nil {
			r.t.Error(err)
		}
	})
	for name, page := range shown {
		here, _ := said[name].(string)
		if here == "" {
			r.t.Fatalf("%s:%d: %s does not report its %s: %v", r.page, c.line, c.text, name, said)
		}
		r.addresses = append(r.addresses, [2]string{page, here})
		r.edit(func(text string) string { return strings.ReplaceAll(text, page, here) })
		if name == "listen" && args[1] == "serve" {
			r.env = append(r.env, serverVariable+"="+here)
		}
	}
}

// played matches the commands that the test may run. No other command is run, so that a page cannot damage the host.
var played = regexp.MustCompile(`^((op25b|until op25b|curl) |cat examples/\S+$)`)

// local converts a command of the page to the command that the test runs.
func (r *reader) local(command string) string {
	command = strings.Replace(moveDates(command, r.days), "go run ./controller ", "op25b ", 1)
	for _, a := range r.addresses {
		command = strings.ReplaceAll(command, a[0], a[1])
	}
	return strings.ReplaceAll(command, "/var/lib/", "./varlib/") // the lengths are equal because the output wraps lines
}

// play runs a command at a terminal, types the answers that the page shows, and compares the output with the page.
func (r *reader) play(c pageCommand, hidden bool) {
	r.t.Helper()
	text := r.local(c.text)
	if !played.MatchString(text) {
		r.t.Fatalf("%s:%d: $ %s: cannot be replayed: give its block the kind %q", r.page, c.line, c.text, "console skipped: REASON")
	}
	var answers []string
	for _, line := range c.want {
		if m := asked.FindStringSubmatch(line); m != nil {
			answers = append(answers, m[2])
		}
	}
	screen := r.atTerminal(text, answers)
	if hidden {
		return
	}
	for _, a := range r.addresses {
		screen = strings.ReplaceAll(screen, a[1], a[0])
	}
	screen = strings.ReplaceAll(screen, "./varlib/", "/var/lib/")
	days := r.days
	if strings.HasPrefix(text, "op25b demo") {
		days = 0 // the demo uses the documents in the binary, whose dates are not moved
	}
	var got []shownLine
	for line := range strings.Lines(screen) {
		got = append(got, r.printed(strings.TrimSuffix(line, "\n"), days))
	}
	var want []shownLine
	for _, line := range c.want {
		want = append(want, r.onPage(line))
	}
	ends := settled(want)
	if len(ends) != len(want) {
		r.t.Errorf("%s:%d: the page shows more than the last line of each switch's progress: the rest differs from run to run", r.page, c.line)
	}
	got = settled(got)
	switch {
	case matches(got, ends):
	case *updatePages && r.mendable(c, got):
	default:
		r.t.Errorf("%s:%d: $ %s\n-page +printed, without times:\n%s", r.page, c.line, c.text, cmp.Diff(compared(ends), compared(got)))
	}
}

var asked = regexp.MustCompile(`^(.* Type yes to continue: )(.*)$`)

// atTerminal runs a command at a new pseudo-terminal and returns all output. It types the next answer at each question, and "no" when no answers
// are left.
func (r *reader) atTerminal(command string, answers []string) string {
	r.t.Helper()
	ours, theirs := terminal(r.t)
	defer ours.Close()
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = r.dir, r.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err := cmd.Start()
	_ = theirs.Close()
	if err != nil {
		r.t.Fatal(err)
	}
	late := time.AfterFunc(longest, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	var screen bytes.Buffer
	buf := make([]byte, 4096)
	for {
		n, err := ours.Read(buf)
		screen.Write(buf[:n])
		if bytes.HasSuffix(screen.Bytes(), []byte("Type yes to continue: ")) {
			answer := "no"
			if len(answers) > 0 {
				answer, answers = answers[0], answers[1:]
			}
			if _, err := fmt.Fprintln(ours, answer); err != nil {
				r.t.Fatal(err)
			}
		}
		if errors.Is(err, syscall.EIO) || err == io.EOF { // no process has the terminal open any longer
			break
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	_ = cmd.Wait() // the scripts test the exit statuses
	if !late.Stop() {
		r.t.Fatalf("$ %s does not end; on the screen is\n%s", command, &screen)
	}
	return strings.ReplaceAll(screen.String(), "\r\n", "\n")
}

// terminal returns the two ends of a new pseudo-terminal. The test uses ours, and the command uses theirs.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}
