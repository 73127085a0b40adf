package web_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// threeSwitches is a fleet with one switch as it should be, one that is unreachable, and one without an owner.
func threeSwitches(at time.Time) *op25bv1.ListSwitchesResponse {
	return &op25bv1.ListSwitchesResponse{Revision: 7, Notices: []string{"the store is <nearly> full"}, Switches: []*op25bv1.SwitchStatus{
		{
			Switch: "edge-east", State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED, Converged: true, Revision: 7, Wanted: 7, Owner: "noc-1",
			Since: timestamppb.New(at), Lines: 8000, LinesConfirmed: 8000,
		},
		{
			Switch: "edge-west", State: op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, Reason: op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE, Failed: true,
			Revision: 6, Wanted: 7, Owner: "noc-2", Since: timestamppb.New(at), Lines: 1234,
		},
		{
			Switch: "core-north", State: op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, Reason: op25bv1.SwitchReason_SWITCH_REASON_NEVER_REPORTED,
			Wanted: 7, Since: timestamppb.New(at), Lines: 4,
		},
	}}
}

// TestOverview verifies the parts of the overview in both languages: both shares, the notices, the next dates by line group, and the exemptions
// that end soon.
func TestOverview(t *testing.T) {
	now := time.Date(2006, 9, 28, 12, 0, 0, 0, time.UTC)
	midnight := func(day int) *timestamppb.Timestamp {
		return timestamppb.New(time.Date(2006, 10, day, 0, 0, 0, 0, time.FixedZone("", 9*3600)))
	}
	f := &fakeAPI{
		now: func() time.Time { return now }, phases: &op25bv1.ListPhasesResponse{Revision: 7, UtcOffset: "+09:00"}, list: threeSwitches(now),
		dates: &op25bv1.ListDatesResponse{
			Revision: 7, UtcOffset: "+09:00", Ending: 12, Turns: []*op25bv1.PhaseTurn{
				{Time: midnight(1), Phase: "all-destinations", Changes: []*op25bv1.PhaseChange{
					{From: "mobile-carriers", To: "all-destinations", Groups: []string{"adsl", "isdn"}, Switches: []string{"edge-east", "edge-west", "core-north"}},
					{From: "before", To: "all-destinations", Groups: []string{"mobile"}, ByDefault: true, Switches: []string{"edge-west"}},
				}},
				{Time: midnight(8), Phase: "encrypted", Changes: []*op25bv1.PhaseChange{
					{To: "encrypted", Groups: []string{"adsl", "isdn", "mobile"}, ByDefault: true, EveryLine: true, Switches: []string{"edge-east", "edge-west", "core-north"}},
				}},
			},
		},
	}
	for i := range 10 {
		f.dates.Exemptions = append(f.dates.Exemptions, &op25bv1.EndingExemption{Line: "business-" + string(rune('a'+i)), Owner: "<noc>@isp.example", Ticket: "OP25B-17", Expires: "2006-10-01", Ends: midnight(2)})
	}
	f.dates.Exemptions[9] = &op25bv1.EndingExemption{Prefix: "192.0.2.0/24", Owner: "lab", Ends: midnight(3)}
	for lang, want := range map[string][]string{
		"en": {
			`<strong class="big">33.3 %</strong> <span>1 of 3 switches is what the intent says, revision 7</span>`,
			`<strong class="big">86.6 %</strong> <span>the phase is confirmed for 8,000 of 9,238 lines; 1,238 not confirmed</span>`,
			`<p class="notice" lang="en">the store is &lt;nearly&gt; full</p>`,
			`2006-10-01 00:00:00 &#43;0900</time> <a href="/programme#phase-all-destinations">all-destinations</a>`,
			"<li>adsl, isdn (until then mobile-carriers)</li><li>mobile, lines without a group on edge-west (until then before)</li>",
			"<li>every line</li>", "12 exemptions end within 14 days.", "and 2 more", `<a href="/exemptions">All exemptions that end within a year</a>`,
			`<th scope="row">business-a</th><td data-name="Owner">&lt;noc&gt;@isp.example</td><td data-name="Reason">-</td><td data-name="Ticket">OP25B-17</td><td data-name="Review">-</td><td data-name="Ends"><time datetime="2006-10-01T15:00:00Z">until the end of 2006-10-01</time></td>`,
			`<th scope="row">192.0.2.0/24</th><td data-name="Owner">lab</td><td data-name="Reason">-</td>`,
		},
		"ja": {
			"3台中1台のスイッチが意図（リビジョン7）どおりです", "9,238回線中8,000回線でフェーズを確認済み；1,238回線は未確認", "14日以内に12件の適用除外が終わります。",
			"<li>edge-westのmobile、グループのない回線（それまではbefore）</li>", ">いつから</th>", ">リビジョン</th>", "まもなく終わる適用除外", "<li>すべての回線</li>",
		},
	} {
		page := pageOf(t, f, "/", lang)
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: the page lacks %s:\n%s", lang, text, page)
			}
		}
	}
	f.dates, f.list.Revision = &op25bv1.ListDatesResponse{}, 0
	page := pageOf(t, f, "/", "en")
	for _, text := range []string{"There is no intent yet", "No phase changes by itself.", "No exemption ends within a year."} {
		if !strings.Contains(page, text) {
			t.Errorf("without intent: the page lacks %s:\n%s", text, page)
		}
	}
	f.list.Revision = 7
	for _, s := range f.list.Switches {
		s.Lines, s.LinesConfirmed = 0, 0
	}
	if page := pageOf(t, f, "/", "en"); !strings.Contains(page, "No phase should be in force for a line yet.") {
		t.Errorf("before the first phase:\n%s", page)
	}
}

