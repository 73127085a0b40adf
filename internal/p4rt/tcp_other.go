//go:build !linux

package p4rt

import (
	"syscall"
	"time"
)

// setUserTimeout sets nothing outside Linux, where the kernel's keepalive and Probe detect a dead switch.
func setUserTimeout(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
