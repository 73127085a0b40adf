package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Limits of request ids.
const (
	// MinRequest and MaxRequest limit the length of a request id in bytes. Ids must be random. 16 characters of base 32 contain 80 random
	// bits.
	MinRequest = 16
	MaxRequest = 128
	// maxAbandoned is the maximum number of requests that may be abandoned on one revision. A request is abandoned if a caller calls Settle
	// while the request is not stored.
	maxAbandoned = 64
)

// A ChangeOutcome is the outcome of a request for a change.
type ChangeOutcome int

// The outcomes.
const (
	// OutcomeUnknown means that the store no longer has the revision from which the outcome could be determined.
	OutcomeUnknown ChangeOutcome = iota
	// OutcomeStored means that the request was stored as a revision.
	OutcomeStored
	// OutcomeNotStored means that the request was not stored and will be refused from now on.
	OutcomeNotStored
)

// ErrAbandoned is returned by Put for a request that Settle reported as not stored.
var ErrAbandoned = errors.New("the request was abandoned")

// An abandonment is the set of requests that must no longer be stored as the revision after Base.
type abandonment struct {
	Base     uint64   `json:"base"`
	Requests []string `json:"requests"`
}

func (rs *Revisions) abandonedKey() string { return rs.s.key("intent/abandoned") }

func decodeAbandonment(kv *mvccpb.KeyValue) (a abandonment, err error) {
	if kv == nil {
		return a, nil
	}
	if err := json.Unmarshal(kv.Value, &a); err != nil {
		return a, fmt.Errorf("%w: %s: %w", ErrCorrupt, kv.Key, err)
	}
	return a, nil
}

// refuses reports whether the request on revision base was abandoned.
func (a abandonment) refuses(base uint64, request string) bool {
	return request != "" && a.Base == base && slices.Contains(a.Requests, request)
}

// Made returns the revision that a request created, and whether the store has that revision. A request based on revision base can only be
// stored as the revision after base, so one read suffices.
func (rs *Revisions) Made(ctx context.Context, request string, base uint64) (Revision, bool, error) {
	if err := CheckRequest(request); err != nil {
		return Revision{}, false, err
	}
	key := rs.revisionKey(base + 1)
	found, _, err := rs.s.get(ctx, "read intent", key)
	if err != nil || found[key] == nil {
		return Revision{}, false, err
	}
	rec, err := decodeRevision(found[key])
	return rec.Revision, err == nil && rec.Request == request, err
}

// Settle returns the outcome of a request for a change that is based on revision base. If the request is not stored yet, Settle abandons
// it: Put will refuse the request, so the outcome stays correct even if the request is still in transit. If the request was stored, Settle
// also returns its revision.
func (rs *Revisions) Settle(ctx context.Context, request string, base uint64) (ChangeOutcome, Revision, error) {
	if err := CheckRequest(request); err != nil {
		return OutcomeUnknown, Revision{}, err
	}
	next := rs.revisionKey(base + 1)
	for {
		found, _, err := rs.s.get(ctx, "read intent", rs.headKey(), rs.abandonedKey(), next)
		if err != nil {
			return OutcomeUnknown, Revision{}, err
		}
		head, err := decodeRevision(found[rs.headKey()])
		if err != nil {
			return OutcomeUnknown, Revision{}, err
		}
		rec, err := decodeRevision(found[next])
		switch {
		case err != nil:
			return OutcomeUnknown, Revision{}, err
		case rec.Number != 0 && rec.Request == request:
			return OutcomeStored, rec.Revision, nil
		case rec.Number != 0: // another change was stored as this revision, so the request can no longer be stored
			return OutcomeNotStored, Revision{}, nil
		case head.Number != base: // the revision after base is no longer kept, or the store is older than base
			return OutcomeUnknown, Revision{}, nil
		}
		err = rs.abandon(ctx, found, base, request)
		if errors.Is(err, errRefused) { // another change was stored after the read, so determine the outcome again
			continue
		}
		if err != nil {
			return OutcomeUnknown, Revision{}, err
		}
		return OutcomeNotStored, Revision{}, nil
	}
}

// abandon prevents a request from being stored later. It returns errRefused if the intent has changed since found was read.
func (rs *Revisions) abandon(ctx context.Context, found map[string]*mvccpb.KeyValue, base uint64, request string) error {
	a, err := decodeAbandonment(found[rs.abandonedKey()])
	switch {
	case err != nil:
		return err
	case a.refuses(base, request):
		return nil
	case a.Base != base:
		a = abandonment{Base: base}
	case len(a.Requests) >= maxAbandoned:
		return fmt.Errorf("%w: %d requests are abandoned on revision %d, which is the most", ErrInvalid, len(a.Requests), base)
	}
	a.Requests = append(a.Requests, request)
	value, err := encode(a)
	if err != nil {
		return err
	}
	_, _, err = rs.s.commit(ctx, change{
		op: "abandon a request",
		guards: []clientv3.Cmp{
			unmoved(rs.headKey(), found[rs.headKey()]), unmoved(rs.abandonedKey(), found[rs.abandonedKey()]),
		},
		then:    []clientv3.Op{clientv3.OpPut(rs.abandonedKey(), value)},
		witness: rs.abandonedKey(), value: value,
	})
	return err
}

// CheckRequest returns an error for a request id that is too short to be unique, too long, or contains characters that cannot be printed.
func CheckRequest(request string) error {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(request) < MinRequest || len(request) > MaxRequest || strings.ContainsFunc(request, odd) {
		return fmt.Errorf("%w: request id %.40q: must be random, of %d to %d visible ASCII characters", ErrInvalid, request, MinRequest, MaxRequest)
	}
	return nil
}
