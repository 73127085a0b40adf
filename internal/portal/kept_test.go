package portal_test

import (
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/portal"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestKeptPages verifies that a page that was made for one visitor is never shown to another one whose line differs, whose language differs,
// or who asks something else; and that the path of the first visitor is not in it.
func TestKeptPages(t *testing.T) {
	r := start(t, "2006-12-01", behindProxy)
	r.controller.OnAsk(func(q *op25bv1.AskOwnLineRequest) (*op25bv1.AskOwnLineResponse, error) {
		if q.Address != "198.18.0.15" {
			return lines(q)
		}
		q.Address = "198.18.0.11"
		a, err := lines(q)
		a.ExemptUntil = timestamppb.New(day("2007-02-01"))
		return a, err
	})
	ja, en := r.browser("ja"), r.browser("en")
	server, _ := en.ask(url.Values{"line": {".own"}, "use": {"server"}}, forwarded, "198.18.0.11")
	webmail, _ := en.ask(url.Values{"line": {".own"}, "use": {"webmail"}}, forwarded, "198.18.0.11")
	for range 3 { // the second and third time, every page has been made before
		for _, tc := range []struct {
			b                *browser
			path, from, want string
		}{
			{en, server, "198.18.0.11", "You are affected"},
			{en, server, "198.18.0.13", "You are not affected until 31 March 2007"},
			{en, server, "198.18.0.14", "You are probably affected"},
			{en, server, "198.18.0.15", "You are not affected until 31 January 2007"},
			{ja, server, "198.18.0.11", "影響があります"},
			{en, webmail, "198.18.0.11", "You are not affected"},
			{en, server, "198.18.0.99", "You are not connected through a line of ours"},
			{en, strings.Replace(server, "/mine/", "/a/", 1), "198.18.0.99", "You are affected"},
		} {
			if _, page := tc.b.get(tc.path, forwarded, tc.from); !strings.Contains(page, tc.want) {
				t.Errorf("%s for %s in %s lacks %q:\n%s", tc.path, tc.from, tc.b.lang, tc.want, page)
			}
		}
	}
	code := strings.TrimPrefix(server, "/mine/")
	spelled := code[:4] + "%20-%20" + code[4:]
	for _, path := range []string{"/a/", "/mine/"} {
		if _, page := r.browser("en").get(path+spelled, forwarded, "198.18.0.11"); !strings.Contains(page, `href="`+path+code+`?lang=ja"`) {
			t.Errorf("%s: the page keeps the visitor's spelling:\n%s", path, page)
		}
	}
}

// TestKeptPagesEnd verifies that a kept page ends when a phase begins, although the controller has sent nothing since.
func TestKeptPagesEnd(t *testing.T) {
	begin := time.Now()
	var clock atomic.Pointer[time.Time]
	clock.Store(&begin)
	r := start(t, "2006-09-30", func(c *portal.Config, _ *op25bv1.Publication) { c.Now = func() time.Time { return *clock.Load() } })
	view := r.published.View()
	set := func(at time.Time) { // sets the controller's clock, as the portal has it
		here := begin.Add(at.Sub(view.At(begin)))
		clock.Store(&here)
	}
	b := r.browser("en")
	path, _ := b.ask(url.Values{"line": {"adsl"}, "use": {"server"}})
	begins := day("2006-10-01")
	set(begins.Add(-time.Millisecond))
	_, before := b.get(path)
	want(t, "before", before, "1 October 2006")
	if strings.Contains(before, "since 1 October 2006") {
		t.Errorf("the phase has not begun:\n%s", before)
	}
	if _, again := b.get(path); again != before {
		t.Errorf("the page was not kept:\n%s", again)
	}
	set(begins)
	_, after := b.get(path)
	if r.published.View() != view {
		t.Fatal("the controller sent something")
	}
	want(t, "after", after, "since 1 October 2006")
}
