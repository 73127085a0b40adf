// Package wire carries Ethernet frames. The two ends of a Link are, for example, a port of a switch and the network card of a host.
//
// A Link is an in-process pipe (Pipe), a Linux interface (AF_PACKET), a port of bmv2's packet service over gRPC, or a pair of pcap files.
// The package reads a frame's headers only if the medium requires it.
package wire

import "context"

// MaxFrame is the size, in bytes, of the largest frame that a Link carries: a 9,216-byte jumbo frame with its Ethernet header and two VLAN
// tags.
const MaxFrame = 9216 + 14 + 8

// A Link is one end of a wire. Its methods may be called from several goroutines.
type Link interface {
	// Name returns the name that identifies the link in messages, such as "access-2". For an interface it is the interface's name, such as
	// "veth0".
	Name() string
	// Serve passes each received frame to recv, one at a time. It returns nil when ctx ends, and an error when the link fails. The frame is
	// valid only during the call of recv. Serve may be called only once.
	Serve(ctx context.Context, recv func(frame []byte)) error
	// Send transmits a copy of frame, from the destination address to the last byte before the frame check sequence. It does not block: if
	// the queue is full, the frame is dropped and counted, as a real network card would do. It returns ErrOversized for more than MaxFrame
	// bytes, ErrRunt for an empty frame, and ErrClosed after Close.
	Send(frame []byte) error
	// Close ends Serve and releases the link's resources. Close may be called more than once.
	Close() error
}
