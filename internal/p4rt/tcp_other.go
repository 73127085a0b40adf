//go:build !linux

package p4rt

import (
	"syscall"
	"time"
)

// setUserTimeout has nothing to set outside Linux; the kernel's keepalive and Probe remain.
func setUserTimeout(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
