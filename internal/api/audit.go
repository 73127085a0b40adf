package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

type auditService struct{ *server }

var _ op25bv1connect.AuditServiceHandler = auditService{}

// ListRecords lists audit records.
func (s auditService) ListRecords(ctx context.Context, req *connect.Request[op25bv1.ListRecordsRequest]) (*connect.Response[op25bv1.ListRecordsResponse], error) {
	limit, err := listLimit(req.Msg.Limit)
	if err != nil {
		return nil, err
	}
	if err := checkRecordsRequest(req.Msg); err != nil {
		return nil, err
	}
	head, err := s.Store.Audit().Head(ctx)
	if err != nil {
		return nil, err
	}
	checkpoint, err := s.Store.Audit().Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	in, _ := s.currentOrNone(ctx) // the audit chain can be read even if the intent cannot be read
	answer := &op25bv1.ListRecordsResponse{Head: headOf(head), Checkpoint: checkpointOf(checkpoint), UtcOffset: offsetOf(in)}
	search := recordSearch{who: strings.ToLower(req.Msg.Who), verb: strings.ToLower(req.Msg.Verb), sw: req.Msg.Switch, before: req.Msg.Before}
	if search.since, err = sinceOf(req.Msg, in); err != nil {
		return nil, err
	}
	var records []store.AuditRecord
	if req.Msg.From > 0 {
		records, err = s.Store.Audit().Records(ctx, req.Msg.From, limit)
	} else {
		records, answer.Before, err = s.newestRecords(ctx, search, head.Seq, checkpoint.Seq, limit, maxSearched)
	}
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		answer.Records = append(answer.Records, recordOf(r))
	}
	return connect.NewResponse(answer), nil
}

// Limits of a search in the audit chain.
const (
	maxSearched  = 10_000 // records that a call searches
	searchAtOnce = 256    // records that are read together
	maxFilter    = 128    // bytes of a filter
)

func checkRecordsRequest(q *op25bv1.ListRecordsRequest) error {
	if q.From > 0 && (q.Before > 0 || q.Who != "" || q.Verb != "" || q.Switch != "" || q.Since != nil || q.LocalSince != "") {
		return fault("from", "from is given together with before or a filter", "give from alone, or omit it")
	}
	for _, f := range []struct{ field, text string }{{"who", q.Who}, {"verb", q.Verb}, {"switch", q.Switch}, {"local_since", q.LocalSince}} {
		if len(f.text) > maxFilter {
			return fault(f.field, fmt.Sprintf("the text has %d bytes", len(f.text)), fmt.Sprintf("must be at most %d", maxFilter))
		}
	}
	return nil
}

// sinceOf returns the time from which on records are listed; zero means all.
func sinceOf(q *op25bv1.ListRecordsRequest, in *intent.Intent) (time.Time, error) {
	switch {
	case q.Since != nil && q.LocalSince != "":
		return time.Time{}, fault("since", "since and local_since are both given", "give only one of them")
	case q.Since != nil:
		if err := q.Since.CheckValid(); err != nil {
			return time.Time{}, fault("since", "not a time: "+err.Error(), "give a time, or omit it")
		}
		return q.Since.AsTime(), nil
	case q.LocalSince != "":
		offset := policy.Offset(0)
		if in != nil {
			offset = in.Bundle.Policy.UTCOffset
		}
		at, err := localTime(q.LocalSince, offset)
		if err != nil {
			return time.Time{}, fault("local_since", fmt.Sprintf("%q is not a time", q.LocalSince), "must be a day or a time, such as 2006-07-01 or 2006-07-01 12:00")
		}
		return at, nil
	}
	return time.Time{}, nil
}

// A recordSearch selects audit records. Empty fields select all.
type recordSearch struct {
	who, verb string // in lower case
	sw        string
	since     time.Time
	before    uint64
}

// all reports whether every record is selected.
func (q recordSearch) all() bool {
	return q.who == "" && q.verb == "" && q.sw == "" && q.since.IsZero()
}

func (q recordSearch) selects(r store.AuditRecord) bool {
	return strings.Contains(strings.ToLower(r.Who), q.who) && strings.Contains(strings.ToLower(r.Verb), q.verb) && !r.Time.Before(q.since) &&
		(q.sw == "" || mentions(r.Object, q.sw) || mentions(r.Reason, q.sw) || mentions(r.Detail, q.sw))
}

