package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestReportEnds verifies that a stream ends if no request arrives in time, and when the controller stops.
func TestReportEnds(t *testing.T) {
	w, _ := newReporting(t, 1, time.Now, nil)
	stream, _, err := send(within(t), t, op25bv1.NewSubscriberServiceClient(w.dial()), &op25bv1.ReportRequest{Source: "kea-1"})
	if err != nil {
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

// deadlines is a response whose deadlines must not be set after its handler.
type deadlines struct {
	http.ResponseWriter
	set int
}

func (d *deadlines) SetReadDeadline(time.Time) error { d.set++; return nil }

// TestCutAfterHandler verifies that a stream that is cut when its handler has returned does not touch the request, which net/http has taken back.
func TestCutAfterHandler(t *testing.T) {
	w := &deadlines{ResponseWriter: httptest.NewRecorder()}
	b := newIdled(w, http.NoBody, time.Minute)
	if _, err := b.Read(nil); w.set != 1 {
		t.Fatalf("a read set %d deadlines, %v", w.set, err)
	}
	b.cut()
	if w.set != 2 {
		t.Fatalf("%d deadlines after a cut, want 2", w.set)
	}
	b = newIdled(w, http.NoBody, time.Minute)
	b.end()
	b.cut()
	_, _ = b.Read(nil)
	if w.set != 2 {
		t.Errorf("%d deadlines were set after the handler", w.set-2)
	}
}
