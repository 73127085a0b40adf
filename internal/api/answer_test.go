package api

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// names is a resolver that knows only its own host names.
type names map[string]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if addr, ok := n[strings.TrimSuffix(host, ".")]; ok {
		return []netip.Addr{netip.MustParseAddr(addr)}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (n names) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	return nil, &net.DNSError{Err: "no such host", Name: domain, IsNotFound: true}
}

func documents(t *testing.T) desk.Source {
	t.Helper()
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	return desk.Source{Source: check.Source{Bundle: b}}
}

func newDesk(t *testing.T) *desk.Desk {
	t.Helper()
	directory, err := mailbox.Load(examples.Providers())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2006, 11, 1, 0, 0, 0, 0, time.UTC)
	return desk.New(desk.Options{
		Directory: directory, Resolver: names{"smtp.gmail.com": "203.0.113.200", "mx.carrier.example": "203.0.113.10"}, Now: func() time.Time { return now },
	})
}

func TestConnection(t *testing.T) {
	d, s := newDesk(t), documents(t)
	r, err := AnswerCheck(t.Context(), d, s, &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home"}, To: "mx.carrier.example", Port: 25, Trace: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Outcome != "blocked" || r.Passes || r.Line != "adsl-home" || r.LineGroup.Name != "adsl" || r.Switch != "edge-1" || r.Phase.Name != "all-destinations" ||
		len(r.Results) != 1 {
		t.Fatalf("got %v", r)
	}
	x := r.Results[0]
	if x.From != "192.0.2.11" || x.To != "203.0.113.10" || x.Rule.GetName() != "smtp-carrier" || x.Rule.Action != "drop" || x.Remote.GetName() != "mobile-carrier" ||
		x.Since.GetName() != "mobile-carriers" || x.Leg != "up_dst" || x.Service != "smtp" {
		t.Errorf("got %v", x)
	}
	if len(x.Trace.GetFrame()) == 0 || len(x.Trace.GetReplyFrame()) == 0 || !strings.Contains(x.Trace.Text, "trace of the SYN-ACK") {
		t.Errorf("the trace is %v", x.Trace)
	}

	// Questions by address and time, about an exemption, and about another phase.
	r, err = AnswerCheck(t.Context(), d, s, &op25bv1.CheckRequest{
		From: &op25bv1.CheckFrom{From: " 192.0.2.13 ", At: timestamppb.New(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC))}, To: "203.0.113.10", Port: 25,
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := r.Results[0].Exemption; e.GetLine() != "business-fixed" || e.Prefix != "" || e.Ticket != "OP25B-17" || e.Expires == nil {
		t.Errorf("the exemption is %v", e)
	}
	if r, err = AnswerCheck(t.Context(), d, s, &op25bv1.CheckRequest{
		From: &op25bv1.CheckFrom{Line: "adsl-home", Phase: "before"}, To: "203.0.113.10", Port: 25,
	}); err != nil || r.Outcome != "monitored" || r.Results[0].Trace != nil {
		t.Errorf("in another phase: %v, %v", r, err)
	}
	if r, err = AnswerCheck(t.Context(), d, s, &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home"}, To: "203.0.113.10", Port: 8080}); err != nil ||
		r.Results[0].Rule != nil || r.Results[0].Remote != nil && r.Results[0].Remote.Name == "" {
		t.Errorf("a port that no rule speaks of: %v, %v", r, err)
	}
}

func TestMailbox(t *testing.T) {
	d, s := newDesk(t), documents(t)
	r, err := AnswerCheckMail(t.Context(), d, s, &op25bv1.CheckMailRequest{From: &op25bv1.CheckFrom{Line: "adsl-home"}, Address: "somebody@gmail.com"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Domain != "gmail.com" || r.Kind != "webmail-or-app" || r.Provider.GetName() != "gmail" || r.Status != "unaffected" || r.MailProgram != "affected" ||
		len(r.Settings) != 2 || r.Settings[0].Port != 465 || r.Settings[0].Status != "unaffected" || len(r.Steps) == 0 || r.Steps[0].En == "" || r.Steps[0].Ja == "" ||
		r.Published == "" {
		t.Errorf("got %v", r)
	}
	if title, note := r.Provider.GetTitle(), r.Settings[0].Note; title.GetEn() != "Gmail" || title.GetJa() != "Gmail" ||
		!strings.Contains(note.GetEn(), "app password") || !strings.Contains(note.GetJa(), "アプリ パスワード") {
		t.Errorf("title %v, note %v", title, note)
	}
	if strings.Contains(r.String(), "somebody") {
		t.Errorf("the mailbox is in the answer: %v", r)
	}
	r, err = AnswerCheckMail(t.Context(), d, s, &op25bv1.CheckMailRequest{
		From: &op25bv1.CheckFrom{Line: "adsl-home", At: timestamppb.New(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC))}, Address: "a@gmail.com",
	})
	if err != nil || r.MailProgram != "unaffected" {
		t.Errorf("before the block: %v, %v", r, err)
	}
}

func TestErrors(t *testing.T) {
	d, s := newDesk(t), documents(t)
	home := &op25bv1.CheckFrom{Line: "adsl-home"}
	for _, c := range []struct {
		q    *op25bv1.CheckRequest
		code connect.Code
		want string
	}{
		{&op25bv1.CheckRequest{From: home, To: "203.0.113.10"}, connect.CodeInvalidArgument, "port 0: TCP ports are 1 to 65535"},
		{&op25bv1.CheckRequest{From: home, To: "203.0.113.10", Port: 65536 + 25}, connect.CodeInvalidArgument, "port 65561"},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "nobody"}, To: "203.0.113.10", Port: 25}, connect.CodeNotFound, "unknown line"},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{From: "x"}, To: "203.0.113.10", Port: 25}, connect.CodeInvalidArgument, `from "x": must be an IPv4 or IPv6 address`},
		{&op25bv1.CheckRequest{To: "203.0.113.10", Port: 25}, connect.CodeInvalidArgument, "invalid question"},
		{&op25bv1.CheckRequest{From: home, To: "nowhere.example", Port: 25}, connect.CodeNotFound, "host not found"},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home", At: &timestamppb.Timestamp{Nanos: -1}}, To: "203.0.113.10", Port: 25}, connect.CodeInvalidArgument, "at: "},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home", At: timestamppb.New(time.Unix(0, 0))}, To: "203.0.113.10", Port: 25}, connect.CodeFailedPrecondition, "no phase in force"},
	} {
		_, err := AnswerCheck(t.Context(), d, s, c.q)
		if err == nil || connect.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error is %v, want %v with %s", c.q, err, c.code, c.want)
		}
	}
	_, err := AnswerCheckMail(t.Context(), d, s, &op25bv1.CheckMailRequest{From: home, Address: "nobody"})
	if connect.CodeOf(err) != connect.CodeInvalidArgument || !errors.Is(err, mailbox.ErrAddress) {
		t.Errorf("error is %v, want ErrAddress", err)
	}
	if _, err = AnswerCheckMail(t.Context(), d, s, &op25bv1.CheckMailRequest{From: &op25bv1.CheckFrom{From: "x"}, Address: "a@b.example"}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("error is %v, want InvalidArgument", err)
	}
	// Errors that the API maps to codes elsewhere are returned unchanged.
	if _, err = AnswerCheck(t.Context(), d, s, &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home", Phase: "x"}, To: "203.0.113.10", Port: 25}); !errors.Is(err, policy.ErrUnknownPhase) {
		t.Errorf("error is %v, want ErrUnknownPhase", err)
	}
}

