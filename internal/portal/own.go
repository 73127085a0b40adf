package portal

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/zap"

	"op25b/internal/portal/visitor"
	op25bv1 "op25b/proto/op25b/v1"
)

// An ownState is what is known of the visitor's own line.
type ownState int

const (
	ownUnavailable ownState = iota // the controller does not answer, or the visitor's address is not known
	ownUnknown                     // no line has the visitor's address
	ownInvalid                     // the question is invalid, or no server has the name
	ownKnown
)

// askWithin is the limit on the time that a controller has to answer. A visitor waits for it.
const askWithin = 3 * time.Second

// askOwn asks the controller about the line from which the visitor comes. It sets the address of the request: that of the connection, or the one
// that a trusted proxy gave. Nothing that the visitor sends can name another one.
func (v *visit) askOwn(q *op25bv1.AskOwnLineRequest) (*op25bv1.AskOwnLineResponse, ownState) {
	if !v.address.IsValid() || v.site.cfg.AskOwnLine == nil {
		return nil, ownUnavailable
	}
	q.Address, q.Language = v.address.String(), v.Lang
	ctx, cancel := context.WithTimeout(v.ctx, askWithin)
	defer cancel()
	r, err := v.site.cfg.AskOwnLine(ctx, connect.NewRequest(q))
	switch {
	case isInvalid(err):
		v.site.cfg.Metrics.asked("known")
		return nil, ownInvalid
	case err != nil:
		v.site.cfg.Metrics.asked("failed")
		v.site.cfg.Logger.Warn("a question about a visitor's line was not answered", zap.Stringer("code", connect.CodeOf(err))) // the error may have the address
		return nil, ownUnavailable
	case !r.Msg.Known:
		v.site.cfg.Metrics.asked("unknown")
		return nil, ownUnknown
	}
	v.site.cfg.Metrics.asked("known")
	return r.Msg, ownKnown
}

// A refusedError refuses a request beyond the limits on look-ups.
type refusedError struct{ *visitor.Refusal }

// Error returns which limit refused the request.
func (e *refusedError) Error() string { return "beyond the limit on look-ups: " + e.Limit }

// lookup takes a look-up of the visitor's. It returns an error if there are too many.
func (v *visit) lookup() error {
	if x := v.site.lookups.Allow(v.address); x != nil {
		return &refusedError{x}
	}
	return nil
}
