package p4source

import "errors"

var (
	// ErrNoACLCounter is returned by FindACLCounter for a P4Info in which no counter carries the annotation: the program
	// counts by rule nowhere, and there is no ACL to serve.
	ErrNoACLCounter = errors.New("no counter with the annotation @openconfig_acl")
	// ErrAnnotation is returned by FindACLCounter for an annotation that does not parse, or that does not fit its counter.
	ErrAnnotation = errors.New("bad @openconfig_acl")
	// ErrConfig is returned by New for ports that cannot be served.
	ErrConfig = errors.New("bad configuration of the P4Runtime counter source")
	// ErrRead is returned by Snapshot for an answer of the switch that is not the counter cells that were asked for.
	ErrRead = errors.New("unexpected answer to a counter read")
)
