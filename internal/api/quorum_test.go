package api

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/intent"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// Without a quorum, every call fails with UNAVAILABLE. The error and /readyz give the same reason: the state of each
// member.
func TestNoQuorum(t *testing.T) {
	gone := nobody(t)
	w := newWorld(t, func(d *Deps) {
		s, err := store.Open(within(t), store.Config{Endpoints: []string{gone}, Timeout: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		d.Store, d.Book = s, intent.NewBook(s, time.Now)
	})
	conn := w.dial()
	want := gone + " does not answer: "
	intents := op25bv1.NewIntentServiceClient(conn)
	for name, call := range map[string]func() error{
		"current": func() error { _, err := intents.Current(within(t), &op25bv1.CurrentRequest{}); return err },
		"plan":    func() error { _, err := intents.Plan(within(t), &op25bv1.PlanRequest{Files: spinnet(t)}); return err },
		"apply": func() error {
			s, err := intents.Apply(within(t), &op25bv1.ApplyRequest{Files: spinnet(t), Reason: "r"})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want Unavailable with %q", name, err, want)
		}
	}
	answer, err := http.Get("http://" + w.addr + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), want) {
		t.Errorf("readyz: %s %s, %v", answer.Status, body, err)
	}
}
