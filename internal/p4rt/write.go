package p4rt

import (
	"context"
	"errors"
	"fmt"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/pipeline"
)

// Write applies the updates in batches, one after the other. It returns nil only if the switch has confirmed every
// update. The switch may apply the updates of a batch in any order (section 12.1), so updates that depend on each
// other must be written by separate calls.
//
// If an update is nil, Write sends nothing and returns ErrUpdate. Any other error is a *WriteError, which accounts
// for every update. If the switch refuses an update, the other updates are still applied (CONTINUE_ON_ERROR). Write
// stops between two batches if ctx has ended or the session is no longer primary. It also stops after a batch whose
// outcome is unclear. No update is sent twice. If ctx ends during a batch, the switch has the time CancelGrace to
// answer the batch.
func (s *Session) Write(ctx context.Context, updates []*p4v1.Update) error {
	for i, u := range updates {
		if u == nil {
			return s.fail(opWrite, ErrUpdate, fmt.Errorf("update %d of %d is nil", i, len(updates)))
		}
	}
	return s.write(ctx, messages(updates))
}

// WriteEntries is like Write, but for entries of the pipeline.
func (s *Session) WriteEntries(ctx context.Context, updates []pipeline.Update) error {
	return s.write(ctx, entries(updates))
}

func (s *Session) write(ctx context.Context, all updates) error {
	tally := &WriteError{Addr: s.cfg.Addr, DeviceID: s.cfg.DeviceID, Total: all.len()}
	next, stop := s.batches(all)
	defer stop()
	for b, more := next(); more; b, more = next() {
		if err := s.mayWrite(ctx); err != nil {
			tally.NotSent, tally.Err = Span{b.from, all.len()}, err
			return tally
		}
		out := s.writeBatch(ctx, &b)
		tally.Applied += out.applied
		tally.Failed = append(tally.Failed, out.failed...)
		if out.stop != nil {
			tally.Err = out.stop
			tally.Unclear, tally.NotSent = Span{b.from, b.to}, Span{b.to, all.len()}
			if out.refused {
				tally.Unclear, tally.NotSent = Span{b.from, b.from}, Span{b.from, all.len()}
			}
			return tally
		}
	}
	if len(tally.Failed) > 0 {
		return tally
	}
	return nil
}

const opWrite = "write"

// writeBatch sends one batch and returns its outcome. It records both.
func (s *Session) writeBatch(ctx context.Context, b *batch) outcome {
	if b.err != nil {
		return outcome{stop: because{ErrUpdate, b.err}, refused: true}
	}
	request := s.record.write(b)
	out := s.judge(s.writeRequest(ctx, b.request), b)
	if s.record.r != nil {
		request.answered(out.answer(b.from))
	}
	return out
}

func (s *Session) writeRequest(ctx context.Context, request encodedRequest) error {
	callCtx, cancel := graceful(ctx, s.cfg.CallTimeout, s.cfg.CancelGrace)
	defer cancel()
	err := s.conn.Invoke(callCtx, p4v1.P4Runtime_Write_FullMethodName, request, new(p4v1.WriteResponse), asEncoded)
	if callCtx.Err() != nil && err != nil || status.Code(err) == codes.Canceled {
		return s.classify(callCtx, err)
	}
	return err
}

// An outcome is the known result of one batch.
type outcome struct {
	applied int
	failed  []UpdateError
	stop    error // reason why no further batch may be sent; applied and failed are then empty
	refused bool  // whether the switch refused the batch as a whole, before its first update; only set together with stop
}

// judge interprets the answer to a batch. If updates failed, the switch answers with UNKNOWN and one p4.v1.Error for
// each update, including updates that were applied (section 12.3). After any other error, the outcome of the batch is
// unclear. There are two exceptions, which the specification places before the first update: the session is not
// primary, or the switch has no pipeline.
func (s *Session) judge(err error, b *batch) outcome {
	if err == nil {
		return outcome{applied: b.len()}
	}
	st, ok := status.FromError(err)
	if !ok || len(st.Proto().GetDetails()) == 0 {
		switch status.Code(err) {
		case codes.PermissionDenied:
			return outcome{stop: s.fence(err), refused: true}
		case codes.FailedPrecondition:
			return outcome{stop: because{ErrNoPipeline, err}, refused: true}
		}
		return outcome{stop: unclear(err)}
	}
	details, err := updateErrors(st)
	if err == nil && len(details) != b.len() {
		err = fmt.Errorf("%d errors in the answer to %d updates", len(details), b.len())
	}
	if err != nil {
		return outcome{stop: unclear(because{err, st.Err()})}
	}
	var out outcome
	for i, d := range details {
		if codes.Code(d.GetCanonicalCode()) == codes.OK {
			out.applied++
			continue
		}
		out.failed = append(out.failed, UpdateError{
			Index: b.from + i, Update: b.updates.message(b.from + i), Code: canonical(d.GetCanonicalCode()),
			Message: d.GetMessage(), Space: d.GetSpace(), SpaceCode: d.GetCode(),
		})
	}
	if len(out.failed) == 0 {
		return outcome{stop: unclear(because{errors.New("an error with no failed update in it"), st.Err()})}
	}
	return out
}

func unclear(err error) error {
	if kind := transportKind(status.Code(err)); kind != nil {
		return because{ErrUnclear, because{kind, err}}
	}
	return because{ErrUnclear, err}
}

// updateErrors decodes the details of a status. It returns an error if a detail is not a p4.v1.Error.
func updateErrors(st *status.Status) ([]*p4v1.Error, error) {
	details := make([]*p4v1.Error, 0, len(st.Proto().GetDetails()))
	for i, packed := range st.Proto().GetDetails() {
		d := new(p4v1.Error)
		if err := packed.UnmarshalTo(d); err != nil {
			return nil, fmt.Errorf("detail %d of the answer is no p4.v1.Error: %w", i, err)
		}
		details = append(details, d)
	}
	return details, nil
}

// canonical returns the code if gRPC defines it; otherwise it returns Unknown.
func canonical(code int32) codes.Code {
	if code < 0 || code > int32(codes.Unauthenticated) {
		return codes.Unknown
	}
	return codes.Code(code)
}

// graceful returns a context with the values of ctx. It ends after timeout, or the time grace after ctx ends,
// whichever comes first. So a request that changes the switch is not abandoned shortly before its outcome is known.
func graceful(ctx context.Context, timeout, grace time.Duration) (context.Context, context.CancelFunc) {
	callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	callCtx, end := context.WithCancelCause(callCtx)
	late := make(chan *time.Timer, 1)
	release := context.AfterFunc(ctx, func() {
		late <- time.AfterFunc(grace, func() { end(context.Cause(ctx)) })
	})
	return callCtx, func() {
		if !release() {
			(<-late).Stop()
		}
		end(context.Canceled)
		cancel()
	}
}
