package api

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/auth"
	"op25b/internal/bring"
	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

type intentService struct{ *server }

var _ op25bv1connect.IntentServiceHandler = intentService{}

// Plan returns the changes that the documents in the request would make.
func (s intentService) Plan(ctx context.Context, req *connect.Request[op25bv1.PlanRequest]) (*connect.Response[op25bv1.PlanResponse], error) {
	m := req.Msg
	base, err := s.currentOrNone(ctx)
	if err != nil {
		return nil, err
	}
	if m.Base != 0 && m.Base != number(base) {
		return nil, &store.StaleError{Base: m.Base, Current: number(base)}
	}
	proposed := base
	var kept []string
	switch {
	case m.Restore != 0 && len(m.Files) > 0:
		return nil, fault("restore", "the request has a revision to restore and files", "give only one of them")
	case base == nil && m.Restore != 0:
		return nil, intent.ErrNone
	case m.Restore != 0:
		proposal, err := s.Book.ProposeRestore(ctx, m.Restore)
		switch {
		case err != nil:
			return nil, err
		case proposal.SameAs(base):
			return nil, fmt.Errorf("%w: revision %d has the same documents", store.ErrUnchanged, base.Number)
		}
		proposed = proposal.Intent
	case len(m.Files) > 0:
		proposal, err := s.propose(ctx, m.Files)
		if err != nil {
			return nil, err
		}
		if proposal.Base != number(base) { // another revision was stored between the two reads
			return nil, &store.StaleError{Base: number(base), Current: proposal.Base}
		}
		proposed, kept = proposal.Intent, keptNote(proposal)
	case base == nil:
		return nil, intent.ErrNone
	}
	made, err := s.plan(ctx, base, proposed, m.Switches, m.MaxEntries, m.Restore == 0)
	if err != nil {
		return nil, err
	}
	if m.Restore != 0 && proposed.Broken() == nil { // as Restore does, it does not wait long for the proof
		hasty, cancel := context.WithTimeoutCause(ctx, hastyProof, errHasty)
		defer cancel()
		if made.Proof = proofMessage(s.Deps.Plan.Prove(hasty, base, proposed, m.Switches)); !made.Proof.Proved {
			made.Notes = append(made.Notes, "A restoration is made even if it is not proved; its revision is then UNPROVED.")
		}
	}
	made.Notes, made.MassPercent = append(kept, made.Notes...), s.MassChange
	if base != nil {
		made.Unproved = base.Unproved
	}
	return connect.NewResponse(&op25bv1.PlanResponse{Plan: made}), nil
}

// keptNote returns the note that a proposal does not touch the exemptions, if there are any.
func keptNote(p *intent.Proposal) []string {
	n := len(p.Bundle.Policy.Exemptions)
	if !p.Kept || n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("no file has a document of kind %s, so the intent keeps its %s", policy.KindExemptions, prose.Count(n, "exemption"))}
}

// plan computes a plan. It uses the reported statuses of the switches.
func (s *server) plan(ctx context.Context, base, proposed *intent.Intent, switches []string, entries uint32, prove bool) (*op25bv1.Plan, error) {
	if entries > plan.MaxEntries {
		return nil, fault("max_entries", fmt.Sprintf("%d is too large", entries), fmt.Sprintf("must be at most %d; 0 means %d", plan.MaxEntries, plan.DefaultEntries))
	}
	if err := s.knownSwitches(proposed, switches); err != nil {
		return nil, err
	}
	statuses, err := s.Switches.List(ctx)
	if err != nil {
		return nil, err
	}
	applied, noClock := make(map[string]bring.Applied, len(statuses)), make(map[string]string)
	for _, st := range statuses {
		a := bring.Applied{Revision: st.Revision, Attempted: st.Attempted, Wanted: st.Wanted}
		if st.Audited != nil {
			a.Audited = st.Audited.AsTime()
		}
		applied[st.Switch] = a
		if st.NoClock != "" {
			noClock[st.Switch] = st.NoClock
		}
	}
	made, err := s.Deps.Plan.Make(ctx, plan.Request{
		Base: base, Proposed: proposed, Switches: switches, Entries: int(entries), Applied: applied, NoClock: noClock, Mass: s.MassChange, Prove: prove,
	})
	if err != nil {
		return nil, err
	}
	m := planMessage(made)
	m.Held = heldAmong(statuses, func(name string) bool {
		return slices.ContainsFunc(made.Switches, func(sw *plan.SwitchPlan) bool { return sw.Switch == name })
	})
	return m, nil
}

// heldAmong returns the selected switches that are held.
func heldAmong(statuses []*op25bv1.SwitchStatus, selected func(name string) bool) (all []*op25bv1.HeldSwitch) {
	for _, st := range statuses {
		if st.Hold != nil && selected(st.Switch) {
			all = append(all, &op25bv1.HeldSwitch{Switch: st.Switch, Hold: st.Hold})
		}
	}
	return all
}

