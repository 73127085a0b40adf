package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"op25b/examples"
	"op25b/internal/auth"
	"op25b/internal/check/desk"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// brokenDNS is a resolver that finds nothing for now.
type brokenDNS struct{}

func (brokenDNS) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
}

func (brokenDNS) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	return nil, &net.DNSError{Err: "server misbehaving", Name: domain, IsTemporary: true}
}

// newPortalWorld returns a world with a desk that can look up no names.
func newPortalWorld(t testing.TB) *world {
	t.Helper()
	var w *world
	w = newWorld(t, func(d *Deps) {
		d.OwnLine = desk.New(desk.Options{Now: func() time.Time { return w.now }, Resolver: desk.NewBounded(brokenDNS{})})
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
	if p := first.Publication; first.Id == "" || p.GetId() != first.Id || p.Revision != 1 || p.UtcOffset != "+09:00" || len(p.States) != 6 || p.States[0].Phase != "before" ||
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

// ownServer returns a question about a server, and ownMailbox one about a mailbox.
func ownServer(addr, name string) *op25bv1.AskOwnLineRequest {
	return &op25bv1.AskOwnLineRequest{Address: addr, Question: &op25bv1.AskOwnLineRequest_Server{Server: name}}
}

func ownMailbox(addr, mailbox, language string) *op25bv1.AskOwnLineRequest {
	return &op25bv1.AskOwnLineRequest{Address: addr, Question: &op25bv1.AskOwnLineRequest_Mailbox{Mailbox: mailbox}, Language: language}
}

// AskOwnLine answers for the line with the address and says which published line stands for it. A line with an exemption is answered from the
// real documents, and only the end of the exemption is told.
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
	if _, err := c.AskOwnLine(within(t), ownServer("192.0.2.12", "203.0.113.25")); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("without intent: %v", err)
	}
	w.put(spinnet(t))
	if got := ask(ownServer("192.0.2.200", "203.0.113.25")); !proto.Equal(got, &op25bv1.AskOwnLineResponse{}) {
		t.Errorf("an address that no line has: %v", got)
	}

	w.now = time.Date(2006, 4, 1, 0, 0, 0, 0, time.UTC) // before the first phase
	early := ask(ownServer("192.0.2.12", "203.0.113.25"))
	if !early.Known || early.Phase != nil || len(early.Ports) != 3 || early.Ports[0].Outcome != "" || early.Ports[0].Problem != "The policy has not begun yet." {
		t.Errorf("before the first phase: %v", early)
	}
	if _, err := c.AskOwnLine(within(t), ownMailbox("192.0.2.12", "taro@isp.example", "")); status.Code(err) != codes.FailedPrecondition || strings.Contains(err.Error(), "edge-1") {
		t.Errorf("before the first phase: %v", err)
	}

	w.now = time.Date(2006, 7, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		addr, server string
		want         string // the outcomes, and the rule of port 25
		next         string
	}{
		{"192.0.2.12", "203.0.113.25", "blocked delivered delivered smtp-carrier", ""},
		{" ::ffff:192.0.2.12 ", "203.0.113.129", "monitored delivered delivered smtp-all", "all-destinations"},
		{"192.0.2.12", "2001:db8:ca::25", "blocked delivered delivered smtp-carrier", ""},
		{"2001:db8:1::12", "2001:db8:25::25", "delivered delivered delivered relay", ""},
		{"192.0.2.13", "203.0.113.25", "delivered delivered delivered exempt", ""},
		{"192.0.2.13", "2001:db8:ca::25", "delivered delivered delivered exempt", ""},
		{"192.0.2.12", "smtp.example", " delivered delivered ", ""}, // the name cannot be looked up
	} {
		got := ask(ownServer(c.addr, c.server))
		if !got.Known || got.Area != "area-1" || got.Line == "" || got.Confirmed || got.Revision != 1 || got.Phase.GetName() != "mobile-carriers" || got.Time == nil ||
			!got.Phase.Since.AsTime().Equal(time.Date(2006, 5, 31, 15, 0, 0, 0, time.UTC)) || (got.ExemptUntil != nil) != (c.addr == "192.0.2.13") {
			t.Fatalf("%v: %v", c, got)
		}
		var outcomes []string
		for i, p := range got.Ports {
			outcomes = append(outcomes, p.Outcome)
			if p.Port != []uint32{25, 465, 587}[i] || p.Passes != (p.Outcome != "" && p.Outcome != "blocked") || (p.Problem != "") != (p.Outcome == "") {
				t.Errorf("%v: %v", c, p)
			}
		}
		p := got.Ports[0]
		if text := strings.Join(append(outcomes, p.Rule.GetName()), " "); text != c.want || p.Next.GetPhase().GetName() != c.next {
			t.Errorf("%v: %q, next %v", c, text, p.Next)
		}
		text, err := prototext.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		for _, private := range []string{"OP25B-17", "noc@isp.example", "mail server of its own", "edge-1", "business-fixed", "adsl-bot", "192.0.2."} {
			if strings.Contains(string(text), private) {
				t.Errorf("%v: the answer has %q: %s", c, private, text)
			}
		}
	}
	if until := ask(&op25bv1.AskOwnLineRequest{Address: "192.0.2.13"}).ExemptUntil; !until.AsTime().Equal(time.Date(2007, 3, 31, 15, 0, 0, 0, time.UTC)) {
		t.Errorf("the exemption ends %v", until.AsTime())
	}
	w.now = time.Date(2007, 4, 1, 0, 0, 0, 0, time.UTC)
	if got := ask(ownServer("192.0.2.13", "203.0.113.25")); got.ExemptUntil != nil || got.Ports[0].Outcome != "blocked" {
		t.Errorf("after the exemption: %v", got)
	}

	mail := ask(ownMailbox("192.0.2.12", "taro@unknown.example", "ja")).Mailbox
	if mail.GetDomain() != "unknown.example" || mail.Status != "affected" || len(mail.Settings) != 2 || mail.Settings[0].Status != "unaffected" || !strings.ContainsFunc(mail.Text, func(r rune) bool { return r > 0x3000 }) {
		t.Errorf("%v", mail)
	}
	if exempt := ask(ownMailbox("192.0.2.13", "taro@unknown.example", "")).Mailbox; exempt.GetStatus() != "affected" { // the exemption has ended
		t.Errorf("%v", exempt)
	}
	for want, q := range map[string]*op25bv1.AskOwnLineRequest{
		`address "nowhere": must be an IPv4 or IPv6 address, such as 192.0.2.11`: ownServer("nowhere", "203.0.113.25"),
		`address "fe80::1%eth0": must be an IPv4 or IPv6 address`:                ownServer("fe80::1%eth0", "203.0.113.25"),
		"give a server's name, as in mail.example.jp, or its address":            ownServer("192.0.2.12", "no name"),
		"no server has this address":                                             ownServer("192.0.2.12", "127.0.0.1"),
		"not a mail address":                                                     ownMailbox("192.0.2.12", "taro", ""),
		"the server or mailbox has 600 bytes: must be at most 512":               ownServer("192.0.2.12", strings.Repeat("x", 600)),
	} {
		if _, err := c.AskOwnLine(within(t), q); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", q, err, want)
		}
	}
}

