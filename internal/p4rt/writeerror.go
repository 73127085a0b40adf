package p4rt

import (
	"fmt"
	"slices"
	"strings"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
)

// A Span is the half-open range [From, To) of indexes into the list given to Write.
type Span struct{ From, To int }

// Len returns the number of indexes in the span.
func (s Span) Len() int { return s.To - s.From }

// An UpdateError reports that the switch refused one update.
type UpdateError struct {
	Index     int          // index in the list given to Write
	Update    *p4v1.Update // the refused update
	Code      codes.Code   // the canonical code, never OK; for a full table, bmv2 reports Unknown instead of ResourceExhausted
	Message   string       // human-readable message; may be empty
	Space     string       // namespace of SpaceCode, such as "targetX-psa-vendorY"; may be empty
	SpaceCode int32        // the switch's own code; 0 if there is none
}

// Error returns text such as `update 12 (INSERT table_entry): AlreadyExists: match entry exists`.
func (e UpdateError) Error() string {
	text := fmt.Sprintf("update %d (%v %s): %v", e.Index, e.Update.GetType(), EntityKind(e.Update.GetEntity()), e.Code)
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Space != "" {
		text += fmt.Sprintf(" (%s %d)", e.Space, e.SpaceCode)
	}
	return text
}

// A WriteError accounts for every update of a Write that did not fully succeed. Total is the sum of Applied and of
// the numbers of updates in Failed, Unclear and NotSent.
type WriteError struct {
	Addr     string
	DeviceID uint64

	Total   int
	Applied int           // number of updates that the switch confirmed
	Failed  []UpdateError // updates that the switch refused individually, in ascending order of Index
	Unclear Span          // updates that were sent but not answered individually; a read shows which of them were applied
	NotSent Span          // updates that were not applied, because they were never sent or were refused as a whole before the first update
	Err     error         // reason why Write stopped early; nil if every update was answered
}

// Answered reports whether the switch has answered every update. If so, all updates except those in Failed were
// applied.
func (e *WriteError) Answered() bool { return e.Err == nil }

// Only reports whether every update was answered and every refused update has one of the allowed codes, such as
// NotFound after deletions.
func (e *WriteError) Only(allowed ...codes.Code) bool {
	return e.Answered() && !slices.ContainsFunc(e.Failed, func(u UpdateError) bool {
		return !slices.Contains(allowed, u.Code)
	})
}

// Error returns a message with the number of updates for each outcome, and the first refused update.
func (e *WriteError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s device %d: write: %d of %d updates applied", e.Addr, e.DeviceID, e.Applied, e.Total)
	for _, part := range []struct {
		n    int
		what string
	}{{len(e.Failed), "refused"}, {e.Unclear.Len(), "unclear"}, {e.NotSent.Len(), "not applied"}} {
		if part.n > 0 {
			fmt.Fprintf(&text, ", %d %s", part.n, part.what)
		}
	}
	if e.Err != nil {
		fmt.Fprintf(&text, ": %v", e.Err)
	}
	if len(e.Failed) > 0 {
		fmt.Fprintf(&text, "; first refused: %v", e.Failed[0])
	}
	return text.String()
}

// Unwrap returns Err.
func (e *WriteError) Unwrap() error { return e.Err }
