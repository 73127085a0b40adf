package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/internal/abuse"
	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/check/mailbox"
	"op25b/internal/clock"
	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/lease"
	"op25b/internal/lease/ledger"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/publication"
	"op25b/internal/rollout"
	"op25b/internal/rollout/drive"
	"op25b/internal/rollout/rings"
	"op25b/internal/schedule"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/internal/subscriber/register"
	"op25b/internal/telemetry/history"
	op25bv1 "op25b/proto/op25b/v1"
)

// asConnectError adds a code and details to an error. It returns an error that already has a code unchanged.
func asConnectError(err error) error {
	var coded *connect.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return err
	}
	e := connect.NewError(codeOf(err), err)
	var faults strict.Faults
	var stale *store.StaleError
	switch {
	case errors.As(err, &faults):
		if more := len(faults) - maxFaults; more > 0 {
			e = connect.NewError(codeOf(err), fmt.Errorf("%w\nand %d more faults", faults[:maxFaults], more))
		}
		return withDetail(e, faultsOf(faults))
	case errors.As(err, &stale):
		return withDetail(e, &op25bv1.Stale{Base: stale.Base, Current: stale.Current})
	case errors.Is(err, desk.ErrDNS):
		return withDetail(e, &errdetails.ErrorInfo{Reason: "DNS", Domain: "op25b"})
	}
	return e
}

// meanings maps errors to codes. The first match applies.
var meanings = []struct {
	kind error
	code connect.Code
}{
	{store.ErrStale, connect.CodeAborted},
	{store.ErrNotFound, connect.CodeNotFound},
	{clock.ErrAbsent, connect.CodeNotFound},
	{store.ErrInvalid, connect.CodeInvalidArgument},
	{store.ErrUnchanged, connect.CodeFailedPrecondition},
	{store.ErrAbandoned, connect.CodeFailedPrecondition},
	{store.ErrFull, connect.CodeResourceExhausted},
	{store.ErrCorrupt, connect.CodeDataLoss},
	{store.ErrBroken, connect.CodeFailedPrecondition},
	{intent.ErrNone, connect.CodeFailedPrecondition},
	{intent.ErrBroken, connect.CodeFailedPrecondition},
	{intent.ErrNoPhase, connect.CodeFailedPrecondition},
	{intent.ErrActivation, connect.CodeFailedPrecondition},
	{intent.ErrExempt, connect.CodeAlreadyExists},
	{intent.ErrNotExempt, connect.CodeNotFound},
	{schedule.ErrTime, connect.CodeInvalidArgument},
	{schedule.ErrFull, connect.CodeResourceExhausted},
	{schedule.ErrUnknown, connect.CodeNotFound},
	{schedule.ErrEnded, connect.CodeFailedPrecondition},
	{plan.ErrRefused, connect.CodeFailedPrecondition},
	{plan.ErrMass, connect.CodeFailedPrecondition},
	{errApproval, connect.CodeFailedPrecondition},
	{policy.ErrNoPrevious, connect.CodeFailedPrecondition},
	{compile.ErrNoNumber, connect.CodeFailedPrecondition},
	{policy.ErrInvalid, connect.CodeInvalidArgument},
	{strict.ErrSyntax, connect.CodeInvalidArgument},
	{strict.ErrDecode, connect.CodeInvalidArgument},
	{strict.ErrDocuments, connect.CodeInvalidArgument},
	{compile.ErrUnknownSwitch, connect.CodeInvalidArgument},
	{policy.ErrUnknownPhase, connect.CodeInvalidArgument},
	{policy.ErrUnknownGroup, connect.CodeInvalidArgument},
	{plan.ErrRequest, connect.CodeInvalidArgument},
	{errTicket, connect.CodeInvalidArgument},
	{check.ErrQuestion, connect.CodeInvalidArgument},
	{check.ErrShared, connect.CodeInvalidArgument},
	{check.ErrFamily, connect.CodeInvalidArgument},
	{check.ErrUnknownLine, connect.CodeNotFound},
	{check.ErrResolve, connect.CodeNotFound},
	{desk.ErrDNS, connect.CodeFailedPrecondition},
	{check.ErrNoPhase, connect.CodeFailedPrecondition},
	{publication.ErrTooLarge, connect.CodeFailedPrecondition},
	{publication.ErrNoAddress, connect.CodeFailedPrecondition},
	{ledger.ErrNotReady, connect.CodeUnavailable},
	{ledger.ErrNoLine, connect.CodeNotFound},
	{ledger.ErrNoLease, connect.CodeNotFound},
	{ledger.ErrNoAddress, connect.CodeFailedPrecondition},
	{ledger.ErrExempt, connect.CodeFailedPrecondition},
	{ledger.ErrExemptAddress, connect.CodeFailedPrecondition},
	{ledger.ErrOfLine, connect.CodeFailedPrecondition},
	{ledger.ErrNoKey, connect.CodeFailedPrecondition},
	{policy.ErrNotCustomer, connect.CodeFailedPrecondition},
	{policy.ErrNoAddressLease, connect.CodeFailedPrecondition},
	{ledger.ErrNoClock, connect.CodeFailedPrecondition},
	{ledger.ErrBusy, connect.CodeUnavailable},
	{lease.ErrOther, connect.CodeFailedPrecondition},
	{lease.ErrFull, connect.CodeResourceExhausted},
	{lease.ErrRate, connect.CodeResourceExhausted},
	{drive.ErrRunning, connect.CodeFailedPrecondition},
	{drive.ErrNone, connect.CodeNotFound},
	{rollout.ErrState, connect.CodeFailedPrecondition},
	{rings.ErrInvalid, connect.CodeInvalidArgument},
	{register.ErrNotReady, connect.CodeUnavailable},
	{register.ErrFull, connect.CodeResourceExhausted},
	{abuse.ErrUnknownID, connect.CodeNotFound},
	{mailbox.ErrAddress, connect.CodeInvalidArgument},
	{history.ErrQuery, connect.CodeInvalidArgument},
	{history.ErrBound, connect.CodeResourceExhausted},
	{history.ErrPrometheus, connect.CodeUnavailable},
	{context.Canceled, connect.CodeCanceled},
	{store.ErrNoQuorum, connect.CodeUnavailable}, // must precede context.DeadlineExceeded, which ErrNoQuorum may wrap
	{store.ErrRestoring, connect.CodeUnavailable},
	{store.ErrReplaced, connect.CodeAborted},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded},
	{store.ErrClosed, connect.CodeUnavailable},
}

