// Package vectors reads the pipeline's golden vectors and checks a switch against them.
//
// A vector contains frames, written layer by layer, with their input ports and the expected results. A result consists of the output ports,
// the exact output frame, and the counters. Read reads a folder of vectors in the format that testdata/vectors/README.md describes. Run
// plays the vectors on a Target.
//
// The package implements the format and the protocols, but has no knowledge of the pipeline's tables, policies or verdicts. Only the
// vectors define the expected behaviour.
package vectors
