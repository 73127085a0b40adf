package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"op25b/e2e/budget"
)

// A process is a running daemon of a plant.
type process struct {
	name string
	cmd  *exec.Cmd
	said *journal
	done chan struct{} // closed after the process has ended and Wait has returned

	memory *budget.Budget // nil if the process has no budget
}

// A journal keeps the newest log lines of a daemon across restarts.
type journal struct {
	mu      sync.Mutex // guards the fields below
	lines   []string   // the newest lines
	first   int        // the line number of lines[0]
	partial []byte
	changed chan struct{} // closed and replaced for each line
}

// journalLines is the number of lines that a journal keeps.
const journalLines = 2000

func newJournal() *journal { return &journal{changed: make(chan struct{})} }

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.partial = append(j.partial, b...)
	for {
		line, rest, whole := bytes.Cut(j.partial, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		j.lines = append(j.lines, string(line))
		j.partial = bytes.Clone(rest)
		if len(j.lines) > journalLines {
			j.first += len(j.lines) - journalLines
			j.lines = append([]string(nil), j.lines[len(j.lines)-journalLines:]...)
		}
		close(j.changed)
		j.changed = make(chan struct{})
	}
}

// end returns the number of the next line.
func (j *journal) end() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first + len(j.lines)
}

// await waits for a line, from the given line number on, that contains all of the words.
func (j *journal) await(ctx context.Context, from int, words ...string) error {
	for {
		j.mu.Lock()
		changed := j.changed
		for i := max(from-j.first, 0); i < len(j.lines); i++ {
			if containsAll(j.lines[i], words) {
				j.mu.Unlock()
				return nil
			}
		}
		from = j.first + len(j.lines)
		j.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("no line with %q: %w", words, context.Cause(ctx))
		}
	}
}

func containsAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

func (j *journal) tail(lines int) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines[max(len(j.lines)-lines, 0):], "\n")
}

// spawn starts a daemon in the plant's process group with a memory budget of mib MiB. If mib is 0, the daemon has no
// budget.
func (p *plant) spawn(name string, said *journal, mib int, cmd *exec.Cmd) *process {
	p.t.Helper()
	x := &process{name: name, cmd: cmd, said: said, done: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: p.group}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	if mib > 0 {
		x.memory = budget.Start(name, cmd.Process, mib, x.done)
	}
	go func() {
		_ = cmd.Wait()
		close(x.done)
	}()
	p.mu.Lock()
	p.processes = append(p.processes, x)
	p.mu.Unlock()
	return x
}

// kill kills the process and waits until it has ended.
func (x *process) kill() {
	x.signal(syscall.SIGKILL)
	<-x.done
}

func (x *process) signal(s syscall.Signal) {
	if err := x.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(fmt.Sprintf("%s: %v: %v", x.name, s, err))
	}
}

// overBudget returns an error if the process was killed because it exceeded its memory budget.
func (x *process) overBudget() error {
	if x.memory == nil {
		return nil
	}
	return x.memory.Err()
}

// guard starts the leader of the daemons' process group. The leader kills all daemons when the test process ends, for
// whatever reason.
func (p *plant) guard() {
	p.t.Helper()
	cmd := childCommand(p.t, childConfig{Kind: guardChild})
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.group = cmd.Process.Pid
	p.t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
		p.mu.Lock()
		all := p.processes
		p.mu.Unlock()
		for _, x := range all {
			<-x.done
			if err := x.overBudget(); err != nil {
				p.t.Error(err)
			}
		}
		if err := syscall.Kill(-p.group, 0); !errors.Is(err, syscall.ESRCH) {
			p.t.Errorf("processes of the plant are left: %v", err)
		}
	})
}

// removeBinary removes the binary that builtBinary has built.
var removeBinary = func() {}

// builtBinary builds the command once for all plants.
var builtBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "op25b-e2e-")
	if err != nil {
		return "", err
	}
	removeBinary = func() { _ = os.RemoveAll(dir) }
	path := dir + "/op25b"
	if out, err := exec.Command("go", "build", "-o", path, "op25b/controller").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

func buildBinary(t testing.TB) string {
	t.Helper()
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