// knownSwitches returns strict.Faults if a switch is not in the inventory.
func (s *server) knownSwitches(in *intent.Intent, switches []string) error {
	if len(switches) == 0 {
		return nil
	}
	return in.Bundle.CheckActivation(policy.Activation{Phase: in.Bundle.Policy.Phases[0].Name, Switches: switches, At: s.Now()})
}

// propose validates the files in a request.
func (s *server) propose(ctx context.Context, files []*op25bv1.File) (*intent.Proposal, error) {
	docs, err := filesOf(files, s.MaxFiles)
	if err != nil {
		return nil, err
	}
	return s.Book.Propose(ctx, docs)
}

// filesOf converts the files in a request. It returns an error if there are more than MaxFileCount files or more than most bytes, or if a
// name is invalid or occurs twice.
func filesOf(files []*op25bv1.File, most int64) ([]strict.File, error) {
	if len(files) > MaxFileCount {
		return nil, fault("files", fmt.Sprintf("the request has %d files", len(files)), fmt.Sprintf("must be at most %d", MaxFileCount))
	}
	docs := make([]strict.File, len(files))
	names := make(map[string]int, len(files))
	size := int64(0)
	for i, f := range files {
		path := fmt.Sprintf("files[%d].name", i)
		if !fs.ValidPath(f.GetName()) || f.GetName() == "." || len(f.GetName()) > store.MaxPath-len("files/") {
			return nil, fault(path, fmt.Sprintf("%q is not a file name", f.GetName()),
				"must be a relative path with slashes, without dots and empty parts, such as policy.yaml")
		}
		if first, twice := names[f.Name]; twice {
			return nil, fault(path, fmt.Sprintf("%q is also the name of files[%d]", f.Name, first), "file names must differ")
		}
		names[f.Name] = i
		docs[i] = strict.File{Name: f.Name, Data: f.Data}
		if size += int64(len(f.Data)); size > most {
			return nil, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("the files have more than %.4g MiB together, which is the limit", float64(most)/(1<<20)))
		}
	}
	return docs, nil
}

// Apply stores the documents of a request or a saved plan.
func (s intentService) Apply(ctx context.Context, req *connect.Request[op25bv1.ApplyRequest], out *connect.ServerStream[op25bv1.Progress]) error {
	m := req.Msg
	if err := checkReason(m.Reason); err != nil {
		return err
	}
	files, base := m.Files, m.Base
	switch {
	case m.Plan != nil && (len(m.Files) > 0 || m.Base != 0):
		return fault("plan", "the request has a plan, and files or a base", "give only the plan, which contains both")
	case m.Plan != nil:
		files, base = m.Plan.Files, m.Plan.Base
	}
	if len(files) == 0 {
		return fault("files", "the request has no files", "give the documents of policy and inventory, or a saved plan")
	}
	in, err := s.once(ctx, m.RequestId, base, func() (*intent.Intent, error) {
		if err := s.noRollout(ctx); err != nil {
			return nil, err
		}
		proposal, err := s.propose(ctx, files)
		if err != nil {
			return nil, err
		}
		if proposal.Base != base {
			return nil, &store.StaleError{Base: base, Current: proposal.Base}
		}
		was, err := s.currentOrNone(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.checkMass(ctx, was, proposal, m.MassChange); err != nil {
			return nil, err
		}
		if err := s.Deps.Plan.Fits(ctx, proposal.Intent); err != nil {
			return nil, err
		}
		by := by(ctx, m, plan.Detail(was, proposal.Intent, store.MaxDetail))
		if by.Unproved, err = s.provedOr(ctx, was, proposal, m.Unproved); err != nil { // I16
			return nil, err
		}
		return s.Book.Put(ctx, proposal, by)
	})
	if err != nil {
		return err
	}
	return s.follow(ctx, in, m.NoWait, out.Send)
}

// A reasoned is a request for a change that has a reason and a request id.
type reasoned interface {
	GetReason() string
	GetRequestId() string
}

// by returns the author and the reason of a change.
func by(ctx context.Context, m reasoned, detail string) intent.By {
	id := caller(ctx)
	return intent.By{Who: id.Who, Role: string(id.Role), Reason: m.GetReason(), Detail: detail, Request: m.GetRequestId()}
}

// Current returns the current revision.
func (s intentService) Current(ctx context.Context, _ *connect.Request[op25bv1.CurrentRequest]) (*connect.Response[op25bv1.CurrentResponse], error) {
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.CurrentResponse{Revision: revisionOf(in)}), nil
}

// History lists revisions.
func (s intentService) History(ctx context.Context, req *connect.Request[op25bv1.HistoryRequest]) (*connect.Response[op25bv1.HistoryResponse], error) {
	limit, err := listLimit(req.Msg.Limit)
	if err != nil {
		return nil, err
	}
	revisions, err := s.Book.History(ctx, req.Msg.Before, limit)
	if err != nil {
		return nil, err
	}
	dated, err := s.Book.AllDated(ctx)
	if err != nil {
		return nil, err
	}
	in, err := s.currentOrNone(ctx)
	if err != nil {
		return nil, err
	}
	answer := historyOf(revisions, dated)
	answer.UtcOffset = offsetOf(in)
	return connect.NewResponse(answer), nil
}

