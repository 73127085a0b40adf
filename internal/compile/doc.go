// Package compile compiles documents into the desired state of one switch: a pipeline.State for the phases in force, and the meaning of the
// rule ids under which the switch counts.
//
// Number gives each name in the documents its numeric id. Compiler.Compile makes the state of one switch. The package is pure: it does no
// I/O, reads no clock and logs nothing.
package compile
