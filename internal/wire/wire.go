// Package wire is what a frame travels on: a port of a switch and the network card of a host are both ends of a Link.
//
// A Link is in-process (Pipe), a Linux interface (AF_PACKET), one port of bmv2's packet service over gRPC, or a pair of
// pcap files. The package moves Ethernet frames; it never looks into one beyond what the medium itself demands.
package wire

import "context"

// MaxFrame is the largest frame, in bytes, that a Link carries: a 9,216-byte jumbo frame with its Ethernet header and two VLAN tags.
const MaxFrame = 9216 + 14 + 8

// A Link is one end of a wire. Its methods may be called from several goroutines.
type Link interface {
	// Name says which link this is, in messages and as the interface's name: "access-2", "veth0".
	Name() string
	// Serve hands each frame that arrives to recv, one at a time, until ctx ends (it returns nil) or the link fails.
	// The frame is valid only during the call. Serve is called once.
	Serve(ctx context.Context, recv func(frame []byte)) error
	// Send transmits a copy of frame, from the destination address to the last byte before the frame check sequence.
	// It does not block: a frame that finds the queue full is dropped and counted, as by a real network card.
	// It returns ErrOversized for more than MaxFrame bytes, ErrRunt for none, and ErrClosed after Close.
	Send(frame []byte) error
	// Close ends Serve and releases what the link holds. It may be called more than once.
	Close() error
}
