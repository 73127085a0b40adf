package clock

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// System returns the clocks of the host. Elapsed reads CLOCK_BOOTTIME, which cannot be set and also advances while the host is
// suspended.
func System() Source {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Source{}
	}
	if _, err := bootTime(); err != nil {
		return Source{}
	}
	return Source{
		Wall: time.Now,
		Elapsed: func() time.Duration {
			d, _ := bootTime() // ignore the error, because System has checked that the call succeeds
			return d
		},
		Boot: strings.TrimSpace(string(id)),
	}
}

func bootTime() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano()), err
}
