// Package strict decodes YAML documents strictly into Go structs whose yaml tags name the keys.
//
// A document may have only known keys, each at most once, and only values of the right type. Anchors, aliases, merge keys and tags are
// refused, because a reader cannot see their meaning in place. A Fault names the file, line, column and value, and states what would be
// valid. All faults of a document are reported together.
//
// The package does not depend on the meaning of the documents. It decodes types that implement Scalar or Number, and its Collector also
// collects the faults that the caller finds.
package strict
