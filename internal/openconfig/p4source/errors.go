package p4source

import "errors"

var (
	// ErrNoACLCounter is returned by FindACLCounter for a P4Info in which no counter has the annotation: the program does not count by
	// rule, so no ACL is served.
	ErrNoACLCounter = errors.New("no counter with the annotation @openconfig_acl")
	// ErrAnnotation is returned by FindACLCounter for an annotation that does not parse, does not fit its counter, or occurs twice.
	ErrAnnotation = errors.New("bad @openconfig_acl")
	// ErrConfig is returned by New for ports that cannot be served.
	ErrConfig = errors.New("bad configuration of the P4Runtime counter source")
	// ErrRead is returned by Snapshot if the switch's answer is not the requested counter cells.
	ErrRead = errors.New("unexpected answer to a counter read")
)
