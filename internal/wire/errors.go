package wire

import "errors"

// Errors of Send. Each is wrapped in a message that names the link and the size.
var (
	// ErrOversized is returned for a frame that is longer than MaxFrame, or than the medium's MTU.
	ErrOversized = errors.New("frame too long")
	// ErrRunt is returned for an empty frame, or for a frame shorter than the medium can carry.
	ErrRunt = errors.New("frame too short")
	// ErrClosed is returned once the link has been closed.
	ErrClosed = errors.New("link closed")
)

// Errors of opening a link.
var (
	// ErrNoInterface is returned for an interface that this machine does not have; the message lists the existing ones.
	ErrNoInterface = errors.New("no such interface")
	// ErrUnsupported is returned for a kind of link that this operating system does not support.
	ErrUnsupported = errors.New("not supported on this operating system")
	// ErrNotEthernet is returned for a file or an interface whose frames are not Ethernet.
	ErrNotEthernet = errors.New("not Ethernet")
)

// Errors of Serve.
var (
	// ErrTruncated is returned for a frame of which the file contains only the beginning.
	ErrTruncated = errors.New("truncated frame")
	// ErrServed is returned by the second call of Serve.
	ErrServed = errors.New("link already served")
)
