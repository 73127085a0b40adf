package api

import (
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
