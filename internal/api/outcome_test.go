package api

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	op25bv1 "op25b/proto/op25b/v1"
)

const someRequest = "a-request-id-of-a-test"

// I11: for every kind of change, a request whose id belongs to a stored change gets the same answer as the
// first request.
func TestRequestTwice(t *testing.T) {
	w := newWorld(t, nil)
	in, ph := op25bv1.NewIntentServiceClient(w.dial()), op25bv1.NewPhaseServiceClient(w.dial())
	ctx := within(t)
	files := spinnet(t)
	for number, make := range []func(id string) (*op25bv1.Progress, error){
		func(id string) (*op25bv1.Progress, error) {
			s, err := in.Apply(ctx, &op25bv1.ApplyRequest{Files: files, Reason: "begin", NoWait: true, RequestId: id})
			return first(s, err)
		},
		func(id string) (*op25bv1.Progress, error) {
			s, err := ph.Activate(ctx, &op25bv1.ActivateRequest{Phase: "before", Base: 1, Reason: "x", NoWait: true, RequestId: id})
			return first(s, err)
		},
		func(id string) (*op25bv1.Progress, error) {
			s, err := ph.Activate(ctx, &op25bv1.ActivateRequest{Phase: "all-destinations", Base: 2, Reason: "x", NoWait: true, RequestId: id})
			return first(s, err)
		},
		func(id string) (*op25bv1.Progress, error) {
			s, err := ph.Rollback(ctx, &op25bv1.RollbackRequest{Base: 3, Reason: "x", NoWait: true, RequestId: id})
			return first(s, err)
		},
		func(id string) (*op25bv1.Progress, error) {
			s, err := in.Restore(ctx, &op25bv1.RestoreRequest{Revision: 2, Base: 4, Reason: "x", NoWait: true, RequestId: id})
			return first(s, err)
		},
	} {
		for range 2 {
			p, err := make(someRequest)
			if r := p.GetStored(); err != nil || r.GetNumber() != uint64(number)+1 || r.GetRequestId() != someRequest {
				t.Errorf("change %d: %v, %v", number+1, p, err)
			}
		}
		if _, err := make("another-request-id-here"); status.Code(err) != codes.Aborted {
			t.Errorf("change %d with another id: %v, want ABORTED", number+1, err)
		}
	}
	got := slices.DeleteFunc(w.chain(), func(r string) bool { return strings.Contains(r, " refused ") })
	if len(got) != 5 {
		t.Errorf("the chain is %q, want the five changes once", got)
	}
}

func TestOutcome(t *testing.T) {
	w := newWorld(t, nil)
	c := op25bv1.NewIntentServiceClient(w.dial())
	ctx := within(t)
	ask := func(id string, base uint64) *op25bv1.OutcomeResponse {
		t.Helper()
		r, err := c.Outcome(ctx, &op25bv1.OutcomeRequest{RequestId: id, Base: base})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := ask(someRequest, 0); r.Outcome != op25bv1.OutcomeResponse_NOT_STORED {
		t.Errorf("%v", r)
	}
	apply := func(id string) (*op25bv1.Progress, error) {
		s, err := c.Apply(ctx, &op25bv1.ApplyRequest{Files: spinnet(t), Reason: "begin", NoWait: true, RequestId: id})
		return first(s, err)
	}
	if _, err := apply(someRequest); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "the request was abandoned") {
		t.Errorf("a request that was said not to be stored: %v", err)
	}
	if _, err := apply("another-request-id-here"); err != nil {
		t.Fatal(err)
	}
	if r := ask("another-request-id-here", 0); r.Outcome != op25bv1.OutcomeResponse_STORED || r.Revision.GetNumber() != 1 {
		t.Errorf("%v", r)
	}
	if r := ask(someRequest, 9); r.Outcome != op25bv1.OutcomeResponse_UNKNOWN {
		t.Errorf("%v", r)
	}
	if _, err := c.Outcome(ctx, &op25bv1.OutcomeRequest{RequestId: "1"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an id that is too short: %v", err)
	}
}

// first returns the first message of a stream.
func first[S interface {
	Recv() (*op25bv1.Progress, error)
}](stream S, err error) (*op25bv1.Progress, error) {
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}
