package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestNewestRecords verifies that the audit chain is listed backwards in parts, all of it or by author and verb, and that the parts together are
// the chain.
func TestNewestRecords(t *testing.T) {
	w := newWorld(t, nil)
	ctx := within(t)
	const all = 600 // more than are read together
	var chain []string
	for i := range all {
		r := store.AuditRecord{Who: []string{"Alice", "bob", "carol"}[i%3], Verb: []string{"apply", "refused apply"}[i/3%2], Object: fmt.Sprint(i)}
		if _, err := w.store.Audit().Append(ctx, r); err != nil {
			t.Fatal(err)
		}
		chain = append(chain, r.Who+" "+r.Verb+" "+r.Object)
	}
	c := op25bv1.NewAuditServiceClient(w.dial())
	for _, q := range []*op25bv1.ListRecordsRequest{
		{Limit: 1000}, {Limit: 600}, {Limit: 599}, {Limit: 7}, {}, {Who: "ALI", Limit: 9}, {Verb: "refused", Limit: 100}, {Who: "o", Verb: "apply", Limit: 77}, {Who: "carol", Verb: "refused apply", Limit: 1},
	} {
		var want, got []string
		for _, r := range chain {
			who, verb, _ := strings.Cut(r, " ")
			if strings.Contains(strings.ToLower(who), strings.ToLower(q.Who)) && strings.Contains(verb, q.Verb) {
				want = append(want, r)
			}
		}
		for calls := 0; ; calls++ {
			r, err := c.ListRecords(ctx, q)
			if err != nil || calls > all {
				t.Fatal(q, calls, err)
			}
			var part []string
			for _, x := range r.Records {
				part = append(part, x.Who+" "+x.Verb+" "+x.Object)
			}
			if limit := q.Limit; limit > 0 && len(part) > int(limit) || limit == 0 && len(part) > DefaultList {
				t.Errorf("%v: %d records", q, len(part))
			}
			got = append(part, got...)
			if q.Before = r.Before; r.Before == 0 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: %d records, want %d: %v", q, len(got), len(want), got)
		}
	}
	// A search ends after a number of records, and continues in the next call.
	in, q := auditService{&server{Deps: Deps{Store: w.store}}}, recordSearch{who: "nobody"}
	if found, before, err := in.newestRecords(ctx, q, all, 0, 50, searchAtOnce); err != nil || len(found) != 0 || before != all-searchAtOnce+1 {
		t.Errorf("a search of %d records: %v, before %d, %v", searchAtOnce, found, before, err)
	}
	// Archived records are not listed.
	cp, err := w.store.Audit().Records(ctx, 500, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Audit().Prune(ctx, store.Checkpoint{Seq: 500, Hash: cp[0].Hash, Archive: strings.Repeat("a", 64)}, store.AuditRecord{Who: "test", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	r, err := c.ListRecords(ctx, &op25bv1.ListRecordsRequest{Limit: 1000})
	if err != nil || len(r.Records) != 101 || r.Records[0].Seq != 501 || r.Before != 0 {
		t.Errorf("after archiving: %d records from %d, before %d, %v", len(r.GetRecords()), r.GetRecords()[0].GetSeq(), r.GetBefore(), err)
	}
	if r, err := c.ListRecords(ctx, &op25bv1.ListRecordsRequest{Before: 400, Who: "alice"}); err != nil || len(r.Records) != 0 || r.Before != 0 {
		t.Errorf("before the archived ones: %v, %v", r, err)
	}
	for _, bad := range []*op25bv1.ListRecordsRequest{
		{From: 1, Before: 2}, {From: 1, Who: "a"}, {From: 1, Verb: "a"}, {From: 1, Switch: "a"}, {From: 1, LocalSince: "2006-07-01"}, {LocalSince: "July"}, {LocalSince: "2006-07-01", Since: timestamppb.Now()}, {Since: &timestamppb.Timestamp{Nanos: -1}}, {Who: strings.Repeat("x", 129)}, {Verb: strings.Repeat("x", 129)}, {Limit: 1001},
	} {
		if _, err := c.ListRecords(ctx, bad); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// TestRecordsOfASwitch verifies that records are listed since a time, also in the policy's UTC offset, and those that name a switch.
func TestRecordsOfASwitch(t *testing.T) {
	w := newWorld(t, nil)
	w.put(spinnet(t)) // at +09:00
	began := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, r := range []store.AuditRecord{
		{Verb: "hold", Object: "switch edge-1"},
		{Verb: "hold", Object: "switch edge-10"},
		{Verb: "activate", Object: "phase before", Detail: `{"switches":["edge-9","edge-1"]}`},
		{Verb: "apply", Object: "revision 2", Reason: "card of not-edge-1"},
		{Verb: "apply", Object: "revision 3", Reason: "after the card of edge-1, edge-10"},
	} {
		r.Who, r.Time = "ann", began.Add(time.Duration(i)*time.Hour)
		if _, err := w.store.Audit().Append(within(t), r); err != nil {
			t.Fatal(err)
		}
	}
	c := op25bv1.NewAuditServiceClient(w.dial())
	for _, x := range []struct {
		q    *op25bv1.ListRecordsRequest
		want string
	}{
		{&op25bv1.ListRecordsRequest{Switch: "edge-1", Who: "ann"}, "switch edge-1; phase before; revision 3"},
		{&op25bv1.ListRecordsRequest{Switch: "edge-10"}, "switch edge-10; revision 3"},
		{&op25bv1.ListRecordsRequest{Switch: "edge"}, ""},
		{&op25bv1.ListRecordsRequest{Since: timestamppb.New(began.Add(3 * time.Hour))}, "revision 2; revision 3"},
		{&op25bv1.ListRecordsRequest{LocalSince: "2030-01-01 11:00", Switch: "edge-1"}, "phase before; revision 3"},
		{&op25bv1.ListRecordsRequest{LocalSince: "2030-01-02"}, ""},
	} {
		r, err := c.ListRecords(within(t), x.q)
		if err != nil {
			t.Fatal(x.q, err)
		}
		var got []string
		for _, r := range r.Records {
			got = append(got, r.Object)
		}
		if text := strings.Join(got, "; "); text != x.want || r.Before != 0 {
			t.Errorf("%v: %s, before %d, want %s", x.q, text, r.Before, x.want)
		}
	}
}