// mentions reports whether a text has a name that is not a part of a longer name.
func mentions(text, name string) bool {
	inName := func(r rune) bool {
		return r == '-' || r == '_' || r == '.' || unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	for rest := text; ; {
		i := strings.Index(rest, name)
		if i < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(rest[:i])
		after, _ := utf8.DecodeRuneInString(rest[i+len(name):])
		if !inName(before) && !inName(after) {
			return true
		}
		rest = rest[i+len(name):]
	}
}

// newestRecords returns the newest records that match a request, in ascending order, and the number before which the search continues. head
// and archived are the numbers of the last record and of the last archived record. The search ends after about most records.
func (s auditService) newestRecords(ctx context.Context, q recordSearch, head, archived uint64, limit int, most uint64) (found []store.AuditRecord, before uint64, err error) {
	next := head // the newest record that has not been searched
	if q.before > 0 {
		next = min(next, q.before-1)
	}
	for searched := uint64(0); next > archived && searched < most && len(found) < limit; {
		n := min(next-archived, searchAtOnce)
		if q.all() {
			n = min(n, uint64(limit-len(found)))
		}
		some, err := s.Store.Audit().Records(ctx, next-n+1, int(n))
		if err != nil {
			return nil, 0, err
		}
		rest := next - n
		for _, r := range slices.Backward(some) {
			if r.Seq > next || !q.selects(r) {
				continue // a record is newer than next if older records have been archived in the meantime
			}
			if found = append(found, r); len(found) == limit {
				rest = r.Seq - 1
				break
			}
		}
		next, searched = rest, searched+n
		if !slices.ContainsFunc(some, func(r store.AuditRecord) bool { return !r.Time.Before(q.since) }) {
			next = archived // all earlier records are older; clocks of controllers differ by less than this many records take
		}
	}
	slices.Reverse(found)
	if next > archived {
		before = next + 1
	}
	return found, before, nil
}

func recordOf(r store.AuditRecord) *op25bv1.AuditRecord {
	return &op25bv1.AuditRecord{
		Seq: r.Seq, Time: timestamppb.New(r.Time), Who: r.Who, Role: r.Role, Verb: r.Verb, Object: r.Object,
		Reason: r.Reason, Detail: r.Detail, Prev: r.Prev, Hash: r.Hash,
	}
}

// checkpointOf converts a checkpoint to a message. It returns nil if no record has been archived.
func checkpointOf(cp store.Checkpoint) *op25bv1.AuditCheckpoint {
	if cp.Seq == 0 {
		return nil
	}
	return &op25bv1.AuditCheckpoint{Seq: cp.Seq, Hash: cp.Hash, Archive: cp.Archive, Time: timestamppb.New(cp.Time)}
}

// Verify verifies the audit chain in the store. A broken chain is reported in the response, not as an
// error.
func (s auditService) Verify(ctx context.Context, req *connect.Request[op25bv1.VerifyRequest]) (*connect.Response[op25bv1.VerifyResponse], error) {
	known := make([]store.Head, len(req.Msg.Known))
	for i, h := range req.Msg.Known {
		known[i] = store.Head{Seq: h.GetSeq(), Hash: h.GetHash()}
	}
	v, err := s.Store.Audit().VerifyFrom(ctx, known...)
	var broken *store.BreakError
	switch {
	case errors.As(err, &broken):
		return connect.NewResponse(&op25bv1.VerifyResponse{BrokenAt: broken.Seq, Broken: broken.What}), nil
	case err != nil:
		return nil, err
	}
	return connect.NewResponse(&op25bv1.VerifyResponse{Intact: true, Head: headOf(v.Head), Checkpoint: checkpointOf(v.Checkpoint)}), nil
}

// Prune deletes records that have been archived.
func (s auditService) Prune(ctx context.Context, req *connect.Request[op25bv1.PruneRequest]) (*connect.Response[op25bv1.PruneResponse], error) {
	if err := checkReason(req.Msg.Reason); err != nil {
		return nil, err
	}
	cp, id := req.Msg.GetCheckpoint(), caller(ctx)
	r, err := s.Store.Audit().Prune(ctx, store.Checkpoint{Seq: cp.GetSeq(), Hash: cp.GetHash(), Archive: cp.GetArchive()},
		store.AuditRecord{Who: id.Who, Role: string(id.Role), Reason: req.Msg.Reason})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.PruneResponse{Record: recordOf(r)}), nil
}

func headOf(h store.Head) *op25bv1.AuditHead { return &op25bv1.AuditHead{Seq: h.Seq, Hash: h.Hash} }
