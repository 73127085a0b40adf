package api

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"op25b/internal/auth"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestReportRoles verifies who may report, for which sources and which switches, and that a reporter may do nothing else. The audit chain has the
// refusals, without the name of the source.
func TestReportRoles(t *testing.T) {
	now := time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)
	access, tokens, forget := confinedReporter(t)
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
		stream, answer, err := send(as(q.token), t, c, &op25bv1.ReportRequest{Source: q.source, Events: []*op25bv1.SessionEvent{sessionEvent(starts, "line-0", q.source, now, "192.0.2.1")}})
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
	stream, _, err := send(as("kea-1"), t, c, &op25bv1.ReportRequest{Source: "kea-1"})
	if err != nil {
		t.Fatal(err)
	}
	forget()
	if _, err := stream.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("%v", err)
	}
}

// confinedReporter returns an access file with the tokens of accessFile and the token kea-1, a reporter with sources and switches. forget removes
// that reporter from the file.
func confinedReporter(t testing.TB) (access *auth.File, tokens map[string]string, forget func()) {
	t.Helper()
	tokens = make(map[string]string)
	path := accessFile(t, tokens, "")
	token, entry, err := auth.NewToken("kea-1", auth.Reporter, "")
	if err != nil {
		t.Fatal(err)
	}
	tokens["kea-1"] = token
	without, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reporter := fmt.Sprintf("tokens:\n  - {name: kea-1, role: reporter, sha256: %s, sources: [kea-1, kea-2], switches: [edge-2]}\n", entry.SHA256)
	write(bytes.Replace(without, []byte("tokens:\n"), []byte(reporter), 1))
	if access, err = auth.Open(path, nil); err != nil {
		t.Fatal(err)
	}
	return access, tokens, func() { write(without) }
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
