package store

import (
	"errors"
	"fmt"
	"testing"
)

func request(n int) string { return fmt.Sprintf("request-%020d", n) }

// Settle finds the outcome of a request by its id, and the outcome never changes. I11
func TestSettle(t *testing.T) {
	s := embeddedStore(t)
	rs := s.Revisions()
	ctx := within(t)
	put := func(base uint64, n int, text string) (Revision, error) {
		return rs.Put(ctx, Change{Base: base, Author: "noc", Reason: "test", Request: request(n), Documents: map[string][]byte{"a": []byte(text)}})
	}
	settle := func(base uint64, n int) (ChangeOutcome, Revision) {
		t.Helper()
		o, r, err := rs.Settle(ctx, request(n), base)
		if err != nil {
			t.Fatal(err)
		}
		return o, r
	}
	if r := must(put(0, 1, "one"))(t); r.Number != 1 || r.Request != request(1) {
		t.Fatalf("%+v", r)
	}
	if o, r := settle(0, 1); o != OutcomeStored || r.Number != 1 {
		t.Errorf("a request that was stored: %v, %+v", o, r)
	}
	if o, _ := settle(0, 2); o != OutcomeNotStored {
		t.Errorf("a request in whose place another was stored: %v", o)
	}
	if r, made, err := rs.Made(ctx, request(1), 0); !made || err != nil || r.Number != 1 {
		t.Errorf("Made: %+v, %v, %v", r, made, err)
	}
	if _, made, err := rs.Made(ctx, request(2), 1); made || err != nil {
		t.Errorf("Made of a request that is not stored: %v, %v", made, err)
	}

	// A request on the current revision may still arrive. After Settle has reported it as not stored, it is
	// refused.
	for range 2 {
		if o, _ := settle(1, 3); o != OutcomeNotStored {
			t.Errorf("a request that has not arrived: %v", o)
		}
	}
	if _, err := put(1, 3, "late"); !errors.Is(err, ErrAbandoned) {
		t.Errorf("the request that arrived late: %v", err)
	}
	must(put(1, 4, "two"))(t)
	if o, r := settle(1, 4); o != OutcomeStored || r.Number != 2 {
		t.Errorf("another request on the same revision: %v, %+v", o, r)
	}
	if o, _ := settle(7, 5); o != OutcomeUnknown {
		t.Errorf("a request on a revision that the store does not have: %v", o)
	}
}

// A request that is abandoned while it is in progress is either stored or refused, and Settle returns the
// correct outcome. I11
func TestSettleRace(t *testing.T) {
	s := embeddedStore(t)
	rs := s.Revisions()
	ctx := within(t)
	base := uint64(0)
	for n := range 30 {
		stored := make(chan error, 1)
		go func() {
			_, err := rs.Put(ctx, Change{
				Base: base, Author: "noc", Reason: "test", Request: request(n), Documents: map[string][]byte{"a": fmt.Append(nil, n)},
			})
			stored <- err
		}()
		o, _, err := rs.Settle(ctx, request(n), base)
		if err != nil {
			t.Fatal(err)
		}
		err = <-stored
		switch {
		case o == OutcomeStored && err == nil:
			base++
		case o == OutcomeNotStored && errors.Is(err, ErrAbandoned):
		default:
			t.Fatalf("request %d: the outcome is %v, and Put returned %v", n, o, err)
		}
	}
}

func TestSettleBounds(t *testing.T) {
	s := embeddedStore(t)
	rs := s.Revisions()
	for n := range maxAbandoned {
		if o, _, err := rs.Settle(within(t), request(n), 0); o != OutcomeNotStored || err != nil {
			t.Fatal(o, err)
		}
	}
	if _, _, err := rs.Settle(within(t), request(maxAbandoned), 0); !errors.Is(err, ErrInvalid) { // I12
		t.Errorf("one too many: %v", err)
	}
	for _, id := range []string{"", "short", "with a space in it", request(1) + "\n", fmt.Sprintf("%0129d", 1)} {
		wantError(t, CheckRequest(id), ErrInvalid, "must be random, of 16 to 128 visible ASCII characters")
		if _, err := rs.Put(within(t), Change{Author: "a", Reason: "b", Request: id, Documents: map[string][]byte{"a": nil}}); id != "" && !errors.Is(err, ErrInvalid) {
			t.Errorf("id %q: %v", id, err)
		}
	}
}