// Show returns a revision with its documents.
func (s intentService) Show(ctx context.Context, req *connect.Request[op25bv1.ShowRequest]) (*connect.Response[op25bv1.ShowResponse], error) {
	in, err := s.at(ctx, req.Msg.Revision)
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.ShowResponse{Revision: revisionOf(in)}
	var files []strict.File
	if !req.Msg.OmitFiles {
		files = in.Documents()
	}
	for _, f := range files {
		answer.Files = append(answer.Files, &op25bv1.File{Name: f.Name, Data: f.Data})
	}
	for _, a := range in.Activations {
		answer.Activations = append(answer.Activations, activationOf(a))
	}
	return connect.NewResponse(answer), nil
}

func activationOf(a policy.Activation) *op25bv1.Activation {
	return &op25bv1.Activation{
		Phase: a.Phase, Groups: a.Groups, Switches: a.Switches, Time: timestamppb.New(a.At), Author: a.Author, Reason: a.Reason,
		Revision: a.ID, Undoes: a.Undoes, UntilNextDate: a.UntilNextDate,
	}
}

// Diff compares two revisions.
func (s intentService) Diff(ctx context.Context, req *connect.Request[op25bv1.DiffRequest]) (*connect.Response[op25bv1.DiffResponse], error) {
	diffs, err := s.Book.Diff(ctx, req.Msg.From, req.Msg.To)
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.DiffResponse{}
	for _, d := range diffs {
		text, cut := plan.Cut(d.Unified, plan.MaxDiff)
		answer.Documents = append(answer.Documents, &op25bv1.DocumentDiff{Path: d.Path, Added: d.Added, Removed: d.Removed, Unified: text, Truncated: cut})
	}
	return connect.NewResponse(answer), nil
}

// Restore stores an earlier revision as the next revision.
func (s intentService) Restore(ctx context.Context, req *connect.Request[op25bv1.RestoreRequest], out *connect.ServerStream[op25bv1.Progress]) error {
	m := req.Msg
	if err := checkReason(m.Reason); err != nil {
		return err
	}
	if m.Revision == 0 {
		return fault("revision", "no revision", "give the number of an earlier revision; IntentService.History lists them")
	}
	in, err := s.once(ctx, m.RequestId, m.Base, func() (*intent.Intent, error) {
		if err := s.noRollout(ctx); err != nil {
			return nil, err
		}
		was, err := s.current(ctx)
		if err != nil {
			return nil, err
		}
		if m.Base != was.Number {
			return nil, &store.StaleError{Base: m.Base, Current: was.Number}
		}
		if err := mayRestore(caller(ctx), m.Revision, was.Number); err != nil {
			return nil, err
		}
		old, err := s.at(ctx, m.Revision)
		if err != nil {
			return nil, err
		}
		by := by(ctx, m, plan.Detail(was, old, store.MaxDetail))
		if old.Broken() == nil { // otherwise nothing can be compiled, and the switches keep their documents
			if by.Unproved, err = s.unlessProved(ctx, was, old); err != nil { // a way back is not refused (I13)
				return nil, err
			}
		}
		return s.Book.Restore(ctx, m.Revision, m.Base, by)
	})
	if err != nil {
		return err
	}
	return s.follow(ctx, in, m.NoWait, out.Send)
}

// mayRestore returns an error if the caller may not restore a revision. An operator may restore only the revision before the newest, which
// undoes the newest revision. Older revisions require the role admin.
func mayRestore(id auth.Caller, revision, newest uint64) error {
	if id.Role.May(auth.Admin) || revision+1 == newest {
		return nil
	}
	err := fmt.Errorf("%s has the role %s and may restore only revision %d, the one before the newest; revision %d requires %s",
		id.Who, id.Role, newest-1, revision, auth.Admin)
	if newest < 2 {
		err = fmt.Errorf("%s has the role %s, and there is no revision before the newest; revision %d requires %s", id.Who, id.Role, revision, auth.Admin)
	}
	return refused(connect.CodePermissionDenied, err, id, auth.Admin)
}

// number returns the revision number of an intent, or 0 if in is nil.
func number(in *intent.Intent) uint64 {
	if in == nil {
		return 0
	}
	return in.Number
}

func revisionOf(in *intent.Intent) *op25bv1.Revision {
	r := storedRevision(in.Revision)
	r.Policy = in.Bundle.Policy.Name
	return r
}

func storedRevision(r store.Revision) *op25bv1.Revision {
	return &op25bv1.Revision{
		Number: r.Number, Author: r.Author, Reason: strings.ToValidUTF8(r.Reason, "\uFFFD"), Time: timestamppb.New(r.Time),
		Documents: uint32(r.Documents), Bytes: uint64(r.Bytes), Id: r.ID, RequestId: r.Request, Unproved: r.Unproved,
	}
}
