package netsim

import "errors"

// Errors of a HostConfig.
var (
	// ErrConfig is returned for an invalid HostConfig; the message has the field, its value and the valid values.
	ErrConfig = errors.New("invalid host")
)

// Errors of connecting. They are wrapped in a *net.OpError.
var (
	// ErrRefused is returned by DialContext when the peer answered with a TCP reset: the peer exists, but has no listener on the port.
	ErrRefused = errors.New("connection refused")
	// ErrProhibited is returned by DialContext when an ICMP error arrived: a filter on the path rejects the connection.
	ErrProhibited = errors.New("prohibited on the way")
	// ErrNoNeighbour is returned by DialContext when no host answered the ARP or neighbour solicitation for the peer's address.
	ErrNoNeighbour = errors.New("no neighbour has this address")
	// ErrClosed is returned once the host has been closed.
	ErrClosed = errors.New("host closed")
)

// Errors of sending mail.
var (
	// ErrNotStored is the error of an attempt whose message the server accepted and did not store.
	ErrNotStored = errors.New("accepted but not stored")
)
