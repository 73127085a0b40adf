// Package rollout decides how a change goes through a fleet ring by ring. A ring is a set of switches. A change is brought to a ring only after the
// ring before it has had the change for its soak time, with data from every gate, and with no gate against it.
//
// The package is pure: it performs no I/O and reads no clock. A Record is the whole state of a rollout. Next returns the following Record from what was
// observed, and Wanted returns which switches a Record gives the change. A driver stores a Record before it acts on it, so that another driver can
// carry on after a crash at any point.
package rollout
