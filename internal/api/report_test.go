package api

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/subscriber/register"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestReport reports every kind of event over a stream of grpc-go, and verifies the outcomes, the sessions, and the audit record of the beginning.
// No log line and no record has an address.
func TestReport(t *testing.T) {
	now := noon()
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
	now := noon()
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

// TestReportedIsStored closes the connections of reporters at any moment. Every acknowledged event is then in the store, and the reporters repeat
// everything without harm.
func TestReportedIsStored(t *testing.T) {
	now := noon()
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
		_, _, streamed := send(within(t), t, client, q)
		_, once := client.ReportBatch(within(t), q)
		for _, err := range []error{streamed, once} {
			if status.Code(err) != c.code || status.Convert(err).Message() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		}
	}
}
