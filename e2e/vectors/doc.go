// Package vectors reads the golden vectors of the pipeline and holds a switch to them.
//
// A vector says, by layers, which frames go into which port of a switch and what has to come of each: where it goes on, the very frame
// that comes back, and what is counted. Read reads a folder of them, in the format that testdata/vectors/README.md describes. Run plays
// them on a Target.
//
// It knows the format and the bytes of the protocols, and nothing of the pipeline: no table, no policy, no verdict. What a switch should
// do stands in the vectors alone.
package vectors
