package openconfig

import "errors"

// ErrOptions is returned by NewServer for an invalid option. Errors of single requests are gRPC statuses.
var ErrOptions = errors.New("bad option of the gNMI server")