// A time without a UTC offset is in the policy's offset, and answers show times in that offset. Regression test: with
// the offset +09:00, a question about a date was once answered for the day before.
func TestTimesOfThePolicy(t *testing.T) {
	d, s := newDesk(t), documents(t)
	for _, c := range []struct{ at, outcome, phase string }{
		{"2006-06-01", "blocked", "mobile-carriers"},
		{"2006-05-31 23:59", "monitored", "before"},
		{"2006-05-31 23:59:59", "monitored", "before"},
	} {
		r, err := AnswerCheck(t.Context(), d, s, &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home", LocalAt: c.at}, To: "203.0.113.10", Port: 25})
		if err != nil || r.Outcome != c.outcome || r.Phase.Name != c.phase || r.UtcOffset != "+09:00" {
			t.Errorf("%s: %v, %v", c.at, r, err)
		}
	}
	r, err := AnswerCheck(t.Context(), d, s, &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home", LocalAt: "2006-06-01"}, To: "203.0.113.10", Port: 25})
	if err != nil {
		t.Fatal(err)
	}
	text, err := textOf("", func(v view.View) error { return v.Check(r) })
	for _, want := range []string{"at 2006-06-01 00:00:00 +0900", "    since    2006-06-01 00:00:00 +0900, phase mobile-carriers\n"} {
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s%v", want, text, err)
		}
	}
	mail, err := AnswerCheckMail(t.Context(), d, s, &op25bv1.CheckMailRequest{From: &op25bv1.CheckFrom{Line: "adsl-home", LocalAt: "2006-05-31"}, Address: "a@company.example"})
	if err != nil || mail.UtcOffset != "+09:00" {
		t.Fatalf("%v, %v", mail, err)
	}
	for text, from := range map[string]*op25bv1.CheckFrom{
		`local_at "yesterday": must be a day or a time`: {Line: "adsl-home", LocalAt: "yesterday"},
		"at and local_at: give only one":                {Line: "adsl-home", LocalAt: "2006-06-01", At: timestamppb.New(time.Unix(0, 0))},
	} {
		_, err := AnswerCheck(t.Context(), d, s, &op25bv1.CheckRequest{From: from, To: "203.0.113.10", Port: 25})
		if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), text) {
			t.Errorf("error is %v, want %s", err, text)
		}
	}
}

