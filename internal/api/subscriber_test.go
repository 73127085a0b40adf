package api

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"op25b/internal/auth"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/register"
	op25bv1 "op25b/proto/op25b/v1"
)

// oneSession is a register in which the line adsl-home has an address by its session.
type oneSession struct {
	ready bool
	addr  netip.Addr
}

func (s oneSession) Holder(a netip.Addr) (register.Found, bool) {
	began := time.Date(2006, 5, 19, 0, 0, 0, 0, time.UTC)
	return register.Found{
		Line:    subscriber.Line{Switch: "edge-1", Name: "adsl-home", Group: "adsl"},
		Session: subscriber.Session{NAS: "bng-1", Began: began, Heard: began.Add(time.Hour)},
	}, a == s.addr
}

func (s oneSession) Report(context.Context, subscriber.Event, []string) (subscriber.Outcome, error) {
	return subscriber.NoLine, nil
}

func (s oneSession) Counts() (map[string]register.Count, error) {
	if !s.ready {
		return nil, register.ErrNotReady
	}
	return map[string]register.Count{"edge-2": {Lines: 4}, "edge-1": {Lines: 3, Sessions: 1}}, nil
}

// TestFindAddress verifies that the line of an address is found by its session or the inventory, and that the audit chain has a record of each
// look-up, with the line and the ticket, but without the address. A caller below operator finds nothing.
func TestFindAddress(t *testing.T) {
	tokens := make(map[string]string)
	access, err := auth.Open(accessFile(t, tokens, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	const dynamic, fixed, nobody = "203.0.113.77", "192.0.2.13", "203.0.113.78"
	w := newWorld(t, func(d *Deps) {
		d.Auth.Access = access
		d.Sessions = oneSession{ready: true, addr: netip.MustParseAddr(dynamic)}
	})
	w.put(spinnet(t)) // audit record 1
	c := op25bv1.NewSubscriberServiceClient(w.dial())
	ask := func(role, addr, ticket string) (*op25bv1.FindAddressResponse, error) {
		ctx := metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens[role])
		return c.FindAddress(ctx, &op25bv1.FindAddressRequest{Address: addr, Ticket: ticket})
	}
	var want []string
	for _, q := range []struct{ addr, line, record string }{
		{dynamic, "adsl-home", "find|line adsl-home|ABUSE-1|by an address, revision 1"},
		{"::ffff:" + dynamic, "adsl-home", "find|line adsl-home|ABUSE-1|by an address, revision 1"},
		{fixed, "business-fixed", "find|line business-fixed|ABUSE-1|by an address, revision 1"},
		{nobody, "", "find|no line|ABUSE-1|by an address, revision 1"},
	} {
		a, err := ask("operator", q.addr, "ABUSE-1")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, "operator-bot|operator|"+q.record)
		if a.Found != (q.line != "") || a.Line != q.line || a.Record != uint64(1+len(want)) {
			t.Errorf("%s: %v", q.addr, a)
		}
		if a.Dynamic != (q.line == "adsl-home") || a.Dynamic && (a.AccessServer != "bng-1" || a.Switch != "edge-1" || a.LineGroup != "adsl" || a.Heard.AsTime().Sub(a.Since.AsTime()) != time.Hour) {
			t.Errorf("%s: %v", q.addr, a)
		}
	}
	for _, q := range []struct {
		role, addr, ticket string
		code               codes.Code
		message, record    string
	}{
		{"operator", dynamic, "", codes.InvalidArgument, "ticket: a look-up of a line requires a ticket; give the ticket, which the audit record keeps (--ticket)", "refused find|||ticket: a look-up"},
		{"operator", dynamic, dynamic, codes.InvalidArgument, "ticket: the ticket contains an IP address; give the number of the ticket, because audit records contain no addresses", "refused find|||ticket: the ticket contains"},
		{"operator", dynamic + "/32", "ABUSE-1", codes.InvalidArgument, "address: the address is invalid; must be an IPv4 or IPv6 address, such as 192.0.2.11", "refused find|||address: the address is invalid"},
		{"viewer", dynamic, "ABUSE-1", codes.PermissionDenied, "viewer-bot has the role viewer, but /op25b.v1.SubscriberService/FindAddress requires operator", "refused find|||viewer-bot has the role viewer"},
	} {
		_, err := ask(q.role, q.addr, q.ticket)
		if status.Code(err) != q.code || status.Convert(err).Message() != q.message {
			t.Errorf("%s: %v, want %s", q.addr, err, q.message)
		}
		want = append(want, q.role+"-bot|"+q.role+"|"+q.record)
	}
	got := w.lookups(2)
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("records\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, place := range append(got, logsOf(w)...) {
		if strings.Contains(place, "203.0.113.7") || strings.Contains(place, fixed) {
			t.Errorf("the address is in %q", place)
		}
	}
}

