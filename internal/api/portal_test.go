package api

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/check/desk"
	"op25b/internal/policy"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// newPortalWorld returns a world with a desk that resolves no names.
func newPortalWorld(t testing.TB) *world {
	t.Helper()
	var w *world
	w = newWorld(t, func(d *Deps) {
		d.Check = desk.New(desk.Options{Now: func() time.Time { return w.now }})
	})
	return w
}

// published loads the documents of a publication.
func published(t testing.TB, p *op25bv1.Publication) *policy.Bundle {
	t.Helper()
	var files []strict.File
	for _, f := range p.Files {
		files = append(files, strict.File{Name: f.Name, Data: f.Data})
	}
	b, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The first message has the publication. Each change of the intent and of the phases that switches confirm is sent once. A caller that has
// the publication does not receive it again.
func TestWatchPublication(t *testing.T) {
	w := newPortalWorld(t)
	c := op25bv1.NewPortalServiceClient(w.dial())
	watch := func(known string) (next func(what string) *op25bv1.WatchPublicationResponse, end func() codes.Code) {
		t.Helper()
		stream, err := c.WatchPublication(within(t), &op25bv1.WatchPublicationRequest{Known: known})
		if err != nil {
			t.Fatal(err)
		}
		next = func(what string) *op25bv1.WatchPublicationResponse {
			t.Helper()
			m, err := stream.Recv()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			return m
		}
		return next, func() codes.Code {
			for {
				if _, err := stream.Recv(); err != nil {
					return status.Code(err)
				}
			}
		}
	}
	stream, err := c.WatchPublication(within(t), &op25bv1.WatchPublicationRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("without intent: %v", err)
	}
	w.put(spinnet(t))
	next, end := watch("")
	first := next("the first message")
	if p := first.Publication; first.Id == "" || p.GetId() != first.Id || p.Revision != 1 || p.UtcOffset != "+09:00" || len(p.States) != 3 || p.States[0].Phase != "before" ||
		p.States[0].Switches != 1 || p.States[0].Confirmed != 0 || len(published(t, p).Policy.Exemptions) != 0 {
		t.Fatalf("%v", first)
	}
	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-1", State: converged, Revision: 1, Wanted: 1, Converged: true, InForce: "before"})
	seen := next("a switch confirmed its phase")
	if p := seen.Publication; p == nil || p.Id == first.Id || p.States[0].Confirmed != 1 {
		t.Fatalf("%v", seen)
	}
	other, _ := watch(seen.Id)
	if again := other("a caller that has it"); again.Publication != nil || again.Id != seen.Id || again.Time == nil {
		t.Errorf("%v", again)
	}
	activation, err := op25bv1.NewPhaseServiceClient(w.dial()).Activate(within(t), &op25bv1.ActivateRequest{
		Phase: "all-destinations", Groups: []string{"adsl"}, Switches: []string{"edge-1"}, Base: 1, Reason: "because of Mallory", NoWait: true,
	})
	told(t, activation, err)
	active := next("an activation")
	p := active.Publication
	if p == nil || p.Revision != 2 || len(p.Activations) != 1 || p.Activations[0].Switches[0] != "area-1" || p.Activations[0].Author != "" || p.Activations[0].Reason != "" ||
		p.States[0].LineGroup != "adsl" || p.States[0].Phase != "all-destinations" || p.States[0].Confirmed != 0 || p.States[1].Phase != "before" {
		t.Fatalf("%v", active)
	}
	w.stop()
	if code := end(); code != codes.Unavailable {
		t.Errorf("the controller stops: %v", code)
	}
}

// AskOwnLine answers for the line with the address, from the real documents, and says which published line stands for it.
func TestAskOwnLine(t *testing.T) {
	w := newPortalWorld(t)
	c := op25bv1.NewPortalServiceClient(w.dial())
	ask := func(q *op25bv1.AskOwnLineRequest) *op25bv1.AskOwnLineResponse {
		t.Helper()
		answer, err := c.AskOwnLine(within(t), q)
		if err != nil {
			t.Fatalf("%v: %v", q, err)
		}
		return answer
	}
	server := func(addr, name string) *op25bv1.AskOwnLineRequest {
		return &op25bv1.AskOwnLineRequest{Address: addr, Question: &op25bv1.AskOwnLineRequest_Server{Server: name}}
	}
	if _, err := c.AskOwnLine(within(t), server("192.0.2.12", "203.0.113.25")); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("without intent: %v", err)
	}
	w.put(spinnet(t))
	if got := ask(server("192.0.2.200", "203.0.113.25")); got.Known || got.LineGroup != nil || len(got.Ports) != 0 || got.Revision != 0 {
		t.Errorf("an address that no line has: %v", got)
	}
	w.now = time.Date(2006, 7, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ addr, server, want string }{
		{"192.0.2.12", "203.0.113.25", "25 blocked smtp-carrier"},
		{"::ffff:192.0.2.12", "203.0.113.129", "25 monitored smtp-all"},
		{"2001:db8:1::12", "2001:db8:25::25", "25 delivered relay"},
		{"192.0.2.13", "203.0.113.25", "25 delivered exempt"},
	} {
		got := ask(server(c.addr, c.server))
		if !got.Known || got.Area != "area-1" || got.Line == "" || got.Confirmed || got.Revision != 1 || len(got.Ports) != 3 ||
			got.Ports[1].Port != 465 || got.Ports[2].Port != 587 || !got.Ports[1].Passes || !got.Ports[2].Passes {
			t.Fatalf("%v: %v", c, got)
		}
		p := got.Ports[0]
		if text := strings.Join([]string{"25", p.Outcome, p.Rule.GetName()}, " "); text != c.want {
			t.Errorf("%v: %s", c, text)
		}
	}
	if _, err := c.AskOwnLine(within(t), server("nowhere", "203.0.113.25")); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no address: %v", err)
	}
}