// The text of an answer contains what the command line prints.
func TestTextOfAnswers(t *testing.T) {
	d, s := newDesk(t), documents(t)
	for _, c := range []struct {
		from *op25bv1.CheckFrom
		to   string
		port uint32
		want string
	}{
		{&op25bv1.CheckFrom{Line: "adsl-bot", LocalAt: "2006-07-01"}, "203.0.113.129", 25, `line adsl-bot (adsl, FLET'S ADSL) on edge-1 -> 203.0.113.129 port 25
by documents that are not applied, at 2006-07-01 00:00:00 +0900, in phase mobile-carriers, Mail
    straight to the mobile carriers is stopped

MONITORED  192.0.2.12 -> 203.0.113.129
    rule     smtp-all (6): smtp (TCP 25) of every line to any server passes, and is counted as what
             a drop would stop
    as       smtp to a server in no class, on up_dst
    since    2006-05-18 00:00:00 +0900, phase before
    next     blocked from 2006-10-01 00:00:00 +0900, by rule smtp-all, phase all-destinations

do:   Before then, set the port of the outgoing server in the mail program to 465 or 587, and use
      SMTP authentication.
do:   A mail server or a device on this line that sends by itself: send through our own mail relay
      “Our own mail relays” (198.51.100.16/28, 2001:db8:25::/64, ports 25, 465, 587). This line
      cannot have an exemption, because its address may change with each connection.
`},
		{&op25bv1.CheckFrom{Line: "business-fixed", LocalAt: "2006-12-01"}, "203.0.113.25", 25, `line business-fixed (bflets, B FLET'S) on edge-1 -> 203.0.113.25 port 25
by documents that are not applied, at 2006-12-01 00:00:00 +0900, in phase all-destinations, Mail
    that does not pass our relay is stopped, whoever it is for

DELIVERED  192.0.2.13 -> 203.0.113.25
    rule     exempt (4): mail of an exempt address to any server passes: smtp (TCP 25)
    as       smtp to mobile-carrier, The mobile carriers' mail servers, on up_dst
    exempt   line business-fixed, until the end of 2007-03-31; noc@isp.example: fixed address with a
             mail server of its own (OP25B-17)
    since    2006-05-18 00:00:00 +0900, phase before
`},
		{&op25bv1.CheckFrom{From: "10.1.1.1", LocalAt: "2006-12-01"}, "203.0.113.129", 443, `unnamed line on edge-1 -> 203.0.113.129 port 443
by documents that are not applied, at 2006-12-01 00:00:00 +0900, in phase all-destinations, Mail
    that does not pass our relay is stopped, whoever it is for

DELIVERED  10.1.1.1 -> 203.0.113.129
    rule     no rule matches this port: it passes
    since    2006-05-18 00:00:00 +0900, phase before

note: no line of the inventory has 10.1.1.1: it is an unnamed line on switch "edge-1", and only
      rules for every line match it
`},
	} {
		r, err := AnswerCheck(t.Context(), d, s, &op25bv1.CheckRequest{From: c.from, To: c.to, Port: c.port})
		if err != nil {
			t.Fatal(err)
		}
		text, err := textOf("", func(v view.View) error { return v.Check(r) })
		if err != nil || text != c.want {
			t.Errorf("%v\n%s\nwant\n%s", err, text, c.want)
		}
	}
}

