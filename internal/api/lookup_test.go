package api

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"op25b/internal/auth"
	"op25b/internal/check/desk"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// lookups returns the audit records from the given number on as texts: who, role, verb, object, reason and detail.
func (w *world) lookups(from uint64) []string {
	w.t.Helper()
	records, err := w.store.Audit().Records(within(w.t), from, MaxList)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, r := range records {
		all = append(all, strings.Join([]string{r.Who, r.Role, r.Verb, r.Object, r.Reason, r.Detail}, "|"))
	}
	return all
}

func withDesk(w **world, more func(*Deps)) func(*Deps) {
	return func(d *Deps) {
		answers := desk.New(desk.Options{Now: func() time.Time { return (*w).now }})
		d.Check, d.OwnLine = answers, answers
		if more != nil {
			more(d)
		}
	}
}

// With an access file, each look-up of a line requires a ticket. The audit chain has one record of each look-up, whether it was answered or
// refused, with the name of the line and the ticket, but with no address, server or mail address.
func TestLookupsAreRecorded(t *testing.T) {
	tokens := make(map[string]string)
	access, err := auth.Open(accessFile(t, tokens, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	var w *world
	w = newWorld(t, withDesk(&w, func(d *Deps) { d.Auth.Access = access }))
	files := spinnet(t)
	w.put(files) // audit record 1
	c := op25bv1.NewCheckServiceClient(w.dial())
	ctx := metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens["viewer"])
	connection := func(from *op25bv1.CheckFrom, to string) error {
		_, err := c.Check(ctx, &op25bv1.CheckRequest{From: from, To: to, Port: 25})
		return err
	}
	mail := func(from *op25bv1.CheckFrom, address string) error {
		_, err := c.CheckMail(ctx, &op25bv1.CheckMailRequest{From: from, Address: address})
		return err
	}
	const server, ticket = "203.0.113.25", "DESK-4711"
	var want []string
	for _, q := range []struct {
		err          error
		code         codes.Code
		want, record string // record is empty if there must be none
	}{
		{connection(&op25bv1.CheckFrom{Line: "adsl-bot", Ticket: "DESK-1"}, server), codes.OK, "", "check|line adsl-bot|DESK-1|connection, revision 1"},
		{connection(&op25bv1.CheckFrom{From: "192.0.2.12", Ticket: "受付/2"}, server), codes.OK, "", "check|line adsl-bot|受付/2|connection, revision 1"},
		{connection(&op25bv1.CheckFrom{From: "198.18.9.9", Ticket: "DESK-3"}, server), codes.OK, "", "check|an unnamed line on edge-1|DESK-3|connection, revision 1"},
		{connection(&op25bv1.CheckFrom{Line: "adsl-bot", Revision: 1, LocalAt: "2006-12-01", Ticket: "DESK-4"}, server), codes.OK, "", "check|line adsl-bot|DESK-4|connection, revision 1"},
		{mail(&op25bv1.CheckFrom{Line: "adsl-home", Ticket: "DESK-5"}, "taro@secret.example"), codes.OK, "", "check|line adsl-home|DESK-5|mailbox, revision 1"},
		{
			connection(&op25bv1.CheckFrom{Line: "adsl-bot"}, server), codes.InvalidArgument,
			"from.ticket: a look-up of a line requires a ticket; give the ticket, which the audit record keeps (--ticket)",
			"refused check|line adsl-bot||connection, revision 1: missing or invalid ticket",
		},
		{
			mail(&op25bv1.CheckFrom{From: "192.0.2.12"}, "taro@secret.example"), codes.InvalidArgument, "a look-up of a line requires a ticket",
			"refused check|line adsl-bot||mailbox, revision 1: missing or invalid ticket",
		},
		{
			connection(&op25bv1.CheckFrom{Line: "adsl-bot", Ticket: "of 192.0.2.12"}, server), codes.InvalidArgument,
			"from.ticket: the ticket is invalid; must be at most 64 bytes of letters, digits and the characters - _ . : / #",
			"refused check|line adsl-bot||connection, revision 1: missing or invalid ticket",
		},
		{
			connection(&op25bv1.CheckFrom{Line: "adsl-bot", Ticket: "T/192.0.2.12"}, server), codes.InvalidArgument,
			"from.ticket: the ticket contains an IP address; give the number of the ticket, because audit records contain no addresses",
			"refused check|line adsl-bot||connection, revision 1: missing or invalid ticket",
		},
		{
			connection(&op25bv1.CheckFrom{Line: "192.0.2.12", Ticket: "DESK-6"}, server), codes.NotFound, "unknown line",
			"refused check||DESK-6|connection, revision 1: unknown line",
		},
		{
			connection(&op25bv1.CheckFrom{From: "192.0.2.12/32", Ticket: "DESK-7"}, server), codes.InvalidArgument, "must be an IPv4 or IPv6 address",
			"refused check||DESK-7|connection, revision 1: invalid question",
		},
		{
			connection(&op25bv1.CheckFrom{Line: "adsl-bot", Ticket: "DESK-8"}, "mx.secret.example"), codes.NotFound, "mx.secret.example",
			"unanswered check|line adsl-bot|DESK-8|connection, revision 1: host not found",
		},
		{
			mail(&op25bv1.CheckFrom{Line: "adsl-bot", Ticket: "DESK-9"}, "taro@secret"), codes.InvalidArgument, "",
			"refused check|line adsl-bot|DESK-9|mailbox, revision 1: not a mail address",
		},
		{connection(&op25bv1.CheckFrom{Line: "adsl-bot", Files: files}, server), codes.OK, "", ""},
		{mail(&op25bv1.CheckFrom{Line: "adsl-bot", Files: files}, "taro@secret.example"), codes.OK, "", ""},
		{connection(&op25bv1.CheckFrom{Line: "nobody", Files: files}, server), codes.NotFound, "", ""},
		{
			connection(&op25bv1.CheckFrom{Line: "adsl-bot", Files: files, Ticket: ticket}, server), codes.InvalidArgument,
			"from.ticket: the request has files and a ticket; give only one of them: a question with files is not recorded", "",
		},
		{connection(&op25bv1.CheckFrom{Line: "adsl-bot", Revision: 9, Ticket: ticket}, server), codes.NotFound, "", ""}, // no line was looked for
	} {
		if status.Code(q.err) != q.code || q.want != "" && !strings.Contains(q.err.Error(), q.want) {
			t.Errorf("%q: %v, want %v with %q", q.record, q.err, q.code, q.want)
		}
		if q.record != "" {
			verb, rest, _ := strings.Cut(q.record, "|")
			want = append(want, "viewer-bot|viewer|"+verb+"|"+rest)
		}
	}
	got := w.lookups(2)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("records:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	records := strings.Join(got, "\n")
	for _, secret := range []string{"192.0.2.12", "198.18.9.9", server, "secret.example", "taro"} {
		if strings.Contains(records, secret) {
			t.Errorf("the records contain %s", secret)
		}
	}
	w.chain() // verifies the chain
}

// Without an access file, callers on this host need no ticket. Their look-ups are recorded, too. Anonymous callers from other hosts need a
// ticket.
func TestLookupsOnLoopback(t *testing.T) {
	var w *world
	w = newWorld(t, withDesk(&w, nil))
	w.put(spinnet(t))
	c := op25bv1.NewCheckServiceClient(w.dial())
	for _, ticket := range []string{"", "DESK-1"} {
		if _, err := c.Check(within(t), &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-bot", Ticket: ticket}, To: "203.0.113.25", Port: 25}); err != nil {
			t.Error(err)
		}
	}
	want := "local|admin|check|line adsl-bot||connection, revision 1\nlocal|admin|check|line adsl-bot|DESK-1|connection, revision 1"
	if got := strings.Join(w.lookups(2), "\n"); got != want {
		t.Errorf("records:\n%s\nwant:\n%s", got, want)
	}
}

// If a look-up cannot be recorded, there is no answer, not even an error that depends on the line.
func TestLookupWithoutRecord(t *testing.T) {
	var w *world
	w = newWorld(t, withDesk(&w, nil))
	w.put(spinnet(t))
	gone, err := store.Open(within(t), store.Config{Endpoints: []string{nobody(t)}, Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gone.Close() })
	s := checkService{&server{Deps: Deps{Store: gone, Book: w.book, Check: desk.New(desk.Options{}), Now: time.Now}, lookups: newLookups(time.Now)}}
	ctx := context.WithValue(within(t), identityKey{}, auth.Caller{Who: "alice", Role: auth.Viewer, By: auth.ByToken})
	for _, line := range []string{"adsl-bot", "nobody"} {
		from := &op25bv1.CheckFrom{Line: line, Ticket: "DESK-1", Revision: 1, LocalAt: "2006-07-01"}
		answer, err := s.Check(ctx, connect.NewRequest(&op25bv1.CheckRequest{From: from, To: "203.0.113.25", Port: 25}))
		if answer != nil || codeOf(err) != connect.CodeUnavailable || !strings.HasPrefix(err.Error(), "the look-up could not be recorded in the audit chain, so it is not answered: ") {
			t.Errorf("line %s: %v, %v", line, answer, err)
		}
		mail, err := s.CheckMail(ctx, connect.NewRequest(&op25bv1.CheckMailRequest{From: from, Address: "taro@isp.example"}))
		if mail != nil || codeOf(err) != connect.CodeUnavailable {
			t.Errorf("line %s: %v, %v", line, mail, err)
		}
	}
}

// A caller cannot fill the store with look-ups. Other callers are not affected.
func TestLookupsAreLimited(t *testing.T) {
	tokens := make(map[string]string)
	access, err := auth.Open(accessFile(t, tokens, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	var w *world
	w = newWorld(t, withDesk(&w, func(d *Deps) { d.Auth.Access = access }))
	w.put(spinnet(t))
	c := op25bv1.NewCheckServiceClient(w.dial())
	ask := func(role string) error {
		ctx := metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens[role])
		_, err := c.Check(ctx, &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-bot", Ticket: "DESK-1"}, To: "203.0.113.25", Port: 25})
		return err
	}
	for range lookupsAtOnce {
		if err := ask("viewer"); err != nil {
			t.Fatal(err)
		}
	}
	err = ask("viewer")
	want := "too many look-ups of lines by viewer-bot: after 300 look-ups, a caller may make 60 a minute, and all callers together 300"
	if status.Code(err) != codes.ResourceExhausted || status.Convert(err).Message() != want {
		t.Errorf("%v, want %q", err, want)
	}
	if again := detail[*errdetails.RetryInfo](err); again.GetRetryDelay().AsDuration() != lookupAgain {
		t.Errorf("retry after %v, want %v", again, lookupAgain)
	}
	if n := len(w.lookups(2)); n != lookupsAtOnce {
		t.Errorf("%d records, want %d", n, lookupsAtOnce)
	}
	if err := ask("operator"); err != nil {
		t.Errorf("another caller: %v", err)
	}
	w.now = w.now.Add(time.Second)
	if err := ask("viewer"); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

// No ticket that contains an address is accepted, and each ticket of the usual forms is.
func TestTickets(t *testing.T) {
	for _, ticket := range []string{"DESK-4711", "#12", "noc/2026/1", "INC0012345", "受付-12", "2026.07.01-3", strings.Repeat("x", maxTicket)} {
		if err := checkTicket("ticket", ticket, true); err != nil {
			t.Errorf("%q: %v", ticket, err)
		}
	}
	for _, ticket := range []string{" ", "a b", "a\nb", "taro@isp.example", strings.Repeat("x", maxTicket+1), "\u202e1", "a\x00"} {
		if err := checkTicket("ticket", ticket, false); err == nil {
			t.Errorf("%q was accepted", ticket)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var addr netip.Addr
		if rapid.Bool().Draw(t, "v4") {
			addr = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "addr")))
		} else {
			addr = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "addr")))
		}
		text := rapid.SampledFrom([]string{addr.String(), addr.StringExpanded()}).Draw(t, "form")
		ticket := fmt.Sprintf(rapid.SampledFrom([]string{"%s", "T-%s", "%s/32", "x/%s-y", "#%s"}).Draw(t, "around"), text)
		if len(ticket) <= maxTicket && checkTicket("ticket", ticket, true) == nil {
			t.Fatalf("%q was accepted", ticket)
		}
	})
}

