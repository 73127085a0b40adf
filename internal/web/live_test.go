package web_test

import (
	"bufio"
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestDrawnOnce verifies that a page is the same whether its parts are rendered for it or were already rendered for open pages. It also
// verifies that open pages show times in the policy's time zone.
func TestDrawnOnce(t *testing.T) {
	at := time.Date(2006, 12, 1, 15, 30, 0, 0, time.UTC)
	f := &fakeAPI{
		now:    func() time.Time { return at },
		phases: &op25bv1.ListPhasesResponse{Revision: 1, UtcOffset: "+09:00"},
		list: &op25bv1.ListSwitchesResponse{Revision: 1, Switches: []*op25bv1.SwitchStatus{
			{Switch: "edge-1", State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED, Converged: true, Revision: 1, Wanted: 1, Since: timestamppb.New(at)},
			{Switch: "edge-2", State: op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, Detail: "<b>refused</b>", Wanted: 1, Since: timestamppb.New(at)},
		}},
	}
	site := siteOf(t, f)
	base := serve(t, site)
	b := newBrowser(t, base)
	once := regexp.MustCompile(`(name="csrf" value|from)="?=?[^"]+"`)
	_, first := b.get("/")
	from := regexp.MustCompile(`data-events="([^"]+)"`).FindStringSubmatch(first)[1]
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); site.Run(ctx) }()
	defer func() { stop(); <-ended }()
	res, seen := eventsUntil(t, b, from, `"id":"attention"`, ` +0900"}`)
	defer res.Body.Close()
	if !strings.Contains(seen, `Z","text":"2006-12-02 00:`) {
		t.Errorf("the sign of life is not in the policy's time zone:\n%s", seen)
	}
	for _, want := range []string{"2006-12-02 00:30:00 &#43;0900", "&lt;b&gt;refused"} {
		if !strings.Contains(seen, want) || !strings.Contains(first, want) {
			t.Errorf("no %s in the page:\n%s\nor in its events:\n%s", want, first, seen)
		}
	}
	if _, second := b.get("/"); once.ReplaceAllString(first, "") != once.ReplaceAllString(second, "") {
		t.Errorf("rendered for the page:\n%s\nand before:\n%s", first, second)
	}
}

// eventsUntil opens a stream of events, and reads it until it has all texts. The caller must close the body of the response.
func eventsUntil(t *testing.T, b *browser, path string, texts ...string) (res *http.Response, seen string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err = b.Do(r); err != nil {
		t.Fatal(err)
	}
	events := bufio.NewScanner(res.Body)
	events.Buffer(nil, 1<<20)
	for _, text := range texts {
		for !strings.Contains(seen, text) && events.Scan() {
			seen += events.Text() + "\n"
		}
	}
	return res, seen
}
