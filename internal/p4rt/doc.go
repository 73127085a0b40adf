// Package p4rt is one P4Runtime session with one switch: connect, arbitrate, push a pipeline, write, read, and
// receive what the switch sends by itself. Keep holds such a session over the life of a process and dials again when
// it ends.
//
// It moves bytes, messages, updates and the pipeline's entries, and is the only package that makes P4Runtime messages of entries and reads
// them. It knows no policy, does not decide what a switch should hold, and never repeats a write: after a failed write the caller reads back
// what the switch holds.
//
// It is written for three kinds of server: one that follows the P4Runtime 1.5 specification exactly (the embedded switch), bmv2's
// simple_switch_grpc, which speaks 1.3 and answers a read in a single message, and Stratum. Section numbers in the comments are those of the
// P4Runtime 1.5.0 specification.
package p4rt
