package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/zap"

	"op25b/internal/auth"
	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/prove"
	"op25b/internal/store"
)

// hastyProof is the longest time of the proof of a change that is made even if it is not proved. The proof of a change of phase takes less than a second.
const hastyProof = 10 * time.Second

// errHasty is the reason why such a proof ends.
var errHasty = fmt.Errorf("it was not finished within %v, and the change does not wait for it any longer", hastyProof)

// maxUnproved is the largest size, in bytes, of the reason why a revision is unproved.
const maxUnproved = 2 << 10

// proved returns an error unless a change is proved on the twin (I16). A proof tries what a change touches. If was is unproved, everything is tried,
// because only then everything is proved.
func (s *server) proved(ctx context.Context, was, next *intent.Intent) error {
	ctx, cancel := plan.WithProofTime(ctx)
	defer cancel()
	if err := s.Deps.Plan.Proved(ctx, was, next); err != nil || was == nil || was.Unproved == "" {
		return err
	}
	return s.Deps.Plan.Proved(ctx, nil, next)
}

// unlessProved proves a change that is made even if it is not proved. It returns the reason why it is not, or an empty string.
func (s *server) unlessProved(ctx context.Context, was, next *intent.Intent) (why string, err error) {
	hasty, cancel := context.WithTimeoutCause(ctx, hastyProof, errHasty)
	defer cancel()
	err = s.proved(hasty, was, next)
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case !errors.Is(err, prove.ErrDisproved) && !errors.Is(err, prove.ErrUnproved):
		return "", err
	}
	why, _ = plan.Cut(strings.TrimPrefix(err.Error(), plan.ErrRefused.Error()+": "), maxUnproved)
	s.Logger.Warn("a change is stored although it is not proved on the twin", zap.String("by", caller(ctx).Who), zap.String("why", why))
	return why, nil
}

// errUnproved means that a caller may not make a change that is not proved.
var errUnproved = errors.New("a change that is not proved")

// mayUnproved returns an error unless the caller may make a change even if it is not proved.
func mayUnproved(ctx context.Context) error {
	if id := caller(ctx); !id.Role.May(auth.Admin) {
		return refused(connect.CodePermissionDenied, fmt.Errorf("%w: %s has the role %s; only %s may store it", errUnproved, id.Who, id.Role, auth.Admin), id, auth.Admin)
	}
	return nil
}

// provedOr proves the documents of an Apply. If the caller has asked for it and may do it, the change is made although it is not proved, and provedOr
// returns why. If the access file requires it, a second person must have approved the documents.
func (s *server) provedOr(ctx context.Context, was *intent.Intent, proposal *intent.Proposal, asked bool) (why string, err error) {
	if !asked {
		return "", s.proved(ctx, was, proposal.Intent)
	}
	if err := mayUnproved(ctx); err != nil {
		return "", err
	}
	if s.Auth.Access != nil && s.Auth.Access.Access().Unproved.SecondPerson {
		digest := intent.Digest(proposal.Given, number(was))
		switch approved, err := s.approvedByOther(ctx, digest); {
		case err != nil:
			return "", err
		case !approved:
			return "", fmt.Errorf("%w: the access file requires that another person than %s approves exactly these documents before they are stored unproved: "+
				"op25b plan --out FILE, then the other person runs op25b plan approve FILE", errApproval, caller(ctx).Who)
		}
	}
	return s.unlessProved(ctx, was, proposal.Intent)
}

// provedPhase proves an activation or a rollback. A way back is made even if it is not proved (I13): provedPhase then returns why. So is another change of
// phase if the caller has asked for it and may do it.
func (s *server) provedPhase(ctx context.Context, was *intent.Intent, a policy.Activation, asked bool) (why string, err error) {
	a.ID, a.At = was.Number+1, s.dates()
	if was.Broken() != nil {
		return "", nil // nothing can be compiled: the switches keep their documents, of which the phases were proved
	}
	if err := was.Bundle.CheckActivation(a); err != nil {
		return "", err
	}
	next := was.Activated(a)
	switch {
	case asked:
		if err := mayUnproved(ctx); err != nil {
			return "", err
		}
		return s.unlessProved(ctx, was, next)
	case a.Undoes != 0 || goesBack(was, next, a.At):
		return s.unlessProved(ctx, was, next)
	}
	return "", s.proved(ctx, was, next)
}

// goesBack reports whether a change of phase leads each line whose phase it changes to a phase that is earlier in the policy.
func goesBack(was, next *intent.Intent, now time.Time) bool {
	at := func(phase string) int {
		return slices.IndexFunc(was.Bundle.Policy.Phases, func(x policy.Phase) bool { return x.Name == phase })
	}
	back := false
	for i := range was.Bundle.Inventory.Switches {
		name := was.Bundle.Inventory.Switches[i].Name
		before, err := was.InForce(name, now)
		if err != nil {
			return false // no phase has begun
		}
		after, err := next.InForce(name, now)
		if err != nil {
			return false
		}
		pairs := [][2]string{{before.Default, after.Default}}
		for _, g := range was.Bundle.Policy.LineGroups {
			pairs = append(pairs, [2]string{before.Phase(g.Name), after.Phase(g.Name)})
		}
		for _, p := range pairs {
			from, to := at(p[0]), at(p[1])
			if to > from {
				return false
			}
			back = back || to < from
		}
	}
	return back
}

// approvedByOther reports whether another person than the caller has approved the documents with a digest.
func (s *server) approvedByOther(ctx context.Context, digest string) (bool, error) {
	list, err := s.approvals().Get(ctx, approvalsName)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	who := caller(ctx).Who
	return slices.ContainsFunc(list.Value, func(a approval) bool { return a.Digest == digest && a.By != who }), nil
}

// unprovedNotices returns a notice if the current revision is unproved.
func (s *server) unprovedNotices(ctx context.Context) []string {
	in, err := s.currentOrNone(ctx)
	if err != nil || in == nil || in.Unproved == "" {
		return nil
	}
	why, _, _ := strings.Cut(in.Unproved, "\n")
	return []string{fmt.Sprintf("revision %d is UNPROVED: %s; apply its documents, or others, to prove them", in.Number, why)}
}