// The text of an answer about a mailbox has its steps in the requested language.
func TestLanguages(t *testing.T) {
	d, s := newDesk(t), documents(t)
	for language, want := range map[string][2]string{"": {"cannot send from your line", "メール"}, "en": {"cannot send from your line", "メール"}, "ja": {"メール", "cannot send"}} {
		r, err := AnswerCheckMail(t.Context(), d, s, &op25bv1.CheckMailRequest{
			From: &op25bv1.CheckFrom{Line: "adsl-home", LocalAt: "2006-12-01"}, Address: "taro@gmail.com", Language: language,
		})
		if err != nil || !strings.Contains(r.Text, want[0]) || strings.Contains(r.Text, want[1]) {
			t.Errorf("%q: %v\n%s", language, err, r.GetText())
		}
	}
}

// Every answer that contains dates of the policy also contains the policy's UTC offset. Without a policy, the offset is
// empty.
func TestOffsets(t *testing.T) {
	w := newWorld(t, nil)
	ctx, conn := within(t), w.dial()
	intents, phases, audit := op25bv1.NewIntentServiceClient(conn), op25bv1.NewPhaseServiceClient(conn), op25bv1.NewAuditServiceClient(conn)
	if r, err := audit.ListRecords(ctx, &op25bv1.ListRecordsRequest{}); err != nil || r.UtcOffset != "" {
		t.Errorf("without a policy: %v, %v", r, err)
	}
	w.put(spinnet(t))
	type answer interface{ GetUtcOffset() string }
	for name, ask := range map[string]func() (answer, error){
		"phases":  func() (answer, error) { return phases.ListPhases(ctx, &op25bv1.ListPhasesRequest{}) },
		"phase":   func() (answer, error) { return phases.ShowPhase(ctx, &op25bv1.ShowPhaseRequest{Phase: "before"}) },
		"preview": func() (answer, error) { return phases.Preview(ctx, &op25bv1.PreviewRequest{Phase: "before"}) },
		"history": func() (answer, error) { return intents.History(ctx, &op25bv1.HistoryRequest{}) },
		"records": func() (answer, error) { return audit.ListRecords(ctx, &op25bv1.ListRecordsRequest{}) },
		"plan": func() (answer, error) {
			r, err := intents.Plan(ctx, &op25bv1.PlanRequest{})
			return r.GetPlan(), err
		},
	} {
		if r, err := ask(); err != nil || r.GetUtcOffset() != "+09:00" {
			t.Errorf("%s: offset %q, %v", name, r.GetUtcOffset(), err)
		}
	}
}
