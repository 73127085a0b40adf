// Package wire carries frames: a port of a switch and the network card of a host are both ends of a Link.
//
// A Link is in-process (Pipe), a Linux interface (AF_PACKET), one port of bmv2's packet service over gRPC, or a pair of pcap files. The
// package moves Ethernet frames and reads no more of them than the medium itself requires.
package wire

import "context"

// MaxFrame is the largest frame, in bytes, that a Link carries: a 9,216-byte jumbo frame with its Ethernet header and two VLAN tags.
const MaxFrame = 9216 + 14 + 8

// A Link is one end of a wire. Its methods may be called from several goroutines.
type Link interface {
	// Name identifies the link in messages, and is the interface's name: "access-2", "veth0".
	Name() string
	// Serve passes each frame that arrives to recv, one at a time, until ctx ends (it returns nil) or the link fails. The frame is valid
	// only during the call. Serve is called once.
	Serve(ctx context.Context, recv func(frame []byte)) error
	// Send transmits a copy of frame, from the destination address to the last byte before the frame check sequence. It does not block: if
	// the queue is full, the frame is dropped and counted, as by a real network card. It returns ErrOversized for more than MaxFrame bytes,
	// ErrRunt for none, and ErrClosed after Close.
	Send(frame []byte) error
	// Close ends Serve and releases the link's resources. It may be called more than once.
	Close() error
}
