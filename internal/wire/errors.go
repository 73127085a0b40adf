package wire

import "errors"

// Errors that Send returns. Each is wrapped in a message that names the link. The messages of ErrOversized and ErrRunt also give the size.
var (
	// ErrOversized is returned for a frame that is longer than MaxFrame or than the medium's MTU allows.
	ErrOversized = errors.New("frame too long")
	// ErrRunt is returned for a frame that is empty or shorter than the medium can carry.
	ErrRunt = errors.New("frame too short")
	// ErrClosed is returned once the link has been closed.
	ErrClosed = errors.New("link closed")
)

// Errors that opening a link returns.
var (
	// ErrNoInterface is returned for an interface that this machine does not have. The message lists the existing
	// interfaces.
	ErrNoInterface = errors.New("no such interface")
	// ErrUnsupported is returned for a kind of link that this operating system does not support.
	ErrUnsupported = errors.New("not supported on this operating system")
	// ErrNotEthernet is returned for a file or an interface whose frames are not Ethernet.
	ErrNotEthernet = errors.New("not Ethernet")
)

// Errors that Serve returns.
var (
	// ErrTruncated is returned if the file contains only the beginning of a frame.
	ErrTruncated = errors.New("truncated frame")
	// ErrServed is returned if Serve is called a second time.
	ErrServed = errors.New("link already served")
)