// TestAskOwnLineAfterLogin verifies that the answer about a port that a POP3 or IMAP login opens says for how long, for a line that can have the
// lease only, and without what identifies the line.
func TestAskOwnLineAfterLogin(t *testing.T) {
	var w *world
	w = newWorld(t, func(d *Deps) {
		d.OwnLine = desk.New(desk.Options{Now: func() time.Time { return w.now }})
		d.Leases = &someLeases{}
	})
	c := op25bv1.NewPortalServiceClient(w.dial())
	w.put(edited(t, examples.SpinNet2022(), "127.0.0.1:9559", nobody(t)))
	for _, tc := range []struct {
		at           time.Time
		addr, server string
		want         time.Duration // of port 587; no other port is opened by a login
	}{
		{time.Date(2006, 6, 20, 0, 0, 0, 0, time.UTC), "192.0.2.12", "198.51.100.25", 10 * time.Minute},
		{time.Date(2006, 6, 20, 0, 0, 0, 0, time.UTC), "192.0.2.12", "203.0.113.129", 0},
		{time.Date(2006, 6, 20, 0, 0, 0, 0, time.UTC), "192.0.2.13", "198.51.100.25", 0}, // is exempt
		{time.Date(2006, 6, 2, 0, 0, 0, 0, time.UTC), "192.0.2.12", "198.51.100.25", 0},
		{time.Date(2022, 8, 2, 0, 0, 0, 0, time.UTC), "192.0.2.12", "198.51.100.25", 0},
	} {
		w.now = tc.at
		a, err := c.AskOwnLine(within(t), ownServer(tc.addr, tc.server))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range a.Ports {
			want := tc.want
			if p.Port != 587 {
				want = 0
			}
			if got := p.AfterLogin.GetLasts().AsDuration(); got != want || got > 0 && p.Passes {
				t.Errorf("%v, %s to %s: port %d passes %t, after a login for %v; want %v", tc.at, tc.addr, tc.server, p.Port, p.Passes, got, want)
			}
		}
		text, err := prototext.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, private := range []string{"adsl-bot", "192.0.2.", "edge-1"} {
			if strings.Contains(string(text), private) {
				t.Errorf("the answer has %q: %s", private, text)
			}
		}
	}
}

