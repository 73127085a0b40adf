package desk

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names resolves what it has, and nothing else.
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

func documents(t *testing.T) check.Source {
	t.Helper()
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	return check.Source{Bundle: b}
}

func newDesk(t *testing.T) *Desk {
	t.Helper()
	directory, err := mailbox.Load(examples.Providers())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2006, 11, 1, 0, 0, 0, 0, time.UTC)
	return New(Options{
		Directory: directory, Resolver: names{"smtp.gmail.com": "203.0.113.200", "mx.carrier.example": "203.0.113.10"}, Now: func() time.Time { return now },
	})
}

func TestConnection(t *testing.T) {
	d, s := newDesk(t), documents(t)
	r, err := d.CheckFrom(t.Context(), s, &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home"}, To: "mx.carrier.example", Port: 25, Trace: true})
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

	// An address, a moment, an exemption, and what comes later.
	r, err = d.CheckFrom(t.Context(), s, &op25bv1.CheckRequest{
		From: &op25bv1.CheckFrom{From: " 192.0.2.13 ", At: timestamppb.New(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC))}, To: "203.0.113.10", Port: 25,
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := r.Results[0].Exemption; e.GetLine() != "business-fixed" || e.Prefix != "" || e.Ticket != "OP25B-17" || e.Expires == nil {
		t.Errorf("the exemption is %v", e)
	}
	if r, err = d.CheckFrom(t.Context(), s, &op25bv1.CheckRequest{
		From: &op25bv1.CheckFrom{Line: "adsl-home", Phase: "before"}, To: "203.0.113.10", Port: 25,
	}); err != nil || r.Outcome != "monitored" || r.Results[0].Trace != nil {
		t.Errorf("in another phase: %v, %v", r, err)
	}
	if r, err = d.CheckFrom(t.Context(), s, &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home"}, To: "203.0.113.10", Port: 8080}); err != nil ||
		r.Results[0].Rule != nil || r.Results[0].Remote != nil && r.Results[0].Remote.Name == "" {
		t.Errorf("a port that no rule speaks of: %v, %v", r, err)
	}
}

func TestMailbox(t *testing.T) {
	d, s := newDesk(t), documents(t)
	r, err := d.CheckMailFrom(t.Context(), s, &op25bv1.CheckMailRequest{From: &op25bv1.CheckFrom{Line: "adsl-home"}, Address: "somebody@gmail.com"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Domain != "gmail.com" || r.Kind != "webmail-or-app" || r.Provider.GetName() != "gmail" || r.Status != "unaffected" || r.MailProgram != "affected" ||
		len(r.Settings) != 2 || r.Settings[0].Port != 465 || r.Settings[0].Status != "unaffected" || len(r.Steps) == 0 || r.Steps[0].En == "" || r.Steps[0].Ja == "" ||
		r.Published == "" {
		t.Errorf("got %v", r)
	}
	if strings.Contains(r.String(), "somebody") {
		t.Errorf("the mailbox is in the answer: %v", r)
	}
	r, err = d.CheckMailFrom(t.Context(), s, &op25bv1.CheckMailRequest{
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
		{&op25bv1.CheckRequest{To: "203.0.113.10", Port: 25}, connect.CodeInvalidArgument, "not a question"},
		{&op25bv1.CheckRequest{From: home, To: "nowhere.example", Port: 25}, connect.CodeNotFound, "host not found"},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home", At: &timestamppb.Timestamp{Nanos: -1}}, To: "203.0.113.10", Port: 25}, connect.CodeInvalidArgument, "at: "},
		{&op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home", At: timestamppb.New(time.Unix(0, 0))}, To: "203.0.113.10", Port: 25}, connect.CodeFailedPrecondition, "no phase in force"},
	} {
		_, err := d.CheckFrom(t.Context(), s, c.q)
		if err == nil || connect.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error is %v, want %v with %s", c.q, err, c.code, c.want)
		}
	}
	_, err := d.CheckMailFrom(t.Context(), s, &op25bv1.CheckMailRequest{From: home, Address: "nobody"})
	if connect.CodeOf(err) != connect.CodeInvalidArgument || !errors.Is(err, mailbox.ErrAddress) {
		t.Errorf("error is %v, want ErrAddress", err)
	}
	if _, err = d.CheckMailFrom(t.Context(), s, &op25bv1.CheckMailRequest{From: &op25bv1.CheckFrom{From: "x"}, Address: "a@b.example"}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("error is %v, want InvalidArgument", err)
	}
	// What the API has its own words for stays as it is.
	if _, err = d.CheckFrom(t.Context(), s, &op25bv1.CheckRequest{From: &op25bv1.CheckFrom{Line: "adsl-home", Phase: "x"}, To: "203.0.113.10", Port: 25}); !errors.Is(err, policy.ErrUnknownPhase) {
		t.Errorf("error is %v, want ErrUnknownPhase", err)
	}
}

// The revisions used last stay loaded, and a proposal, which has no number, is never taken for another.
func TestKept(t *testing.T) {
	d, s := newDesk(t), documents(t)
	of := func(number uint64) *check.Checker {
		return d.of(&intent.Intent{Revision: store.Revision{Number: number}, Bundle: s.Bundle, Numbers: s.Numbers})
	}
	one, two := of(1), of(2)
	if one == two || of(1) != one || of(2) != two {
		t.Error("a revision was loaded twice, or taken for another")
	}
	of(1)
	three := of(3)
	if of(1) != one || of(3) != three {
		t.Error("one of those used last was given up")
	}
	if of(2) == two || len(d.loaded) != kept {
		t.Errorf("the one not used was kept: %d", len(d.loaded))
	}
	if first, second := of(0), of(0); first == second {
		t.Error("two proposals had the same checker")
	}
}
