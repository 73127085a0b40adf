package telemetry

import "errors"

// Errors of a call or a session.
var (
	// ErrNoEncoding is returned for a target that offers none of PROTO, JSON_IETF and JSON.
	ErrNoEncoding = errors.New("no common encoding")
	// ErrNotSynced is returned by Once if the answer ends before its sync response, and may therefore be
	// incomplete.
	ErrNotSynced = errors.New("the answer ended before its sync response")
	// ErrSilent ends a session if samples are overdue.
	ErrSilent = errors.New("no samples")
	// ErrNoSync ends a session if values arrive without a sync response.
	ErrNoSync = errors.New("no sync response")
	// ErrTooMuch ends a session or a call of Once if a target reports more values than any switch can
	// have.
	ErrTooMuch = errors.New("too many interfaces, lines and ACL entries")
	// ErrMessage ends a session or a call of Once if the target sends a message that is not a
	// SubscribeResponse.
	ErrMessage = errors.New("invalid message")
)

// ErrConfig is returned by New for an invalid Config.
var ErrConfig = errors.New("invalid collector configuration")