func codeOf(err error) connect.Code {
	for _, c := range meanings {
		if errors.Is(err, c.kind) {
			return c.code
		}
	}
	return connect.CodeInternal
}

func withDetail(e *connect.Error, m proto.Message) *connect.Error {
	if d, err := connect.NewErrorDetail(m); err == nil {
		e.AddDetail(d)
	}
	return e
}

// retryAfter adds to an error when the caller may try again.
func retryAfter(e *connect.Error, after time.Duration) *connect.Error {
	return withDetail(e, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
}

// maxFaults is the limit on the number of faults in the details of an error. More faults would not fit into
// the gRPC trailers.
const maxFaults = 20

func faultsOf(faults strict.Faults) *op25bv1.Faults {
	m := &op25bv1.Faults{}
	for _, f := range faults[:min(maxFaults, len(faults))] {
		m.Faults = append(m.Faults, &op25bv1.Fault{
			File: f.File, Line: uint32(f.Line), Column: uint32(f.Col), Path: f.Path, What: f.What, Way: f.Way,
		})
	}
	return m
}

// fault returns an error about a field of the request.
func fault(path, what, way string) error {
	return strict.Faults{{Path: path, What: what, Way: way, Kind: policy.ErrInvalid}}
}

// faults returns the faults of all errors of fault together, or the first error that is none.
func faults(all ...error) error {
	var joined strict.Faults
	for _, err := range all {
		var of strict.Faults
		switch {
		case errors.As(err, &of):
			joined = append(joined, of...)
		case err != nil:
			return err
		}
	}
	if joined == nil {
		return nil
	}
	return joined
}

// checkReason returns an error if the reason for a change is invalid.
func checkReason(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return fault("reason", "a change requires a reason", "give the reason, which the audit record keeps")
	case len(reason) > store.MaxReason:
		return fault("reason", fmt.Sprintf("the reason has %d bytes", len(reason)), fmt.Sprintf("must be at most %d", store.MaxReason))
	}
	return nil
}

// listLimit returns the number of items to list, or an error if the requested number is too large.
func listLimit(asked uint32) (int, error) {
	if asked > MaxList {
		return 0, fault("limit", fmt.Sprintf("%d is too large", asked), fmt.Sprintf("must be at most %d; 0 means %d", MaxList, DefaultList))
	}
	if asked == 0 {
		return DefaultList, nil
	}
	return int(asked), nil
}

func errUnknownService(name string) error {
	return connect.NewError(connect.CodeNotFound, fmt.Errorf("unknown service %q; known: %s", name, strings.Join(Services(), ", ")))
}
