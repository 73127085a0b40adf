// Package budget kills a process that exceeds its memory budget, so that a test cannot exhaust the host's memory. It is for tests only.
//
// The package reads a process's peak resident memory (VmHWM) from /proc. A memory cgroup would be exact, but tests rarely have the
// permission to create one.
package budget

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// ErrExceeded is wrapped by the error of Budget.Err.
var ErrExceeded = errors.New("memory budget exceeded")

// lookEvery is the interval between readings. A process that allocates 1 GiB per second exceeds its budget by about 50 MiB before it is
// killed.
const lookEvery = 50 * time.Millisecond

// A Budget is the memory budget of one process.
type Budget struct {
	name  string
	limit int // MiB
	over  chan struct{}

	mu   sync.Mutex // guards the fields below
	peak int        // MiB
}

// Start watches a process until ended is closed, and kills the process with SIGKILL when its resident memory exceeds limit MiB. The caller
// must wait for the process and then close ended. On systems without /proc, the process is not watched, and Peak returns 0.
func Start(name string, p *os.Process, limit int, ended <-chan struct{}) *Budget {
	b := &Budget{name: name, limit: limit, over: make(chan struct{})}
	go b.watch(p, ended)
	return b
}

func (b *Budget) watch(p *os.Process, ended <-chan struct{}) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if mib, err := Resident(p.Pid); err == nil && b.look(mib) {
			close(b.over)
			_ = p.Kill() // ignore the error, because the process may already have ended
			return
		}
		select {
		case <-ticker.C:
		case <-ended:
			return
		}
	}
}

// look records a reading and reports whether the reading is above the limit.
func (b *Budget) look(mib int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peak = max(b.peak, mib)
	return b.peak > b.limit
}

// Peak returns the highest reading, in MiB.
func (b *Budget) Peak() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.peak
}

// Exceeded returns a channel that is closed when the process exceeds its budget.
func (b *Budget) Exceeded() <-chan struct{} { return b.over }

// Err returns an error that states the peak and the limit if the process has exceeded its budget. Otherwise it returns nil.
func (b *Budget) Err() error {
	select {
	case <-b.over:
		return fmt.Errorf("%w: %s took %d MiB of %d and was killed", ErrExceeded, b.name, b.Peak(), b.limit)
	default:
		return nil
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// Resident returns the peak resident memory of a process, in MiB. It returns an error if the process has ended.
func Resident(pid int) (mib int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	m := highWater.FindSubmatch(status)
	if m == nil {
		return 0, fmt.Errorf("/proc/%d/status has no VmHWM: the process has ended", pid)
	}
	kib, err := strconv.Atoi(string(m[1]))
	return kib >> 10, err
}
