package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/auth"
	"op25b/internal/subscriber/report"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestReportBounds verifies that requests beyond a bound and malformed ones end their stream, and that none of their events is taken.
func TestReportBounds(t *testing.T) {
	now := noon()
	w, r := newReporting(t, 2, func() time.Time { return now }, nil)
	c := op25bv1.NewSubscriberServiceClient(w.dial())
	first := sessionEvent(starts, "line-0", "a", now, "192.0.2.1")
	many := &op25bv1.ReportRequest{Source: "kea-1", Events: []*op25bv1.SessionEvent{first}}
	for range 512 {
		many.Events = append(many.Events, sessionEvent(starts, "line-1", "b", now))
	}
	elements := &op25bv1.ReportRequest{Source: "kea-1", Events: []*op25bv1.SessionEvent{first, {Addresses: make([]string, maxReportElements)}}}
	for name, q := range map[string]struct {
		request *op25bv1.ReportRequest
		code    codes.Code
		want    string
	}{
		"events":   {many, codes.InvalidArgument, "events: 513 events; must be at most 512 in a request"},
		"bytes":    {&op25bv1.ReportRequest{Source: strings.Repeat("x", maxReport)}, codes.ResourceExhausted, "larger than configured max 262144"},
		"elements": {elements, codes.InvalidArgument, "too many elements: the request has more than 16384"},
		"address":  {&op25bv1.ReportRequest{Source: "kea-1", Events: []*op25bv1.SessionEvent{first, sessionEvent(starts, "line-1", "b", now, "192.0.2.300")}}, codes.InvalidArgument, "events[1].addresses[0]: this is no address or prefix"},
	} {
		if _, _, err := send(within(t), t, c, q.request); status.Code(err) != q.code || !strings.Contains(status.Convert(err).Message(), q.want) {
			t.Errorf("%s: %v, want %s", name, err, q.want)
		}
	}
	holds(t, r, "192.0.2.1", "")
	// Bytes that are no message.
	stream, err := w.dial().NewStream(within(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/op25b.v1.SubscriberService/Report", grpc.ForceCodec(rawCodec{}))
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.SendMsg([]byte("\xff192.0.2.1"))
	var answer []byte
	if err := stream.RecvMsg(&answer); status.Code(err) != codes.InvalidArgument || !strings.Contains(status.Convert(err).Message(), errMalformed.Error()) {
		t.Errorf("%v", err)
	}
	for _, text := range append(w.details(), logsOf(w)...) {
		if strings.Contains(text, "192.0.2.300") || strings.Contains(text, "192.0.2.1\"") {
			t.Errorf("the address is in %q", text)
		}
	}
}

// details returns the details of all audit records.
func (w *world) details() (all []string) {
	w.t.Helper()
	records, err := w.store.Audit().Records(within(w.t), 0, MaxList)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range records {
		all = append(all, r.Object+" "+r.Detail)
	}
	return all
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(m any) ([]byte, error) { return m.([]byte), nil }

func (rawCodec) Unmarshal(data []byte, m any) error { *m.(*[]byte) = data; return nil }

// TestReports verifies the bounds on records and rates of many callers.
func TestReports(t *testing.T) {
	clock := &wallClock{at: time.Now()}
	r := newReports(clock.now)
	if !r.due("kea-1", "a") {
		t.Error("nothing is recorded, and not due")
	}
	r.recorded("kea-1", "a")
	if r.due("kea-1", "a") || !r.due("kea-1", "b") || !r.due("kea-2", "a") {
		t.Error("the record of another pair counts")
	}
	clock.set(clock.now().Add(reportRecordEvery))
	if !r.due("kea-1", "a") {
		t.Error("not due after an hour")
	}
	for i := range 2 * maxReporting {
		r.recorded("kea-1", fmt.Sprint(i))
		r.rate(fmt.Sprint(i))
	}
	if len(r.begun) > maxReporting || len(r.rates) > maxReporting {
		t.Errorf("%d, %d", len(r.begun), len(r.rates))
	}
	if l := r.rate("kea-3"); l.Burst() != eventsInBurst || l.Limit() != eventsASecond || l != r.rate("kea-3") {
		t.Error("the rate of a caller changes")
	}
}

// TestReportRates verifies that a caller with too many events or sources is refused, and told when to try again.
func TestReportRates(t *testing.T) {
	w := newWorld(t, nil)
	now := noon()
	clock := func() time.Time { return now }
	s := subscriberService{&server{Deps: Deps{Store: w.store, Sessions: failing{}, Now: clock}, reports: newReports(clock)}}
	id := auth.Caller{Who: "kea-1", Role: auth.Operator, By: auth.ByToken}
	refused := func(err error, want string) {
		t.Helper()
		if connect.CodeOf(err) != connect.CodeResourceExhausted || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	full := &op25bv1.ReportRequest{Source: "kea-1"}
	for range report.MaxEvents {
		full.Events = append(full.Events, sessionEvent(starts, "line-0", "a", now))
	}
	s.reports.rate(id.Who).SetBurst(len(full.Events)) // the second request has to wait
	ctx, cancel := context.WithTimeout(within(t), time.Hour)
	defer cancel()
	if _, err := s.report(ctx, id, full); err != nil {
		t.Fatal(err)
	}
	s.reports.rate(id.Who).SetLimit(0.01) // for a day
	_, err := s.report(ctx, id, full)
	refused(err, "busy: kea-1 reports more than 2000 events a second")
	for i := range 100 {
		if _, err = s.report(ctx, id, &op25bv1.ReportRequest{Source: fmt.Sprint("source-", i)}); err != nil {
			break
		}
	}
	refused(err, "busy: kea-1 reports for too many sources")
	if _, err := s.report(ctx, id, &op25bv1.ReportRequest{Source: "kea-1"}); err != nil {
		t.Errorf("a source that is recorded: %v", err)
	}
}
