// Package strict reads YAML documents strictly, into Go structs whose yaml tags name the keys.
//
// Every key is known and given once, and every value has its type. Anchors, aliases, merge keys and tags are refused, because a reader does
// not see their meaning in place. A Fault names the file, line, column and value, and says what would be valid. All faults of a document
// are reported together.
//
// The package does not know what a document means: it decodes types that implement Scalar or Number, and a Collector collects the faults
// that the caller finds.
package strict
