package netsim

import "errors"

// Errors of a HostConfig.
var (
	// ErrConfig is returned for a HostConfig that no host could run with; the message names the field, its value and what is valid.
	ErrConfig = errors.New("invalid host")
)

// Errors of connecting. They are wrapped in a *net.OpError.
var (
	// ErrRefused is returned by DialContext when the peer answered with a TCP reset: there is a host, and no listener.
	ErrRefused = errors.New("connection refused")
	// ErrProhibited is returned by DialContext when something on the way answered with an ICMP error: a filter that rejects.
	ErrProhibited = errors.New("prohibited on the way")
	// ErrNoNeighbour is returned by DialContext when nobody answered the ARP or neighbour solicitation for the peer's address.
	ErrNoNeighbour = errors.New("no neighbour has this address")
	// ErrClosed is returned once the host has been closed.
	ErrClosed = errors.New("host closed")
)

// Errors of mail.
var (
	// ErrNotStored is the error of an attempt whose message the server accepted, and then did not have.
	ErrNotStored = errors.New("accepted but not stored")
)
