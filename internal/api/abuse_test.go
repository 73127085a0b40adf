package api

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"op25b/internal/abuse"
	"op25b/internal/pipeline"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestAbuse verifies that a forecast and the list of offenders contain pseudonyms only. A name is returned only with a reason and an
// audit record, and the record has no name. After the activity was destroyed, a pseudonym can no longer be resolved.
func TestAbuse(t *testing.T) {
	var ledger *abuse.Ledger
	w := newWorld(t, func(d *Deps) {
		var err error
		if ledger, err = abuse.New(abuse.Config{Book: d.Book, Now: d.Now}); err != nil {
			t.Fatal(err)
		}
		d.Lines, d.Name = ledger, "noc-1"
	})
	c, ctx := op25bv1.NewAbuseServiceClient(w.dial()), within(t)
	if _, err := c.Forecast(ctx, &op25bv1.ForecastRequest{Phase: "before"}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("without intent: %v", err)
	}
	w.put(replaced(t, spinnet(t), "{name: adsl, ", "{name: adsl, watchInfected: true, "))
	in, err := w.book.Current(ctx)
	if err != nil {
		t.Fatal(err)
	}
	running(t, ledger)
	ledger.Follow("edge-1", true)
	var flows []pipeline.MailFlow
	for a := netip.MustParseAddr("203.0.113.129"); len(flows) < 60; a = a.Next() {
		flows = append(flows, pipeline.MailFlow{
			Line: pipeline.LineIndex(in.Numbers.Lines["edge-1"]["adsl-bot"].Number), Leg: pipeline.UpDst,
			Service: pipeline.Service(in.Numbers.Services["smtp"].Number), Action: pipeline.Monitor, Remote: a,
		})
	}
	ledger.OnFlows("edge-1", flows)
	var list *op25bv1.ListOffendersResponse
	for len(list.GetOffenders()) == 0 { // wait until the ledger has taken the names from the book
		if list, err = c.ListOffenders(ctx, &op25bv1.ListOffendersRequest{Classes: []string{"bot-like"}}); err != nil {
			t.Fatal(err)
		}
	}
	o := list.Offenders[0]
	if list.Total != 1 || !slices.Equal(list.Watched, []string{"adsl"}) || list.Controller != "noc-1" || list.Days != 14 ||
		o.Class != "bot-like" || o.Attempts != 60 || o.Servers < 58 || o.Since == nil || !slices.Equal(o.Hours, []uint32{9}) {
		t.Errorf("%v", list)
	}
	f, err := c.Forecast(ctx, &op25bv1.ForecastRequest{Phase: "all-destinations"})
	if err != nil || len(f.Rows) != 2 || f.Rows[0].Used != 1 || f.Rows[0].BotLike != 1 || len(f.Lines) != 1 || f.Lines[0].Id != o.Id || f.Days != 7 || f.Missing != nil {
		t.Errorf("%v, %v", f, err)
	}
	for _, m := range []proto.Message{list, f} {
		if text := m.(interface{ String() string }).String(); strings.Contains(text, "adsl-bot") || strings.Contains(text, "203.0") {
			t.Errorf("a name or an address is in %s", text)
		}
	}

	for _, q := range []struct {
		ids    []string
		reason string
		code   codes.Code
		want   string
	}{
		{[]string{o.Id}, " ", codes.InvalidArgument, "requires a reason"},
		{nil, "spam", codes.InvalidArgument, "0 pseudonyms; must be 1 to 100"},
		{slices.Repeat([]string{o.Id}, 101), "spam", codes.InvalidArgument, "101 pseudonyms; must be 1 to 100"},
		{[]string{"adsl-bot"}, "spam", codes.NotFound, "must be 16 hexadecimal digits"},
		{[]string{o.Id, "0000000000000007"}, "spam", codes.NotFound, "0000000000000007"},
	} {
		if _, err := c.ResolveLines(ctx, &op25bv1.ResolveLinesRequest{Ids: q.ids, Reason: q.reason}); status.Code(err) != q.code || !strings.Contains(err.Error(), q.want) {
			t.Errorf("%v, %q: %v, want %v: %s", q.ids, q.reason, err, q.code, q.want)
		}
	}
	resolved, err := c.ResolveLines(ctx, &op25bv1.ResolveLinesRequest{Ids: []string{o.Id}, Reason: "spam report, ABUSE-812"})
	if err != nil || len(resolved.Lines) != 1 || resolved.Lines[0].Line != "adsl-bot" || resolved.Lines[0].Switch != "edge-1" || resolved.Lines[0].Group != "adsl" {
		t.Fatalf("%v, %v", resolved, err)
	}
	records, err := w.store.Audit().Records(ctx, resolved.Record, 1)
	if err != nil || len(records) != 1 || records[0].Who != "local" || records[0].Role != "admin" || records[0].Verb != "resolve" ||
		records[0].Object != "1 line" || records[0].Reason != "spam report, ABUSE-812" || records[0].Detail != "pseudonyms on noc-1: "+o.Id {
		t.Errorf("%+v, %v", records, err)
	}

	// A switch of another controller is listed as missing, with its owner. A controller that is not present has no address.
	ledger.Follow("edge-1", false)
	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-1", Owner: "noc-2", Ownership: op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED})
	f, err = c.Forecast(ctx, &op25bv1.ForecastRequest{Phase: "all-destinations"})
	if err != nil || !slices.Equal(f.Missing, []string{"edge-1"}) || len(f.Owners) != 1 || f.Owners[0].Controller != "noc-2" || f.Owners[0].Address != "" ||
		!slices.Equal(f.Owners[0].Switches, []string{"edge-1"}) || len(f.Rows) != 0 {
		t.Errorf("%v, %v", f, err)
	}
	ledger.Follow("edge-1", true)

	if _, err := c.ListOffenders(ctx, &op25bv1.ListOffendersRequest{Classes: []string{"bot"}}); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), `unknown class "bot"; classes: bot-like`) {
		t.Errorf("unknown class: %v", err)
	}
	forgotten, err := c.ForgetLines(ctx, &op25bv1.ForgetLinesRequest{Reason: "erasure"})
	if err != nil || forgotten.Lines != 1 || forgotten.Controller != "noc-1" {
		t.Errorf("%v, %v", forgotten, err)
	}
	if _, err := c.ResolveLines(ctx, &op25bv1.ResolveLinesRequest{Ids: []string{o.Id}, Reason: "again"}); status.Code(err) != codes.NotFound {
		t.Errorf("a forgotten pseudonym: %v", err)
	}
}

// TestAbuseNotServed verifies the error of a controller that does not record the activity of lines.
func TestAbuseNotServed(t *testing.T) {
	c := op25bv1.NewAbuseServiceClient(newWorld(t, nil).dial())
	if _, err := c.Forecast(within(t), &op25bv1.ForecastRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("%v", err)
	}
}

// running runs a ledger until the test ends.
func running(t *testing.T, l *abuse.Ledger) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
}
