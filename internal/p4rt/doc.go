// Package p4rt implements P4Runtime sessions with one switch: connecting, arbitration, pushing a pipeline, writing,
// reading, and receiving messages that the switch sends on its own. Keep maintains a session for the life of a
// process and dials again when the session ends.
//
// Only this package encodes entries as P4Runtime messages and decodes them. It knows no policy, does not decide what
// a switch should hold, and never repeats a write. After a failed write, the caller reads what the switch holds.
//
// The package supports three kinds of server: servers that follow the P4Runtime 1.5 specification exactly (the
// embedded switch), bmv2's simple_switch_grpc, which implements version 1.3 and answers a read in a single message,
// and Stratum. Section numbers in the comments are those of the P4Runtime 1.5.0 specification.
package p4rt
