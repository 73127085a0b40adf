// Package p4rt is one P4Runtime session with one switch: connect, arbitrate, push a pipeline, write, read, and
// receive what the switch sends by itself. Keep holds such a session over the life of a process and dials again when
// it ends.
//
// It moves bytes, entities and updates. It knows no policy, no pipeline and no table name, it decides nothing about
// what a switch should hold, and it never repeats a write: what a failed write left behind is for the caller to read
// back.
//
// Three kinds of server were kept in mind: one that follows the P4Runtime 1.5 specification to the letter (the
// embedded switch), bmv2's simple_switch_grpc, which speaks 1.3 and answers a read in a single message, and Stratum.
// Section numbers in the comments are those of the P4Runtime 1.5.0 specification.
package p4rt
