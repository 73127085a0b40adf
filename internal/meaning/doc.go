// Package meaning describes how a change of a switch's state affects mail: which mail is stopped, which mail newly passes, and what else
// changes.
//
// The package compares two compiled states by the names of their documents, regardless of the numbers of the names. It is pure.
package meaning
