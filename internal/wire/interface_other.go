//go:build !linux

package wire

import "fmt"

// OpenInterface returns ErrUnsupported on this operating system.
func OpenInterface(name string) (Link, error) {
	return nil, fmt.Errorf("interface %q: AF_PACKET is %w; plug hosts in over the packet service or use a pcap file", name, ErrUnsupported)
}