// A line counts as confirmed only if its own switch confirmed the phases that should be in force, and while the store answers.
func TestOwnLineConfirmed(t *testing.T) {
	w := newPortalWorld(t)
	w.put(edited(t, examples.LibmoMobile()))
	w.now = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	c := op25bv1.NewPortalServiceClient(w.dial())
	confirmed := func() bool {
		t.Helper()
		got, err := c.AskOwnLine(within(t), &op25bv1.AskOwnLineRequest{Address: "192.0.2.21"}) // a line of edge-east
		if err != nil || !got.Known {
			t.Fatalf("%v, %v", got, err)
		}
		return got.Confirmed
	}
	st := func(name, phase string, revision uint64) *op25bv1.SwitchStatus {
		return &op25bv1.SwitchStatus{Switch: name, State: converged, Revision: revision, Wanted: revision, Converged: true, InForce: phase}
	}
	if confirmed() {
		t.Error("before any switch reported")
	}
	for _, tc := range []struct {
		statuses []*op25bv1.SwitchStatus
		want     bool
	}{
		{[]*op25bv1.SwitchStatus{st("edge-west", "all-destinations", 1), st("edge-south", "all-destinations", 1)}, false},
		{[]*op25bv1.SwitchStatus{st("edge-east", "drain", 1), st("edge-west", "all-destinations", 1)}, false},
		{[]*op25bv1.SwitchStatus{st("edge-east", "all-destinations", 0)}, false},
		{[]*op25bv1.SwitchStatus{st("edge-east", "all-destinations", 1)}, true},
	} {
		w.switches.tell(tc.statuses...)
		if got := confirmed(); got != tc.want {
			t.Errorf("%v: confirmed: %v", tc.statuses, got)
		}
	}
}

// Neither a visitor's address nor the question is in the log, in the metrics, or in the audit chain.
func TestOwnLineSecrecy(t *testing.T) {
	var registry *prometheus.Registry
	var w *world
	w = newWorld(t, func(d *Deps) {
		d.OwnLine = desk.New(desk.Options{Now: func() time.Time { return w.now }})
		registry = d.Metrics
	})
	w.put(spinnet(t))
	before := w.chain()
	c := op25bv1.NewPortalServiceClient(w.dial())
	for _, q := range []*op25bv1.AskOwnLineRequest{
		ownServer("192.0.2.12", "secret.example"), ownMailbox("192.0.2.12", "secret@secret.example", ""), ownServer("2001:db8:1::12", "secret name"),
		ownMailbox("192.0.2.12", "secret", ""), ownServer("secret", "secret.example"), ownServer("203.0.113.77", "secret.example"),
	} {
		_, _ = c.AskOwnLine(within(t), q)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, f := range families {
		told = append(told, f.String())
	}
	calls := 0
	for _, line := range w.logs.All() {
		told = append(told, fmt.Sprint(line.Message, line.ContextMap()))
		if line.ContextMap()["call"] == "/op25b.v1.PortalService/AskOwnLine" {
			calls++
		}
	}
	for _, text := range told {
		for _, private := range []string{"secret", "192.0.2.12", "2001:db8:1::12", "203.0.113.77", "adsl-bot"} {
			if strings.Contains(text, private) {
				t.Errorf("%s is told: %s", private, text)
			}
		}
	}
	if calls != 6 {
		t.Errorf("%d calls are in the log, want 6 without their contents", calls)
	}
	if after := w.chain(); len(after) != len(before) {
		t.Errorf("the chain has more records: %v", after[len(before):])
	}
}

// A portal's token may call PortalService and the health check, and nothing else: no other call, page or service. Strangers may not even call
// PortalService.
func TestPortalRole(t *testing.T) {
	tokens := make(map[string]string)
	access, err := auth.Open(accessFile(t, tokens, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler
	w := newWorld(t, func(d *Deps) {
		d.Auth.Access = access
		d.OwnLine = desk.New(desk.Options{})
		other := *d
		other.Metrics = nil
		handler = New(other)
	})
	w.put(spinnet(t))
	conn := w.dial()
	open := map[string]bool{"/op25b.v1.PortalService/WatchPublication": true, "/op25b.v1.PortalService/AskOwnLine": true, healthCheck: true}
	for procedure := range verbs {
		if procedure == reflectV1 || procedure == reflectV1Alpha {
			continue // asked below
		}
		err := invoke(metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens["portal"]), conn, procedure)
		if denied := status.Code(err) == codes.PermissionDenied; denied == open[procedure] || status.Code(err) == codes.Unauthenticated {
			t.Errorf("portal, %s: %v", procedure, err)
		}
		if err := invoke(within(t), conn, procedure); (status.Code(err) == codes.Unauthenticated) != (procedure != healthCheck) {
			t.Errorf("a stranger, %s: %v", procedure, err)
		}
	}
	for procedure := range gnmiVerbs {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, procedure, nil)
		r.Header.Set("Authorization", "Bearer "+tokens["portal"])
		if _, err := GateOf(handler).Admit(r); status.Code(err) != codes.PermissionDenied {
			t.Errorf("gNMI, %s: %v", procedure, err)
		}
	}
	if code, body := get(t, "http://"+w.addr+"/metrics", "Authorization", "Bearer "+tokens["portal"]); code != 403 || !strings.Contains(body, "portal-bot has the role portal, but /metrics requires viewer") {
		t.Errorf("/metrics: %d %s", code, body)
	}
	reflection := grpc_reflection_v1.NewServerReflectionClient(conn)
	stream, err := reflection.ServerReflectionInfo(metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens["portal"]))
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("reflection: %v", err)
	}
}

