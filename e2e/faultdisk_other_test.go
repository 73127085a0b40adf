//go:build !linux

package e2e

import "testing"

// A disk is a separate file system that a test fills and frees. It is supported only on Linux.
type disk struct{}

func mountDisk(testing.TB, string) (*disk, string) { return nil, "only Linux has a tmpfs" }

func (r *round) fullDisk() { r.t.Fatal("there is no disk to fill") }
