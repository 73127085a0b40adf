package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// errApproval means that a mass change lacks the approval of a second person.
var errApproval = errors.New("mass change without a second person")

// maxApprovals is the limit on the number of approvals that are stored. Approvals of older revisions are dropped.
const maxApprovals = 16

// An approval is a second person's approval of a mass change, as stored.
type approval struct {
	Digest string    `json:"digest"`
	Base   uint64    `json:"base"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// approvals returns the records of approvals, of which there is one with the name "current".
func (s *server) approvals() *store.Records[[]approval] {
	return store.JSON[[]approval](s.Store, "approval")
}

const approvalsName = "current"

// removals returns the removals of a change that make it a mass change.
func (s *server) removals(base, proposed *intent.Intent) []plan.Removal {
	if s.MassChange <= 0 {
		return nil
	}
	return plan.Removals(base, proposed, s.Now(), s.MassChange)
}

// checkMass returns an error if a change is a mass change that the caller has not confirmed, or that a second person has to approve first.
func (s *server) checkMass(ctx context.Context, base *intent.Intent, proposed *intent.Proposal, confirmed bool) error {
	removals := s.removals(base, proposed.Intent)
	if err := plan.CheckMass(removals, s.MassChange, confirmed); err != nil {
		return err
	}
	if len(removals) == 0 || s.Auth.Access == nil || !s.Auth.Access.Access().MassChange.SecondPerson {
		return nil
	}
	approved, err := s.approvedByOther(ctx, intent.Digest(proposed.Given, base.Number))
	if err != nil || approved {
		return err
	}
	return fmt.Errorf("%w: it removes %v, and the access file requires that another person than %s approves exactly these documents: op25b plan --out FILE, "+
		"then the other person runs op25b plan approve FILE", errApproval, removals[0], caller(ctx).Who)
}

// Approve approves a mass change, or documents that are not proved, that another person will apply.
func (s intentService) Approve(ctx context.Context, req *connect.Request[op25bv1.ApproveRequest]) (*connect.Response[op25bv1.ApproveResponse], error) {
	m := req.Msg
	if err := checkReason(m.Reason); err != nil {
		return nil, err
	}
	if hash, err := hex.DecodeString(m.Digest); err != nil || len(hash) != sha256.Size {
		return nil, fault("digest", fmt.Sprintf("%q is not a digest", m.Digest), "must be 64 hexadecimal digits; op25b plan approve computes them")
	}
	current, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if m.Base != current.Number {
		return nil, &store.StaleError{Base: m.Base, Current: current.Number}
	}
	id := caller(ctx)
	record := store.AuditRecord{
		Who: id.Who, Role: string(id.Role), Verb: "approve", Object: fmt.Sprintf("change of revision %d", m.Base), Reason: m.Reason,
		Detail: "documents " + m.Digest,
	}
	if err := s.approve(ctx, approval{strings.ToLower(m.Digest), m.Base, id.Who, s.Now()}, record); err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.ApproveResponse{}), nil
}

// approve stores an approval and its audit record.
func (s *server) approve(ctx context.Context, a approval, record store.AuditRecord) error {
	for {
		list, err := s.approvals().Get(ctx, approvalsName)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		kept := slices.DeleteFunc(slices.Clone(list.Value), func(x approval) bool { return x.Base != a.Base || x.Digest == a.Digest && x.By == a.By })
		kept = append(kept, a)
		kept = kept[max(0, len(kept)-maxApprovals):]
		err = s.approvals().PutRecorded(ctx, approvalsName, list.Version, kept, record)
		if conflict := (*store.ConflictError)(nil); !errors.As(err, &conflict) {
			return err
		}
	}
}

func removalMessages(list []plan.Removal) (all []*op25bv1.Removal) {
	for _, r := range list {
		all = append(all, &op25bv1.Removal{Switch: r.Switch, Table: r.Table, Removed: uint64(r.Removed), Of: uint64(r.Of)})
	}
	return all
}
