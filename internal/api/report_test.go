package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"pgregory.net/rapid"

	"op25b/internal/auth"
	"op25b/internal/intent"
	"op25b/internal/store"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/accounting"
	"op25b/internal/subscriber/register"
	"op25b/internal/subscriber/report"
	op25bv1 "op25b/proto/op25b/v1"
)

// dialDocuments returns documents with n lines whose identity is their user name: line-0 and so on. Two more lines have the user name twin.
func dialDocuments(n int) []*op25bv1.File {
	var b strings.Builder
	b.WriteString(`apiVersion: op25b/v1
kind: Policy
name: p
lineGroups: [{name: dial, addressing: dynamic}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587]}, {name: submissions, ports: [465]}]
remotes: [{name: relay, relay: true, prefixes: [198.51.100.16/28]}]
phases: [{name: stop, effective: 2006-01-01, rules: [{name: all, service: smtp, action: drop}]}]
---
apiVersion: op25b/v1
kind: Inventory
switches:
`)
	for i, lines := range []int{n, 0} {
		fmt.Fprintf(&b, `  - name: edge-%[1]d
    deviceID: %[1]d
    p4runtime: 127.0.0.1:955%[1]d
    gnmi: 127.0.0.1:933%[1]d
    identify: user-name
    ports: [{port: 1, name: olt, role: access}, {port: 2, name: core, role: network}]
    lines:
      - {name: twin-%[1]d, port: olt, vlan: 4000, group: dial, identity: twin}
`, i+1)
		for i := range lines {
			fmt.Fprintf(&b, "      - {name: line-%d, port: olt, vlan: %d, innerVLAN: %d, group: dial}\n", i, 1+i/4000, 1+i%4000)
		}
	}
	return []*op25bv1.File{{Name: "all.yaml", Data: []byte(b.String())}}
}

