// Package compile turns the documents into the desired state of a switch. The result is a pipeline.State for the phases in force, and the
// meaning of the rule ids under which the switch counts segments.
//
// Number assigns a numeric id to each name in the documents. Compiler.Compile computes the state of one switch. The package is pure: it
// does no I/O, reads no clock and logs nothing.
package compile
