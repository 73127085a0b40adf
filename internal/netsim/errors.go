package netsim

import "errors"

// Errors of NewHost.
var (
	// ErrConfig is returned if a HostConfig is invalid. The message contains the field, its value and the valid values.
	ErrConfig = errors.New("invalid host")
)

// Errors of connections. They are wrapped in a *net.OpError.
var (
	// ErrRefused is returned by DialContext if the peer answers with a TCP reset. The peer exists, but has no listener on the port.
	ErrRefused = errors.New("connection refused")
	// ErrProhibited is returned by DialContext if an ICMP error arrives, which means that a filter on the path rejects the connection.
	ErrProhibited = errors.New("prohibited on the way")
	// ErrNoNeighbour is returned by DialContext if no host answers the ARP request or neighbour solicitation for the peer's address.
	ErrNoNeighbour = errors.New("no neighbour has this address")
	// ErrClosed is returned after the host has been closed.
	ErrClosed = errors.New("host closed")
)

// Errors of sending mail.
var (
	// ErrNotStored is returned for a message that the server accepted but did not store.
	ErrNotStored = errors.New("accepted but not stored")
)
