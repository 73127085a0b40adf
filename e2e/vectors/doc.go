// Package vectors reads the golden vectors of the pipeline and checks a switch against them.
//
// A vector lists frames, layer by layer, with their input port and the expected result: the output ports, the exact output frame, and the
// counters. Read reads a folder of vectors, in the format of testdata/vectors/README.md. Run plays the vectors on a Target.
//
// The package knows the format and the protocols, but no tables, policies or verdicts of the pipeline. Only the vectors define the expected
// behaviour.
package vectors
