package p4source

import "errors"

var (
	// ErrAnnotation is returned by Find for an annotation that does not parse, does not fit its counter, or occurs twice.
	ErrAnnotation = errors.New("bad annotation")
	// ErrConfig is returned by New for ports that cannot be served.
	ErrConfig = errors.New("bad configuration of the P4Runtime counter source")
	// ErrRead is returned by Snapshot if the switch's answer is not what was asked for.
	ErrRead = errors.New("unexpected answer to a counter read")
)