// TestFilter verifies that the grid is filtered by name, state and controller.
func TestFilter(t *testing.T) {
	f := &fakeAPI{phases: &op25bv1.ListPhasesResponse{}, list: threeSwitches(time.Now())}
	for query, want := range map[string]string{
		"": "edge-east edge-west core-north", "q=EDGE": "edge-east edge-west", "show=attention": "edge-west core-north", "show=converged": "edge-east",
		"show=disconnected": "edge-west", "owner=noc-2": "edge-west", "owner=-": "core-north", "owner=noc-9": "", "q=edge&show=attention&owner=noc-2": "edge-west",
		"q=core&owner=noc-1": "", "show=nonsense": "",
	} {
		page := pageOf(t, f, "/?"+query, "en")
		var got []string
		for _, name := range []string{"edge-east", "edge-west", "core-north"} {
			if strings.Contains(page, `id="cell-`+name+`"`) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want || strings.Contains(page, "data-filtered") != (query != "") {
			t.Errorf("%q shows %v, want %s", query, got, want)
		}
		for _, option := range strings.Split(query, "&") {
			name, value, _ := strings.Cut(option, "=")
			if name != "" && name != "q" && value != "nonsense" && !strings.Contains(page, `<option value="`+value+`" selected>`) {
				t.Errorf("%q: %s is not selected:\n%s", query, option, page)
			}
		}
	}
	page := pageOf(t, f, "/?owner=noc-2", "en")
	for _, option := range []string{
		`<option value="unknown">unknown</option>`, `<option value="disconnected">disconnected</option>`, `<option value="converged">converged</option>`,
		`<option value="-">none</option><option value="noc-1">noc-1</option><option value="noc-2" selected>noc-2</option>`,
	} {
		if !strings.Contains(page, option) {
			t.Errorf("no option %s:\n%s", option, page)
		}
	}
	if strings.Contains(page, `value="backup"`) {
		t.Error("the filter offers a state that no switch has")
	}
}

// An eventStream is a response writer that receives the events of a page.
type eventStream struct {
	header http.Header
	mu     sync.Mutex // guards text
	text   bytes.Buffer
}

func (w *eventStream) Header() http.Header { return w.header }
func (w *eventStream) WriteHeader(int)     {}
func (w *eventStream) Flush()              {}
func (w *eventStream) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// take returns what was received since the last call.
func (w *eventStream) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.text.String()
	w.text.Reset()
	return text
}

// TestOldValues verifies that the overview is served without a call of the API while its values are recent. If the API stops answering, open
// pages are told that their values may be old, and the overview asks the API again.
func TestOldValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAPI{phases: &op25bv1.ListPhasesResponse{}, list: threeSwitches(time.Now()), changes: make(chan *op25bv1.SwitchStatus)}
		site := siteOf(t, f)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { site.Run(ctx) })
		defer running.Wait()
		defer stop()
		request := func(path string) *http.Request {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
			r.Host = "localhost"
			return r
		}
		get := func() (code int, asked bool) {
			f.mu.Lock()
			before := f.lists
			f.mu.Unlock()
			w := httptest.NewRecorder()
			site.ServeHTTP(w, request("/"))
			f.mu.Lock()
			defer f.mu.Unlock()
			return w.Code, f.lists > before
		}
		if code, asked := get(); code != http.StatusOK || !asked {
			t.Errorf("before the site has values: %d, asked %v", code, asked)
		}
		time.Sleep(time.Second)
		if code, asked := get(); code != http.StatusOK || asked {
			t.Errorf("with recent values: %d, asked %v", code, asked)
		}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, request("/"))
		_, rest, _ := strings.Cut(w.Body.String(), `data-events="`)
		path, _, _ := strings.Cut(rest, `"`)
		stream := &eventStream{header: make(http.Header)}
		running.Go(func() { site.ServeHTTP(stream, request(path)) })
		synctest.Wait()
		if got := stream.take(); !strings.Contains(got, "event: beat\n") || strings.Contains(got, "event: old\n") {
			t.Errorf("at first: %q", got)
		}
		fail := func(err error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.failing = err
		}
		fail(connect.NewError(connect.CodeUnavailable, errors.New("no quorum")))
		failed := time.Now()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		got := stream.take()
		_, last, _ := strings.Cut(got, "event: old\ndata: {\"at\":\"")
		if at, err := time.Parse(time.RFC3339, last[:min(len(last), len("2006-01-02T15:04:05Z"))]); err != nil || at.After(failed) {
			t.Errorf("while the API does not answer since %v: %q", failed, got)
		}
		if code, asked := get(); code != http.StatusOK || !asked {
			t.Errorf("with old values: %d, asked %v", code, asked)
		}
		fail(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := stream.take(); !strings.Contains(got, "event: beat\n") {
			t.Errorf("after the API answers again: %q", got)
		}
		if code, asked := get(); code != http.StatusOK || asked {
			t.Errorf("with recent values again: %d, asked %v", code, asked)
		}
		// A change and a notice appear on the open page.
		f.change(0, "gone")
		time.Sleep(time.Second)
		if got := stream.take(); !strings.Contains(got, `"id":"cell-edge-east"`) || !strings.Contains(got, `"id":"headline"`) || strings.Contains(got, `"id":"cell-edge-west"`) {
			t.Errorf("after a change: %q", got)
		}
	})
}
