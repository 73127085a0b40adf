//go:build !linux

package p4rt

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing, because the option exists only on Linux. On other systems, the kernel's
// keepalive and Probe detect a dead switch.
func setUserTimeout(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
