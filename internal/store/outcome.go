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
	// MinRequest and MaxRequest bound the bytes of a request id. Ids must be random: 16 bytes of base 32 are 80 bits.
	MinRequest = 16
	MaxRequest = 128
	// maxAbandoned is the most requests that may be abandoned on one revision. Each was in progress when its caller asked for the outcome.
	maxAbandoned = 64
)

// A ChangeOutcome is the outcome of a request for a change.
type ChangeOutcome int

// The outcomes.
const (
	// OutcomeUnknown: the store no longer has the revision that would show the outcome.
	OutcomeUnknown ChangeOutcome = iota
	// OutcomeStored: the request was stored as a revision.
	OutcomeStored
	// OutcomeNotStored: the request was not stored, and is refused from now on.
	OutcomeNotStored
)

// ErrAbandoned is returned by Put for a request that Settle has reported as not stored.
var ErrAbandoned = errors.New("the request was abandoned")

// An abandonment is the set of requests that must no longer be stored on a revision.
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

// refuses reports whether a request on a revision was abandoned.
func (a abandonment) refuses(base uint64, request string) bool {
	return request != "" && a.Base == base && slices.Contains(a.Requests, request)
}

// Made returns the revision that a request made on base, if the store has it. A request on base can only be stored as the revision after
// base, so one read suffices.
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

// Settle returns the outcome of a request for a change on base. A request that is not stored yet is abandoned: Put refuses it from then on,
// so that the answer stays true even if the request is still in transit. The revision is set if the request was stored.
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
		case rec.Number != 0: // another change has taken the revision, so the request cannot be stored
			return OutcomeNotStored, Revision{}, nil
		case head.Number != base: // the revision is no longer kept, or the store is older than base
			return OutcomeUnknown, Revision{}, nil
		}
		err = rs.abandon(ctx, found, base, request)
		if errors.Is(err, errRefused) { // another change was stored after the read
			continue
		}
		if err != nil {
			return OutcomeUnknown, Revision{}, err
		}
		return OutcomeNotStored, Revision{}, nil
	}
}

// abandon prevents a request from being stored later. It returns errRefused if the intent changed since found was read.
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

// CheckRequest refuses a request id that is too short to be unique or cannot be printed.
func CheckRequest(request string) error {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(request) < MinRequest || len(request) > MaxRequest || strings.ContainsFunc(request, odd) {
		return fmt.Errorf("%w: request id %.40q: must be random, of %d to %d visible ASCII characters", ErrInvalid, request, MinRequest, MaxRequest)
	}
	return nil
}
