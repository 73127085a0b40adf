package fleet

import (
	"errors"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
)

// cause returns the reason why a switch must change, or ReasonDrift if the switch was left in the wanted state.
func (o *origins) cause(name string, want desired) Reason {
	switch {
	case o.waiting != nil:
		return causeOfPhase(o.waiting, name, want)
	case o.last == nil:
		return o.causeSincePrior(want)
	}
	switch is := *o.last; {
	case !is.SameDocuments(want.Intent), is.Phases.String() != want.Phases.String():
		return causeOfPhase(is.view, name, want)
	case !is.SameExemptions(is.At, want.At):
		return ReasonDate
	}
	return ReasonDrift
}

// causeOfPhase returns the reason why the wanted documents or phases differ from those of an earlier view. The reason is a date if the
// earlier view has the wanted phases at the time want.At.
func causeOfPhase(before *view, name string, want desired) Reason {
	if !before.For(name).SameDocuments(want.Intent) {
		return ofRevision(want, ReasonIntent)
	}
	if then, err := before.desired(name, want.At); err == nil && then.Phases.String() == want.Phases.String() {
		return ReasonDate
	}
	return ofRevision(want, ReasonPhase)
}

// causeSincePrior returns the reason why a switch must change if only its stored status is known.
func (o *origins) causeSincePrior(want desired) Reason {
	switch prior := o.prior; {
	case prior.Revision == 0 && o.replaced:
		return ReasonStoreReplaced
	case prior.Revision == 0:
		return ReasonWritten
	case prior.Revision != want.Number:
		return ofRevision(want, ReasonIntent)
	case prior.InForce != want.Phases.String() || !want.SameExemptions(prior.Audited, want.At):
		return ReasonDate
	}
	return ReasonDrift
}

// ofRevision returns ReasonRestored if the wanted revision restores an earlier one; otherwise it returns the given reason.
func ofRevision(want desired, otherwise Reason) Reason {
	if want.Restores != 0 {
		return ReasonRestored
	}
	return otherwise
}

// failureOf returns the reason of StateFailed for an error that converge returned.
func failureOf(err error) Reason {
	var write *p4rt.WriteError
	for _, r := range []struct {
		is     bool
		reason Reason
	}{
		{errors.Is(err, reconcile.ErrNoRoom), ReasonNoRoom},
		{errors.Is(err, p4rt.ErrPipelineRefused), ReasonPipelineRefused},
		{errors.Is(err, reconcile.ErrNotConverged), ReasonNotConverged},
		{errors.Is(err, errDeviates), ReasonDeviates},
		{errors.Is(err, errCompile), ReasonCompile},
		{errors.Is(err, pipeline.ErrInvalid), ReasonCompile},
		{errors.As(err, &write), ReasonWriteRefused},
	} {
		if r.is {
			return r.reason
		}
	}
	return ReasonReadFailed
}
