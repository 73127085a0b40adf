package openconfig

import "errors"

// ErrOptions is returned by NewServer for an option that cannot be served. What goes wrong with one request is a gRPC
// status, and no error value of this package.
var ErrOptions = errors.New("bad option of the gNMI server")