// A publisher sends an edition at the interval of the signs of life even if nothing changes. While the store does not answer, the time of the
// editions stands still, and no phase counts as confirmed.
func TestSignsOfLife(t *testing.T) {
	w := newPortalWorld(t)
	in := w.put(spinnet(t))
	s := &server{Deps: Deps{Store: w.store, Book: w.book, Switches: newShared(w.switches), Now: time.Now}}
	s.changes.watch = func(ctx context.Context) <-chan intent.Update { return w.book.Watch(ctx, 0) }
	p := newPublisher(s)
	p.every = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	editions := p.watch(ctx)
	first := <-editions
	for range 3 {
		next := <-editions
		if next.publication.Id != first.publication.Id || !next.at.After(first.at) || next.err != nil {
			t.Fatalf("%+v after %+v", next, first)
		}
		first = next
	}
	f := followed{in: in, begun: true, statuses: []*op25bv1.SwitchStatus{{Switch: "edge-1", Revision: 1, Wanted: 1, Converged: true, InForce: "all-destinations"}}}
	seen := p.edition(&f, first)
	if seen.publication.States[0].Confirmed != 1 || !seen.at.After(first.at) {
		t.Errorf("%+v", seen)
	}
	p.answers = func() bool { return false }
	away := p.edition(&f, seen)
	if again := p.edition(&f, away); away.publication.States[0].Confirmed != 0 || !away.at.Equal(seen.at) || !again.at.Equal(seen.at) || len(away.seen) != 0 {
		t.Errorf("while the store does not answer: %+v, %+v", away, again)
	}
	p.answers = func() bool { return true }
	if back := p.edition(&f, away); back.publication.Id != seen.publication.Id || !back.at.After(seen.at) {
		t.Errorf("the store answers again: %+v", back)
	}
}

// If the documents cannot be published, the watch tells why, and visitors' lines are still found.
func TestCannotBePublished(t *testing.T) {
	w := newPortalWorld(t)
	w.now = time.Date(2006, 12, 1, 0, 0, 0, 0, time.UTC)
	files := replaced(t, spinnet(t), "203.0.113.0/26,", "203.0.113.0/26, 192.0.2.128/25, 198.18.0.0/15, 198.51.100.128/25, 203.0.113.64/26, 203.0.113.128/25,")
	files = replaced(t, files, "prefixes: [192.0.2.14/32", "prefixes: [192.0.2.64/26, 192.0.2.32/27, 192.0.2.16/28, 192.0.2.0/29, 192.0.2.8/31, 192.0.2.10/32, 192.0.2.14/31")
	files = replaced(t, files, "203.0.113.0/26, 192", "203.0.113.0/26, 198.51.100.0/28, 198.51.100.32/27, 198.51.100.64/26, 192")
	w.put(files)
	c := op25bv1.NewPortalServiceClient(w.dial())
	stream, err := c.WatchPublication(within(t), &op25bv1.WatchPublicationRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "no documentation address is left for a published line") {
		t.Errorf("%v", err)
	}
	got, err := c.AskOwnLine(within(t), ownServer("192.0.2.12", "203.0.113.25"))
	if err != nil || !got.Known || got.Area != "" || got.LineGroup.GetName() != "adsl" || len(got.Ports) != 3 || got.Ports[0].Outcome != "blocked" {
		t.Errorf("%v, %v", got, err)
	}
}
