package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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

// notPlayed are the commands of docs/operator.md that cannot be played here, and why. Every other one is.
var notPlayed = map[string]string{
	"sudo systemctl enable --now op25b": "it wants systemd, root, and the unit installed",
}

// pageDay is the day on which the page was written. Phases and exemptions go by the calendar: so that the page is true on any day, the test
// moves every date in documents and commands by the days that have gone by since, and those of the output back.
var pageDay = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// longest is more than any command of the page takes.
const longest = time.Minute

// A pageBlock is a fenced block of a page.
type pageBlock struct {
	line int // of its first line in the page
	kind string
	text []string
}

// A pageCommand is a command of a console block, and what the page says that it prints.
type pageCommand struct {
	line int
	text string
	want []string
}

func pageBlocks(t *testing.T, path string) []pageBlock {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []pageBlock
	inside := false
	for i, line := range strings.Split(string(page), "\n") {
		kind, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && !inside:
			all, inside = append(all, pageBlock{line: i + 2, kind: kind}), true
		case fence:
			inside = false
		case inside:
			last := &all[len(all)-1]
			last.text = append(last.text, line)
		}
	}
	return all
}

func (b pageBlock) commands(t *testing.T) []pageCommand {
	t.Helper()
	var all []pageCommand
	for i, line := range b.text {
		if text, is := strings.CutPrefix(line, "$ "); is {
			all = append(all, pageCommand{line: b.line + i, text: text})
		} else if len(all) == 0 {
			t.Fatalf("line %d: a console block that does not begin with a command", b.line)
		} else {
			last := &all[len(all)-1]
			last.want = append(last.want, line)
		}
	}
	return all
}

// An operator is at a terminal in a directory with the examples, and does what a page says.
type operator struct {
	t         *testing.T
	dir       string
	env       []string
	days      int         // since pageDay
	begun     time.Time   // to the second
	addresses [][2]string // the page's, and where that is here
}

// TestOperatorPage: the commands of docs/operator.md, one after the other at a terminal, with real switches and a real controller, print what
// the page says that they print.
//
// What differs from run to run is not compared: see plain. Of how a change comes along, only how it ended for each switch is, see settled.
// On the page a line of three dots stands for any number of lines, and what is behind a question is what is answered.
func TestOperatorPage(t *testing.T) {
	if testing.Short() {
		t.Skip("the page has no races of its own")
	}
	const path = "../docs/operator.md"
	now := time.Now().UTC()
	o := &operator{t: t, dir: t.TempDir(), days: int(now.Truncate(24*time.Hour).Sub(pageDay) / (24 * time.Hour)), begun: now.Truncate(time.Second)}
	o.env = append(os.Environ(), "TZ=UTC", "NO_COLOR=1", "HOME="+o.dir)
	if err := os.CopyFS(filepath.Join(o.dir, "examples"), os.DirFS("../examples")); err != nil {
		t.Fatal(err)
	}
	o.edit(func(text string) string { return moveDates(text, o.days) })

	played, skipped := 0, 0
	for _, b := range pageBlocks(t, path) {
		switch b.kind {
		case "diff":
			o.patch(b)
			continue
		case "console":
		default:
			t.Fatalf("line %d: a block of kind %q: what is typed and printed is a console block, a change of a document a diff block", b.line, b.kind)
		}
		for _, c := range b.commands(t) {
			if _, skip := notPlayed[c.text]; skip {
				skipped++
				continue
			}
			if !strings.HasPrefix(c.text, "op25b ") {
				t.Fatalf("line %d: $ %s: only op25b is played; name it in notPlayed, with the reason", c.line, c.text)
			}
			played++
			if strings.HasSuffix(c.text, "&") {
				o.start(c)
			} else {
				o.play(c)
			}
			if t.Failed() {
				t.FailNow() // what comes after has nothing to stand on
			}
		}
	}
	if played == 0 || skipped != len(notPlayed) {
		t.Errorf("%d commands played, and %d of the %d that notPlayed names are on the page", played, skipped, len(notPlayed))
	}
}

// edit changes every document.
func (o *operator) edit(change func(string) string) {
	o.t.Helper()
	files, err := filepath.Glob(filepath.Join(o.dir, "examples/*/*.yaml"))
	if err != nil || len(files) == 0 {
		o.t.Fatalf("no documents: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			o.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(change(string(text))), 0o600); err != nil {
			o.t.Fatal(err)
		}
	}
}

// patch changes a document as a diff of one hunk says.
func (o *operator) patch(b pageBlock) {
	o.t.Helper()
	if len(b.text) < 4 || !strings.HasPrefix(b.text[1], "+++ b/") || !strings.HasPrefix(b.text[2], "@@ ") {
		o.t.Fatalf("line %d: not a diff of one hunk", b.line)
	}
	var old, now strings.Builder
	for _, line := range b.text[3:] {
		text := moveDates(line[1:], o.days) + "\n"
		if line[0] != '+' {
			old.WriteString(text)
		}
		if line[0] != '-' {
			now.WriteString(text)
		}
	}
	file := filepath.Join(o.dir, strings.TrimPrefix(b.text[1], "+++ b/"))
	was, err := os.ReadFile(file)
	if err != nil {
		o.t.Fatal(err)
	}
	if n := strings.Count(string(was), old.String()); n != 1 {
		o.t.Fatalf("line %d: what the diff changes is %d times in the document", b.line, n)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(was), old.String(), now.String(), 1)), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// start starts a daemon on addresses and in directories of its own; commands and documents then find it where it is.
