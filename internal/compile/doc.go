// Package compile turns documents into what one switch should hold: a pipeline.State for the phases in force, and the meaning of the rule
// ids that the switch counts under.
//
// Number gives each name in the documents its numeric id. NewCompiler and Compiler.Compile make the state of one switch after another. Both
// are pure: bytes and times come in as values, and nothing is read, written, timed or logged.
package compile