// A wallClock is a clock that a test sets.
type wallClock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func (c *wallClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *wallClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// newRegister returns a register on a store, which does not run yet.
func newRegister(t testing.TB, s *store.Store, now func() time.Time) *register.Register {
	t.Helper()
	r, err := register.New(register.Config{Store: s, Book: intent.NewBook(s, time.Now), Key: register.Key{1}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs a register until the test ends, and returns when it is ready. The store must have documents.
func run(t testing.TB, r *register.Register) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	select {
	case <-r.Ready():
	case <-within(t).Done():
		t.Fatal("the register is not ready")
	}
}

// newReporting returns a world whose API takes reports for n lines, and its register.
func newReporting(t testing.TB, n int, now func() time.Time, change func(*Deps)) (*world, *register.Register) {
	t.Helper()
	var r *register.Register
	w := newWorld(t, func(d *Deps) {
		r = newRegister(t, d.Store, now)
		d.Sessions, d.Now = r, now
		if change != nil {
			change(d)
		}
	})
	w.put(dialDocuments(n))
	run(t, r)
	return w, r
}

func sessionEvent(kind op25bv1.SessionEventKind, line, session string, at time.Time, addresses ...string) *op25bv1.SessionEvent {
	m := &op25bv1.SessionEvent{Kind: kind, Session: session, Time: timestamppb.New(at), Addresses: addresses}
	if line != "" {
		m.Identity = &op25bv1.LineIdentity{UserName: line}
	}
	return m
}

const (
	starts   = op25bv1.SessionEventKind_SESSION_EVENT_KIND_START
	interims = op25bv1.SessionEventKind_SESSION_EVENT_KIND_INTERIM
	stops    = op25bv1.SessionEventKind_SESSION_EVENT_KIND_STOP
	restarts = op25bv1.SessionEventKind_SESSION_EVENT_KIND_RESTART
)

// holds waits until a register says that a line has an address; an empty line means that none has it.
func holds(t testing.TB, r *register.Register, addr, want string) {
	t.Helper()
	ctx := within(t)
	for {
		f, _ := r.Holder(netip.MustParseAddr(addr))
		if f.Name == want {
			return
		}
		if !store.Pause(ctx, time.Millisecond) {
			t.Fatalf("%s is %q's, want %q", addr, f.Name, want)
		}
	}
}

// TestReport reports every kind of event over a stream of grpc-go, and verifies the outcomes, the sessions, and the audit record of the beginning.
// No log line and no record has an address.
func TestReport(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	w, r := newReporting(t, 3, func() time.Time { return now }, nil)
	stream, err := op25bv1.NewSubscriberServiceClient(w.dial()).Report(within(t))
	if err != nil {
		t.Fatal(err)
	}
	named := sessionEvent(starts, "", "c", now, "2001:db8:2::/56")
	named.Line, named.Ends = "line-2", timestamppb.New(now.Add(time.Hour))
	for _, step := range []struct {
		event *op25bv1.SessionEvent
		want  op25bv1.SessionOutcome
	}{
		{sessionEvent(starts, "line-0", "a", now.Add(-9*time.Second), "192.0.2.1"), op25bv1.SessionOutcome_SESSION_OUTCOME_OPENED},
		{sessionEvent(starts, "line-0", "a", now.Add(-9*time.Second), "192.0.2.1"), op25bv1.SessionOutcome_SESSION_OUTCOME_REFRESHED},
		{sessionEvent(interims, "line-0", "a", now.Add(-8*time.Second), "192.0.2.1", "2001:db8:1::/56"), op25bv1.SessionOutcome_SESSION_OUTCOME_REFRESHED},
		{sessionEvent(interims, "line-1", "b", now), op25bv1.SessionOutcome_SESSION_OUTCOME_UNKNOWN},
		{sessionEvent(starts, "line-1", "b", now.Add(-2*time.Hour), "192.0.2.2"), op25bv1.SessionOutcome_SESSION_OUTCOME_LATE},
		{sessionEvent(starts, "nobody", "b", now, "192.0.2.2"), op25bv1.SessionOutcome_SESSION_OUTCOME_NO_LINE},
		{sessionEvent(starts, "twin", "b", now, "192.0.2.2"), op25bv1.SessionOutcome_SESSION_OUTCOME_AMBIGUOUS},
		{named, op25bv1.SessionOutcome_SESSION_OUTCOME_OPENED},
		{sessionEvent(stops, "line-0", "a", now.Add(-7*time.Second)), op25bv1.SessionOutcome_SESSION_OUTCOME_CLOSED},
		{sessionEvent(restarts, "", "", now.Add(-time.Second)), op25bv1.SessionOutcome_SESSION_OUTCOME_RESTARTED},
	} {
		if err := stream.Send(&op25bv1.ReportRequest{Source: "kea-1", Events: []*op25bv1.SessionEvent{step.event}}); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil || len(answer.Outcomes) != 1 || answer.Outcomes[0] != step.want {
			t.Fatalf("%v: %v, %v, want %v", step.event, answer, err, step.want)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	holds(t, r, "192.0.2.1", "")
	holds(t, r, "2001:db8:2::5", "line-2")
	if f, _ := r.Holder(netip.MustParseAddr("2001:db8:2::5")); f.Session.NAS != "kea-1" || f.Session.ID != "c" {
		t.Errorf("%+v", f)
	}
	records := w.chain()
	if got := records[1:]; !slices.Equal(got, []string{"local admin report source kea-1"}) {
		t.Errorf("records %q", got)
	}
	for _, text := range append(records, logsOf(w)...) {
		if strings.Contains(text, "192.0.2") || strings.Contains(text, "2001:db8") {
			t.Errorf("the address is in %q", text)
		}
	}
}

// TestReportBatch reports with a POST of JSON over HTTP/1.1, and in one request events whose order matters. A stream needs HTTP/2.
func TestReportBatch(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	w, r := newReporting(t, 2, func() time.Time { return now }, nil)
	post := func(call, kind, body string) (int, string) {
		t.Helper()
		resp, err := http.Post("http://"+w.addr+"/op25b.v1.SubscriberService/"+call, kind, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	code, text := post("ReportBatch", "application/json", `{"source": "dnsmasq-1", "events": [
		{"kind": "SESSION_EVENT_KIND_START", "session": "1", "identity": {"userName": "line-0"}, "addresses": ["192.0.2.1"], "time": "2026-07-01T11:59:50Z", "ends": "2026-07-01T13:00:00Z"},
		{"kind": "SESSION_EVENT_KIND_STOP", "session": "1", "identity": {"userName": "line-0"}, "time": "2026-07-01T11:59:51Z"},
		{"kind": "SESSION_EVENT_KIND_START", "session": "1", "identity": {"userName": "line-0"}, "addresses": ["192.0.2.2"], "time": "2026-07-01T11:59:52Z", "ends": "2026-07-01T13:00:00Z"},
		{"kind": "SESSION_EVENT_KIND_RESTART", "time": "2026-07-01T11:59:53Z"},
		{"kind": "SESSION_EVENT_KIND_START", "session": "1", "line": "line-0", "addresses": ["192.0.2.3"], "time": "2026-07-01T11:59:54Z", "ends": "2026-07-01T13:00:00Z"}]}`)
	if want := `{"outcomes":["SESSION_OUTCOME_OPENED","SESSION_OUTCOME_CLOSED","SESSION_OUTCOME_OPENED","SESSION_OUTCOME_RESTARTED","SESSION_OUTCOME_OPENED"]}`; code != http.StatusOK || strings.ReplaceAll(text, " ", "") != want {
		t.Errorf("%d %s", code, text)
	}
	holds(t, r, "192.0.2.3", "line-0")
	holds(t, r, "192.0.2.2", "")
	if code, text := post("Report", "application/connect+json", ""); code != http.StatusHTTPVersionNotSupported {
		t.Errorf("a stream over HTTP/1.1: %d %s", code, text)
	}
	if code, text := post("ReportBatch", "application/json", `{"source": "dnsmasq-1", "events": [{"address": "192.0.2.1"}]}`); code != http.StatusBadRequest {
		t.Errorf("an unknown field: %d %s", code, text)
	}
}

// TestReportAsRadius sends the same events as RADIUS datagrams and over a stream to two controllers with their own stores. After each event, every
// address has the same line in both. Events are repeated and arrive late.
func TestReportAsRadius(t *testing.T) {
	clock := &wallClock{at: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}
	w, reported := newReporting(t, 8, clock.now, nil)
	_, heard := newReporting(t, 8, clock.now, nil)
	dir := t.TempDir()
	const secret = "a shared secret of bng-1"
	for name, content := range map[string]string{
		"secret":       secret,
		"clients.yaml": "apiVersion: op25b/v1\nkind: RadiusClients\nclients: [{name: bng-1, address: 127.0.0.1, secretFile: secret}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	clients, _, err := accounting.OpenClients(filepath.Join(dir, "clients.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := accounting.Listen("127.0.0.1:0", accounting.Config{Clients: clients, Report: heard.Report, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-served })
	conn, err := net.Dial("udp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := op25bv1.NewSubscriberServiceClient(w.dial()).Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}
	rapid.Check(t, func(rt *rapid.T) {
		clock.set(clock.now().Add(3 * time.Hour)) // the sessions of earlier draws have ended by silence
		base := clock.now()
		var past []*op25bv1.SessionEvent
		for i := range rapid.IntRange(1, 10).Draw(rt, "events") {
			m := sessionEvent(rapid.SampledFrom([]op25bv1.SessionEventKind{starts, starts, interims, stops, restarts}).Draw(rt, "kind"), fmt.Sprint("line-", rapid.IntRange(0, 3).Draw(rt, "line")),
				fmt.Sprint(base.Unix(), "-", rapid.IntRange(0, 4).Draw(rt, "session")), base.Add(time.Duration(10*i)*time.Second))
			if rapid.Bool().Draw(rt, "addressed") {
				m.Addresses = []string{rapid.SampledFrom(addresses).Draw(rt, "address")}
			}
			switch {
			case len(past) > 0 && rapid.IntRange(0, 3).Draw(rt, "repeats") == 0:
				m = rapid.SampledFrom(past).Draw(rt, "past")
			case m.Kind == restarts:
				m = &op25bv1.SessionEvent{Kind: restarts, Time: m.Time}
			case m.Kind == stops:
				m.Addresses = nil
			}
			past = append(past, m)
			clock.set(base.Add(time.Duration(10*i) * time.Second))
			if err := stream.Send(&op25bv1.ReportRequest{Source: "bng-1", Events: []*op25bv1.SessionEvent{m}}); err != nil {
				rt.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				rt.Fatal(err)
			}
			sendRadius(rt, conn, secret, m)
			for _, a := range addresses { // the registers read the store later than the answers
				addr := netip.MustParseAddr(a)
				for ctx := within(t); ; {
					one, ok := reported.Holder(addr)
					two, also := heard.Holder(addr)
					if ok == also && one.Name == two.Name && one.Session.ID == two.Session.ID && one.Session.Began.Equal(two.Session.Began) {
						break
					}
					if !store.Pause(ctx, time.Millisecond) {
						rt.Fatalf("%s after %v: %v by the report, %v by RADIUS", a, past, one, two)
					}
				}
			}
		}
	})
}

// sendRadius sends an event as an accounting request, and waits for the answer.
func sendRadius(t *rapid.T, conn net.Conn, secret string, m *op25bv1.SessionEvent) {
	p := radius.New(radius.CodeAccountingRequest, []byte(secret))
	kind := map[op25bv1.SessionEventKind]rfc2866.AcctStatusType{
		starts: rfc2866.AcctStatusType_Value_Start, interims: rfc2866.AcctStatusType_Value_InterimUpdate, stops: rfc2866.AcctStatusType_Value_Stop, restarts: rfc2866.AcctStatusType_Value_AccountingOn,
	}[m.Kind]
	errs := []error{rfc2866.AcctStatusType_Set(p, kind), rfc2869.EventTimestamp_Set(p, m.Time.AsTime())}
	if m.Kind != restarts {
		errs = append(errs, rfc2866.AcctSessionID_SetString(p, m.Session), rfc2865.UserName_SetString(p, m.Identity.UserName))
	}
	for _, a := range m.Addresses {
		errs = append(errs, rfc2865.FramedIPAddress_Set(p, net.ParseIP(a)))
	}
	b, err := p.Encode()
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil || !radius.IsAuthenticResponse(answer[:n], b, []byte(secret)) {
		t.Fatalf("not answered: %v", err)
	}
}

// TestReportedIsStored closes the connections of reporters at any moment. Every acknowledged event is then in the store, and the reporters repeat
// everything without harm.
func TestReportedIsStored(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	const lines, batch = 400, 8
	w, _ := newReporting(t, lines, func() time.Time { return now }, nil)
	request := func(first int) *op25bv1.ReportRequest {
		q := &op25bv1.ReportRequest{Source: "kea-1"}
		for i := first; i < first+batch; i++ {
			q.Events = append(q.Events, sessionEvent(starts, fmt.Sprint("line-", i), fmt.Sprint("s", i), now, fmt.Sprintf("198.18.%d.%d", i/250, 1+i%250)))
		}
		return q
	}
	acknowledged := make(map[int]bool)
	for round := range 4 {
		conn, err := grpc.NewClient("passthrough:///"+w.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := op25bv1.NewSubscriberServiceClient(conn).Report(within(t))
		if err != nil {
			t.Fatal(err)
		}
		for first := 0; first < lines; first += batch {
			if stream.Send(request(first)) != nil {
				break
			}
		}
		for first := 0; first < lines; first += batch {
			answer, err := stream.Recv()
			if err != nil {
				break
			}
			if len(answer.Outcomes) != batch {
				t.Errorf("%v", answer)
			}
			acknowledged[first] = true
			if round < 3 && first == (round+1)*10*batch { // further requests are in flight
				_ = conn.Close()
			}
		}
		_ = conn.Close()
	}
	again := newRegister(t, w.store, func() time.Time { return now }) // has only what is in the store
	run(t, again)
	for _, first := range slices.Sorted(maps.Keys(acknowledged)) {
		for i := first; i < first+batch; i++ {
			if f, ok := again.Holder(netip.AddrFrom4([4]byte{198, 18, byte(i / 250), byte(1 + i%250)})); !ok || f.Name != fmt.Sprint("line-", i) {
				t.Errorf("the session of line-%d was acknowledged and is lost: %v", i, f)
			}
		}
	}
	if len(acknowledged) != lines/batch {
		t.Errorf("%d of %d requests were acknowledged in the end", len(acknowledged), lines/batch)
	}
}

// TestReportRoles verifies who may report, for which sources and which switches, and that a reporter may do nothing else. The audit chain has the
// refusals, without the name of the source.
func TestReportRoles(t *testing.T) {
	now := time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)
	tokens := make(map[string]string)
	path := accessFile(t, tokens, "")
	token, entry, err := auth.NewToken("kea-1", auth.Reporter, "")
	if err != nil {
		t.Fatal(err)
	}
	tokens["kea-1"] = token
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	confined := fmt.Sprintf("tokens:\n  - {name: kea-1, role: reporter, sha256: %s, sources: [kea-1, kea-2], switches: [edge-2]}\n", entry.SHA256)
	if err := os.WriteFile(path, bytes.Replace(text, []byte("tokens:\n"), []byte(confined), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	access, err := auth.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, _ := newReporting(t, 1, func() time.Time { return now }, func(d *Deps) { d.Auth.Access = access })
	c := op25bv1.NewSubscriberServiceClient(w.dial())
	as := func(token string) context.Context {
		return metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens[token])
	}
	for _, q := range []struct {
		token, source string
		code          codes.Code
		want          string // the outcome, or the error
	}{
		{"reporter", "reporter-bot", codes.OK, "SESSION_OUTCOME_OPENED"},
		{"reporter", "kea-1", codes.PermissionDenied, "reporter-bot may not report for this source; the access file permits reporter-bot"},
		{"kea-1", "kea-2", codes.OK, "SESSION_OUTCOME_NO_LINE"}, // line-0 is on another switch
		{"kea-1", "bng-1", codes.PermissionDenied, "kea-1 may not report for this source; the access file permits kea-1, kea-2"},
		{"operator", "bng-1", codes.OK, "SESSION_OUTCOME_OPENED"},
		{"admin", "bng-1", codes.OK, "SESSION_OUTCOME_REFRESHED"},
		{"viewer", "bng-1", codes.PermissionDenied, "viewer-bot has the role viewer, but /op25b.v1.SubscriberService/Report requires reporter"},
		{"portal", "bng-1", codes.PermissionDenied, "portal-bot has the role portal, but /op25b.v1.SubscriberService/Report requires reporter"},
	} {
		stream, err := c.Report(as(q.token))
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&op25bv1.ReportRequest{Source: q.source, Events: []*op25bv1.SessionEvent{sessionEvent(starts, "line-0", q.source, now, "192.0.2.1")}})
		answer, err := stream.Recv()
		got := status.Convert(err).Message()
		if err == nil {
			got = answer.Outcomes[0].String()
			_ = stream.CloseSend()
			_, _ = stream.Recv()
		}
		if status.Code(err) != q.code || got != q.want {
			t.Errorf("%s for %s: %v %s, want %s", q.token, q.source, status.Code(err), got, q.want)
		}
	}
	for name, call := range map[string]func() error{
		"ListSessions": func() error { _, err := c.ListSessions(as("reporter"), &op25bv1.ListSessionsRequest{}); return err },
		"FindAddress": func() error {
			_, err := c.FindAddress(as("reporter"), &op25bv1.FindAddressRequest{Address: "192.0.2.1", Ticket: "T"})
			return err
		},
		"Current": func() error {
			_, err := op25bv1.NewIntentServiceClient(w.dial()).Current(as("reporter"), &op25bv1.CurrentRequest{})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.PermissionDenied {
			t.Errorf("a reporter calls %s: %v", name, err)
		}
	}
	want := []string{
		"reporter-bot reporter report source reporter-bot", "reporter-bot reporter refused report", "kea-1 reporter report source kea-2", "kea-1 reporter refused report",
		"operator-bot operator report source bng-1", "admin-bot admin report source bng-1", "viewer-bot viewer refused report", "portal-bot portal refused report", "reporter-bot reporter refused find",
	}
	if got := w.chain()[1:]; !slices.Equal(got, want) {
		t.Errorf("records %q", got)
	}
	// The stream of a reporter ends when the access file no longer has it.
	stream, err := c.Report(as("kea-1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&op25bv1.ReportRequest{Source: "kea-1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("%v", err)
	}
}

// TestReportBounds verifies that requests beyond a bound and malformed ones end their stream, and that none of their events is taken.
func TestReportBounds(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
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
		stream, err := c.Report(within(t))
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(q.request)
		if _, err := stream.Recv(); status.Code(err) != q.code || !strings.Contains(status.Convert(err).Message(), q.want) {
			t.Errorf("%s: %v, want %s", name, err, q.want)
		}
	}
	holds(t, r, "192.0.2.1", "")
	// What is no message.
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

// TestReportWithoutRoom verifies that an event that is not stored is not acknowledged.
func TestReportWithoutRoom(t *testing.T) {
	for _, c := range []struct {
		sessions Sessions
		code     codes.Code
		want     string
	}{
		{nil, codes.Unimplemented, "this controller reads no sessions: start op25b serve with --session-key or --radius"},
		{failing{register.ErrNotReady}, codes.Unavailable, "the events are not acknowledged, send them again: the inventory or the sessions have not been read yet"},
		{failing{register.ErrFull}, codes.ResourceExhausted, "the events are not acknowledged, send them again: too many sessions"},
		{failing{errors.New("the session changes too often")}, codes.Unavailable, "the events are not acknowledged, send them again: the session changes too often"},
	} {
		w := newWorld(t, func(d *Deps) { d.Sessions = c.sessions })
		client := op25bv1.NewSubscriberServiceClient(w.dial())
		q := &op25bv1.ReportRequest{Source: "kea-1", Events: []*op25bv1.SessionEvent{sessionEvent(starts, "line-0", "a", w.now)}}
		stream, err := client.Report(within(t))
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(q)
		_, streamed := stream.Recv()
		_, once := client.ReportBatch(within(t), q)
		for _, err := range []error{streamed, once} {
			if status.Code(err) != c.code || status.Convert(err).Message() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		}
	}
}

// failing is a register that stores nothing.
type failing struct{ err error }

func (f failing) Holder(netip.Addr) (register.Found, bool)   { return register.Found{}, false }
func (f failing) Counts() (map[string]register.Count, error) { return nil, f.err }
func (f failing) Report(context.Context, subscriber.Event, []string) (subscriber.Outcome, error) {
	return "", f.err
}

// TestReportEnds verifies that a stream ends if no request arrives in time, and when the controller stops.
func TestReportEnds(t *testing.T) {
	w, _ := newReporting(t, 1, time.Now, nil)
	stream, err := op25bv1.NewSubscriberServiceClient(w.dial()).Report(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&op25bv1.ReportRequest{Source: "kea-1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	w.stop()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "the controller is stopping: send the requests without an answer again") {
		t.Errorf("%v", err)
	}

	other, _ := newReporting(t, 1, time.Now, nil)
	h := New(Deps{Store: other.store, Book: other.book, Switches: other.switches, Sessions: failing{}})
	h.(*door).idle = 20 * time.Millisecond
	other.addr = serve(t, Listening{Addr: "127.0.0.1:0"}, h)
	stream, err = op25bv1.NewSubscriberServiceClient(other.dial()).Report(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.DeadlineExceeded || status.Convert(err).Message() != "no request for 20ms; open a stream when there are events" {
		t.Errorf("%v", err)
	}
}

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

// TestConfined verifies that a reporter without the confinement of an access file may report for no source.
func TestConfined(t *testing.T) {
	stranger := auth.Caller{Who: "anonymous from 192.0.2.9", Role: auth.Reporter, By: auth.ByNothing}
	if err := confined(stranger, "kea-1"); err == nil || !strings.Contains(err.Error(), "has the role reporter without an access file") {
		t.Error(err)
	}
	if err := confined(auth.Caller{Who: "local", Role: auth.Admin, By: auth.ByLoopback}, "kea-1"); err != nil {
		t.Error(err)
	}
}

// TestReportRates verifies that a caller with too many events or sources is refused, and told when to try again.
func TestReportRates(t *testing.T) {
	w := newWorld(t, nil)
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
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
