// Package p4rt implements P4Runtime sessions with one switch. A session connects, arbitrates, pushes a pipeline,
// writes, reads, and receives messages that the switch sends on its own. Keep maintains a session for the life of a
// process and dials again when the session ends.
//
// Only this package encodes entries as P4Runtime messages and decodes them. It has no knowledge of policies and does
// not decide which entries a switch should have. It never repeats a write. After a failed write, the caller reads
// which entries the switch has.
//
// The package supports three kinds of server: the embedded switch, which follows the P4Runtime 1.5 specification
// exactly; bmv2's simple_switch_grpc, which implements version 1.3 and answers a read in a single message; and
// Stratum. Section numbers in the comments refer to the P4Runtime 1.5.0 specification.
package p4rt