func (o *operator) start(c pageCommand) {
	o.t.Helper()
	text, _, _ := strings.Cut(strings.TrimSuffix(c.text, "&"), "2>")
	args := strings.Fields(text)
	if len(c.want) != 0 {
		o.t.Fatalf("line %d: $ %s: a daemon prints into its log", c.line, c.text)
	}
	exe, err := exec.LookPath("op25b")
	if err != nil {
		o.t.Fatal(err)
	}
	addresses := map[string]string{} // by what the daemon calls them when it is up
	switch args[1] {
	case "serve":
		addresses["listen"] = "127.0.0.1:2525"
		args = append(args, "--listen", addresses["listen"])
	case "switch":
		for i := 2; i+1 < len(args); i++ {
			if name := strings.TrimPrefix(args[i], "--"); name == "p4runtime" || name == "gnmi" {
				addresses[name] = args[i+1]
			}
		}
	}
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "127.0.0.1:"):
			args[i] = "127.0.0.1:0"
		case strings.HasPrefix(arg, "/var/lib/"):
			args[i] = filepath.Join(o.dir, filepath.Base(arg))
		}
	}
	d, said, err := launch(exe, o.dir, o.env, args[1:])
	if err != nil {
		o.t.Fatalf("line %d: %v", c.line, err)
	}
	o.t.Cleanup(func() {
		if err := d.end(syscall.SIGTERM); err != nil {
			o.t.Error(err)
		}
	})
	for name, page := range addresses {
		here, _ := said[name].(string)
		if here == "" {
			o.t.Fatalf("line %d: %s does not say its %s: %v", c.line, c.text, name, said)
		}
		o.addresses = append(o.addresses, [2]string{page, here})
		o.edit(func(text string) string { return strings.ReplaceAll(text, page, here) })
		if name == "listen" {
			o.env = append(o.env, serverVariable+"="+here)
		}
	}
}

var asked = regexp.MustCompile(`^(.* Only yes does: )(.*)$`)

// play types a command at a terminal, answers as the page does, and compares what is then to be read there.
func (o *operator) play(c pageCommand) {
	o.t.Helper()
	var answers []string
	for _, line := range c.want {
		if m := asked.FindStringSubmatch(line); m != nil {
			answers = append(answers, m[2])
		}
	}
	text := moveDates(c.text, o.days)
	for _, a := range o.addresses {
		text = strings.ReplaceAll(text, a[0], a[1])
	}
	screen := o.atTerminal(text, answers)
	for _, a := range o.addresses {
		screen = strings.ReplaceAll(screen, a[1], a[0])
	}
	got := strings.Split(strings.TrimSuffix(screen, "\n"), "\n")
	if screen == "" {
		got = nil
	}
	for i := range got {
		got[i] = plain(o.timeless(got[i]))
	}
	want := slices.Clone(c.want)
	for i := range want {
		want[i] = plain(pageMoment.ReplaceAllString(want[i], "<now>"))
	}
	ends := settled(want)
	if len(ends) != len(want) {
		o.t.Errorf("../docs/operator.md:%d: it tells how a change comes along, and not just how it ended for each switch: that differs from run to run", c.line)
	}
	if got = settled(got); !matches(got, ends) {
		o.t.Errorf("../docs/operator.md:%d: $ %s\n-page +printed, without times:\n%s", c.line, c.text, cmp.Diff(ends, got))
	}
}

// atTerminal runs a command at a terminal of its own and returns what is on its screen in the end. The answers are typed when a question is there;
// where the page has none, it is no.
func (o *operator) atTerminal(command string, answers []string) string {
	o.t.Helper()
	ours, theirs := terminal(o.t)
	defer ours.Close()
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = o.dir, o.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err := cmd.Start()
	_ = theirs.Close()
	if err != nil {
		o.t.Fatal(err)
	}
	late := time.AfterFunc(longest, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	var screen bytes.Buffer
	buf := make([]byte, 4096)
	for {
		n, err := ours.Read(buf)
		screen.Write(buf[:n])
		if bytes.HasSuffix(screen.Bytes(), []byte("Only yes does: ")) {
			answer := "no"
			if len(answers) > 0 {
				answer, answers = answers[0], answers[1:]
			}
			if _, err := fmt.Fprintln(ours, answer); err != nil {
				o.t.Fatal(err)
			}
		}
		if errors.Is(err, syscall.EIO) || err == io.EOF { // nobody has the terminal any more
			break
		}
		if err != nil {
			o.t.Fatal(err)
		}
	}
	_ = cmd.Wait() // what it exits with is for the scripts
	if !late.Stop() {
		o.t.Fatalf("$ %s does not end; on the screen is\n%s", command, &screen)
	}
	return strings.ReplaceAll(screen.String(), "\r\n", "\n")
}

// terminal is a new terminal: the end of who sits at it, and the end of what runs there.
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
