package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// A deafRegister answers no event.
type deafRegister struct {
	op25bv1connect.UnimplementedSubscriberServiceHandler
	requests int
}

func (d *deafRegister) ReportBatch(context.Context, *connect.Request[op25bv1.ReportRequest]) (*connect.Response[op25bv1.ReportResponse], error) {
	d.requests++
	return connect.NewResponse(&op25bv1.ReportResponse{}), nil
}

// TestReportLimits verifies the limits on files and lines, and the error about a controller that answers other events.
func TestReportLimits(t *testing.T) {
	register := &deafRegister{}
	mux := http.NewServeMux()
	mux.Handle(op25bv1connect.NewSubscriberServiceHandler(register))
	server := httptest.NewServer(mux)
	defer server.Close()
	const header = "event,session,line\n"
	for _, c := range []struct {
		stdin    bool
		content  string
		want     string
		requests int
	}{
		{false, header + strings.Repeat("\n", maxSessionLines), ": more than 300000 lines; split the file", 0},
		{false, header + strings.Repeat("x,1,home\n", 25), "leases.csv:21:1: event \"x\": the kind of the event is not known; must be start, interim, stop or restart\nand 5 more faults; nothing was sent", 0},
		{false, header + "start,1,home\n", "the controller answered 0 events of 1: it has another version", 1},
		{true, header + "start,1,home\n" + strings.Repeat("x", 17000), "stdin: line 2 is not acknowledged; send it again\n", 1},
		{true, header + "\n" + strings.Repeat("x", 17000) + "\n", "stdin:3:1: the line is longer than 16384 bytes; the lines from here on were not sent", 0},
	} {
		register.requests = 0
		path := filepath.Join(t.TempDir(), "leases.csv")
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		root := newRoot(nil)
		var said bytes.Buffer
		root.SetErr(&said)
		root.SetOut(&said)
		root.SetIn(strings.NewReader(c.content))
		if c.stdin {
			path = "-"
		}
		root.SetArgs([]string{"sessions", "report", "--source", "kea-1", "--server", server.URL, path})
		err := root.ExecuteContext(t.Context())
		if text := said.String() + fmt.Sprint(err); err == nil || !strings.Contains(text, c.want) || register.requests != c.requests {
			t.Errorf("%s after %d requests, want %s", text, register.requests, c.want)
		}
	}
}
