package p4source

import "errors"

var (
	// ErrAnnotation is returned by Find if an annotation does not parse, does not fit its counter, or occurs twice.
	ErrAnnotation = errors.New("bad annotation")
	// ErrConfig is returned by New for ports that cannot be served.
	ErrConfig = errors.New("bad configuration of the P4Runtime counter source")
	// ErrRead is returned by Snapshot if the switch's answer does not match the request.
	ErrRead = errors.New("unexpected answer to a counter read")
)
