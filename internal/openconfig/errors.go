package openconfig

import "errors"

var (
	// ErrOptions is returned by NewServer and NewTargetServer for an invalid option. Errors of individual requests are gRPC
	// statuses.
	ErrOptions = errors.New("bad option of the gNMI server")
	// ErrNoTarget is returned by Targets.Source if no target has the given name.
	ErrNoTarget = errors.New("no such target")
)
