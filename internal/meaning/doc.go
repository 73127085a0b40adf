// Package meaning says what a change of a switch's state means for mail: what stops, what opens, and what else is different.
//
// It compares two compiled states by the names of their documents, whatever numbers the names have. It is pure.
package meaning