// logsOf returns the messages and fields that a world has logged.
func logsOf(w *world) (all []string) {
	for _, e := range w.logs.All() {
		text := e.Message
		for _, f := range e.Context {
			text += " " + f.String
			if err, is := f.Interface.(error); is {
				text += " " + err.Error()
			}
		}
		all = append(all, text)
	}
	return all
}

// TestListSessions verifies the counts of sessions, and the answers of a controller that does not know them.
func TestListSessions(t *testing.T) {
	w := newWorld(t, func(d *Deps) { d.Name, d.Sessions = "noc-1", oneSession{ready: true} })
	r, err := op25bv1.NewSubscriberServiceClient(w.dial()).ListSessions(within(t), &op25bv1.ListSessionsRequest{})
	if err != nil || r.Controller != "noc-1" || len(r.Switches) != 2 || r.Switches[0].Switch != "edge-1" || r.Switches[0].Lines != 3 || r.Switches[0].Sessions != 1 || r.Switches[1].Lines != 4 ||
		r.Switches[0].Entries.GetInForce() != 1 || r.Switches[1].Entries != nil {
		t.Errorf("%v, %v", r, err)
	}
	for _, c := range []struct {
		sessions Sessions
		code     codes.Code
		message  string
	}{
		{nil, codes.Unimplemented, "this controller reads no sessions: start op25b serve with --session-key or --radius"},
		{oneSession{}, codes.Unavailable, "the inventory or the sessions have not been read yet"},
	} {
		w := newWorld(t, func(d *Deps) { d.Sessions = c.sessions })
		client := op25bv1.NewSubscriberServiceClient(w.dial())
		_, err := client.ListSessions(within(t), &op25bv1.ListSessionsRequest{})
		_, finds := client.FindAddress(within(t), &op25bv1.FindAddressRequest{Address: "192.0.2.11"})
		for _, err := range []error{err, finds} {
			if status.Code(err) != c.code || status.Convert(err).Message() != c.message {
				t.Errorf("%v, want %s", err, c.message)
			}
		}
	}
}

// TestOwnLineBySession verifies that the portal finds its visitor's line by the session, and that a fixed address comes first.
func TestOwnLineBySession(t *testing.T) {
	const dynamic = "203.0.113.77"
	var w *world
	w = newWorld(t, withDesk(&w, func(d *Deps) { d.Sessions = oneSession{ready: true, addr: netip.MustParseAddr(dynamic)} }))
	w.put(spinnet(t))
	c := op25bv1.NewPortalServiceClient(w.dial())
	for addr, group := range map[string]string{dynamic: "adsl", "192.0.2.13": "bflets", "203.0.113.78": ""} {
		a, err := c.AskOwnLine(within(t), &op25bv1.AskOwnLineRequest{Address: addr, Question: &op25bv1.AskOwnLineRequest_Server{Server: "203.0.113.129"}})
		if err != nil || a.Known != (group != "") || a.LineGroup.GetName() != group || (group != "") != (len(a.Ports) == 3) {
			t.Errorf("%s: %v, %v", addr, a, err)
		}
	}
}
