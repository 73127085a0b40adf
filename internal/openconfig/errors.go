package openconfig

import "errors"

var (
	// ErrOptions is returned by NewServer and NewTargetServer for an invalid option. Errors of single requests are gRPC statuses.
	ErrOptions = errors.New("bad option of the gNMI server")
	// ErrNoTarget is returned by Targets.Source for a name that no target has.
	ErrNoTarget = errors.New("no such target")
)
