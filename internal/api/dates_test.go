package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestListDates verifies that all changes of phase by dates are listed, each relative to the phases before it, with the exemptions that end
// soon.
func TestListDates(t *testing.T) {
	w := newWorld(t, nil)
	c := op25bv1.NewPhaseServiceClient(w.dial())
	ctx := within(t)
	if _, err := c.ListDates(ctx, &op25bv1.ListDatesRequest{}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("without intent: %v", err)
	}
	w.put(replaced(t, spinnet(t), "exemptions:\n", `exemptions:
  - {prefix: 192.0.2.77/32, owner: second@isp.example, reason: test, ticket: T-2, expires: 2006-06-02}
  - {prefix: 192.0.2.78/32, owner: first@isp.example, reason: test, expires: 2006-05-20}
  - {prefix: 192.0.2.79/32, owner: third@isp.example, reason: test, expires: 2006-06-02}
  - {prefix: 192.0.2.80/32, owner: ended@isp.example, reason: test, expires: 2006-05-19}
`))
	stream, err := c.Activate(ctx, &op25bv1.ActivateRequest{Phase: "mobile-carriers", Groups: []string{"adsl"}, Base: 1, Reason: "pilot", NoWait: true})
	told(t, stream, err)
	day := func(month time.Month, day int) *timestamppb.Timestamp {
		return timestamppb.New(time.Date(2006, month, day, 0, 0, 0, 0, time.FixedZone("", 9*3600)))
	}
	w.now = time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)
	others, all := []string{"isdn", "bflets", "hikari-premium", "mobile"}, []string{"adsl", "isdn", "bflets", "hikari-premium", "mobile"}
	turns := []*op25bv1.PhaseTurn{
		{Time: day(6, 1), Phase: "mobile-carriers", Changes: []*op25bv1.PhaseChange{
			{From: "before", To: "mobile-carriers", Groups: others, ByDefault: true, Switches: []string{"edge-1"}},
		}},
		{Time: day(10, 1), Phase: "all-destinations", Changes: []*op25bv1.PhaseChange{
			{From: "mobile-carriers", To: "all-destinations", Groups: all, ByDefault: true, EveryLine: true, Switches: []string{"edge-1"}},
		}},
	}
	ending := []*op25bv1.EndingExemption{
		{Prefix: "192.0.2.78/32", Owner: "first@isp.example", Reason: "test", Expires: "2006-05-20", Ends: day(5, 21)},
		{Prefix: "192.0.2.77/32", Owner: "second@isp.example", Ticket: "T-2", Reason: "test", Expires: "2006-06-02", Ends: day(6, 3)},
		{Prefix: "192.0.2.79/32", Owner: "third@isp.example", Reason: "test", Expires: "2006-06-02", Ends: day(6, 3)},
		{Line: "business-fixed", Owner: "noc@isp.example", Ticket: "OP25B-17", Reason: "fixed address with a mail server of its own", Review: "2006-12-31", Expires: "2007-03-31", Ends: timestamppb.New(time.Date(2007, 3, 31, 15, 0, 0, 0, time.UTC))},
	}
	for _, want := range []struct {
		within time.Duration
		limit  uint32
		listed int
		ending uint32
	}{{0, 0, 3, 3}, {0, 2, 2, 3}, {15 * time.Hour, 0, 1, 1}, {15*time.Hour - 1, 0, 0, 0}, {366 * 24 * time.Hour, 1000, 4, 4}} {
		q := &op25bv1.ListDatesRequest{Limit: want.limit}
		if want.within > 0 {
			q.Within = durationpb.New(want.within)
		}
		got, err := c.ListDates(ctx, q)
		full := &op25bv1.ListDatesResponse{
			Revision: 2, Time: timestamppb.New(w.now), Turns: turns, Exemptions: ending[:want.listed], Ending: want.ending, Next: day(5, 21), UtcOffset: "+09:00",
		}
		if err != nil || !proto.Equal(got, full) {
			t.Errorf("%v: %v, %v, want %v", q, got, err, full)
		}
	}
	for _, bad := range []*op25bv1.ListDatesRequest{
		{Within: durationpb.New(-time.Second)}, {Within: durationpb.New(367 * 24 * time.Hour)}, {Within: &durationpb.Duration{Seconds: 1 << 60}},
	} {
		if _, err := c.ListDates(ctx, bad); status.Code(err) != codes.InvalidArgument || !strings.Contains(fmt.Sprint(detail[*op25bv1.Faults](err)), "must be from 0 to 366 days") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := c.ListDates(ctx, &op25bv1.ListDatesRequest{Limit: 1001}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("limit 1001: %v", err)
	}
}