// BenchmarkLookup measures a question and its audit record. The floor is the question alone, in the same run; x-answer is the duration with
// the record as a multiple of the floor.
func BenchmarkLookup(b *testing.B) {
	var w *world
	w = newWorld(b, withDesk(&w, nil))
	in := w.put(spinnet(b))
	s := checkService{&server{Deps: Deps{Store: w.store, Check: desk.New(desk.Options{Now: func() time.Time { return w.now }})}}}
	ctx := context.WithValue(context.Background(), identityKey{}, auth.Caller{Who: "alice", Role: auth.Viewer, By: auth.ByToken})
	q := &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-bot", Ticket: "DESK-1"}, To: "203.0.113.25", Port: 25}
	answer := func() {
		if _, err := AnswerCheck(ctx, s.Deps.Check, sourceOf(in), q); err != nil {
			b.Fatal(err)
		}
	}
	answer() // loads the pipelines
	var alone, recorded time.Duration
	for b.Loop() {
		began := time.Now()
		answer()
		answered := time.Now()
		if err := s.recordLookup(ctx, in, "connection", q.From, nil); err != nil {
			b.Fatal(err)
		}
		alone, recorded = alone+answered.Sub(began), recorded+time.Since(began)
	}
	b.ReportMetric(float64(alone.Nanoseconds())/float64(b.N), "ns/answer")
	b.ReportMetric(float64(recorded)/float64(alone), "x-answer")
}
