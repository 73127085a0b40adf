// Package meaning describes for operators how a change of a switch's state affects mail: which mail is stopped, which mail newly
// passes, and what else changes.
//
// The package compares two compiled states by name, so the states may use different numbers. The package is pure: it does no I/O, reads
// no clock and logs nothing.
package meaning
