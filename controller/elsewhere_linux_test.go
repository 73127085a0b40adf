package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// busyElsewhere is the maximum share of the host's processor time that other programs may use while a test requires that no lease is lost. On a
// busier host, any controller may lose a lease.
const busyElsewhere = 0.25

// A usage is processor time in seconds: machine is the total of the host, including idle time, busy is the time of all processes, and own is
// the time of this test and one controller process.
type usage struct{ machine, busy, own float64 }

// used returns the processor time used so far.
func (s *process) used(t testing.TB) usage {
	t.Helper()
	const second = 100 // the number of /proc ticks per second
	ticks := func(path string, fields func(string) []string) (list []float64) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields(string(text)) {
			n, err := strconv.ParseFloat(f, 64)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			list = append(list, n/second)
		}
		return list
	}
	var u usage
	for i, n := range ticks("/proc/stat", func(text string) []string { // the columns are user nice system idle iowait irq softirq steal
		line, _, _ := strings.Cut(text, "\n")
		return strings.Fields(line)[1:9]
	}) {
		u.machine += n
		if i != 3 && i != 4 {
			u.busy += n
		}
	}
	for _, n := range ticks(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid), func(text string) []string { // the columns are utime and stime
		return strings.Fields(text[strings.LastIndex(text, ")")+1:])[11:13]
	}) {
		u.own += n
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		t.Fatal(err)
	}
	u.own += time.Duration(own.Utime.Nano() + own.Stime.Nano()).Seconds()
	return u
}

// keptLeases ends the process and returns the number of leases that it lost since a given usage. If there are any, the test fails, unless other
// programs used more than busyElsewhere of the host in that time.
func (s *process) keptLeases(t testing.TB, since usage) (lost int) {
	t.Helper()
	now := s.used(t)
	elsewhere := ((now.busy - since.busy) - (now.own - since.own)) / max(now.machine-since.machine, 1)
	lost = strings.Count(s.finish(t), "ownerships lost")
	switch {
	case lost == 0:
	case elsewhere > busyElsewhere:
		t.Logf("%d leases were lost while other programs used %.0f %% of the machine", lost, 100*elsewhere)
	default:
		t.Errorf("%d leases were lost while other programs used %.0f %% of the machine", lost, 100*elsewhere)
	}
	return lost
}
