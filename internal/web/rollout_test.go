package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/chromedp/chromedp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/page/pagetest"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestRolloutPage verifies what the page shows of a rollout that soaks: its state with the time and the meaning, the rings with what has confirmed, the
// harm with the forecast, every gate of the ring at hand, the controller, the time at which all this was seen, and the rollouts before.
func TestRolloutPage(t *testing.T) {
	f := rolling()
	page := pageOf(t, f, "/rollout", "en")
	wantTexts(
		t, page,
		`<h2>Rollout 7: phase all-destinations</h2>`, `<dd class="good"><strong>soaking</strong><br>The ring pilots has the change.`,
		"<dd>until 2026-11-30 13:35:00 &#43;0900; 1 h 35 min left of 2 h</dd>", "<dd>90 lines (forecast: 95) of the 12,440 lines in the rings with the change</dd>",
		"<dd>alice@isp.example: as announced, OP25B-41</dd>", "<dt>Carried out by</dt><dd>noc-2</dd>", "<dt>Seen</dt><dd>2026-11-30 11:59:56 &#43;0900, revision 31</dd>",
		`<tr class="good" aria-current="step"><th scope="row"><span aria-hidden="true">▶</span> pilots</th><td data-name="State">soaking</td>`,
		`<td data-name="Confirmed">3 of 3</td><td class="n" data-name="Lines">12,400</td><td class="n" data-name="Newly stopped">87</td><td class="n" data-name="Forecast">92</td>`,
		`<td data-name="Confirmed">22 of 23</td>`, "The oldest counts of lines with the change are from 2026-11-30 11:59:26 &#43;0900.",
		`<th scope="row">submission <span class="what">packets to port 587 or 465 of other providers</span></th><td data-name="Says">passes</td>`, "<p>Of other rings (first), 9 gates pass.</p>",
		`<a href="/switch/osaka-04" title="osaka-04: disconnected">`, "<p>and 3 more</p>", "osaka-20", "documents of policy spinnet", "phase drain for adsl", "new relays, OP25B-40",
		`<a class="button" href="/rollout/pause">Pause the rollout</a>`, `<a class="button" href="/rollout/abort">Abort and go back</a>`,
	)
	lacksTexts(t, page, "osaka-21", `href="/rollout/resume"`, "Why it", "No controller carries", "went-back</strong>")
	wantTexts(t, pageOf(t, f, "/rollout", "ja"), "<strong>観察中</strong>", "12,440回線のうち90回線（予測は95回線）", "3台中3台", "ほかのリング（first）では9件のゲートが合格です。")
	wantTexts(t, pageOf(t, f, "/", "en"), `<h2 id="h-rollout"><a href="/rollout">Rollout 7</a>: phase all-destinations</h2>`, "since 2026-11-30 11:35:00 &#43;0900",
		`<li class="good" aria-current="step"><span aria-hidden="true">▶</span> pilots <span class="what">soaking, 3 of 3</span></li>`)

	f.rollouts.now.Seen.Gates = append(f.rollouts.now.Seen.Gates, &op25bv1.Finding{Gate: "from-the-future", Ring: "pilots", Verdict: op25bv1.FindingVerdict_FINDING_VERDICT_HOLD, Text: "41 calls", Accepted: true})
	f.rollouts.now.Rollout.Rings[1].TicketBound, f.rollouts.now.Rollout.Rings[1].TicketLines, f.rollouts.now.Rollout.Rings[1].UnplacedTickets = 3, 2, 1
	f.rollouts.now.Seen.Rings[1].ForecastKnown = false
	f.rollouts.now.Seen.Leader = ""
	page = pageOf(t, f, "/rollout", "en")
	wantTexts(t, page, `<th scope="row">from-the-future</th><td data-name="Says">HOLDS, accepted by an operator</td>`, `<span lang="en">41 calls</span>`, "there is no forecast for some switches",
		`<td data-name="Lines with tickets">2, at most 3; tickets that name no line: 1</td>`, `<td data-name="Lines with tickets">-</td>`,
		`<p class="problem">No controller carries the rollout out now. What is shown was seen`)
	lacksTexts(t, page, "Carried out by")
	wantTexts(t, pageOf(t, f, "/", "en"), `<p class="problem">No controller carries the rollout out now.`)
}

// TestRolloutWords verifies that every state of a rollout has a word, a meaning and a state for each of its rings, and the commands that fit it.
func TestRolloutWords(t *testing.T) {
	f := rolling()
	r := f.rollouts.now.Rollout
	seen := make(map[string]bool)
	for n := range len(op25bv1.RolloutState_name) {
		r.State = op25bv1.RolloutState(n)
		page := pageOf(t, f, "/rollout", "en")
		_, word, _ := strings.Cut(page, "<dt>State</dt><dd class=")
		if word, _, _ = strings.Cut(word, "</dd>"); seen[word] || !strings.Contains(word, "<br>") {
			t.Errorf("%v is %s", r.State, word)
		}
		seen[word] = true
		lacksTexts(t, page, "[ring", "[rollout", "[means")
		verbs := map[string]bool{}
		for _, verb := range []string{"pause", "resume", "abort"} {
			verbs[verb] = strings.Contains(page, `href="/rollout/`+verb+`"`)
		}
		ended := r.State == op25bv1.RolloutState_ROLLOUT_STATE_DONE || r.State == op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK
		back, paused, held := r.State == op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK, r.State == op25bv1.RolloutState_ROLLOUT_STATE_PAUSED, r.State == op25bv1.RolloutState_ROLLOUT_STATE_HELD
		if verbs["abort"] != (!ended && !back) || verbs["pause"] != (!ended && !back && !paused) || verbs["resume"] != (paused || held) {
			t.Errorf("%v has the verbs %v", r.State, verbs)
		}
		box := strings.Contains(pageOf(t, f, "/", "en"), `id="h-rollout"`)
		if want := r.State != op25bv1.RolloutState_ROLLOUT_STATE_DONE; box != want { // one that went back half an hour ago is news
			t.Errorf("%v is on the overview: %v", r.State, box)
		}
	}
	r.State, r.Since = op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK, timestamppb.New(rolloutNow.Add(-25*time.Hour))
	lacksTexts(t, pageOf(t, f, "/", "en"), `id="h-rollout"`)
}

// TestGoingBack verifies that nothing is said to be without the change before its switches have confirmed that (I11), and that a command which does not
// fit the state is refused before its question.
func TestGoingBack(t *testing.T) {
	f := rolling()
	r, seen := f.rollouts.now.Rollout, f.rollouts.now.Seen
	r.State, r.Wanted = op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK, 0
	seen.Gates, seen.Rings[1].Confirmed, seen.Rings[3].Confirmed = nil, 2, 23
	page := pageOf(t, f, "/rollout", "en")
	wantTexts(t, page, `first</th><td data-name="State">does not have the change</td>`, `pilots</th><td data-name="State">loses the change</td>`, `<td data-name="Confirmed">2 of 3</td>`,
		"No ring is to have the change now. Not confirmed by 1 switch.")
	lacksTexts(t, page, "No ring has the change", `href="/rollout/abort"`)
	b := newBrowser(t, serve(t, siteOf(t, f)))
	for _, verb := range []string{"pause", "resume", "abort"} {
		if res, page := b.get("/rollout/" + verb); res.StatusCode != http.StatusConflict || !strings.Contains(page, "Rollout 7 is going-back. This command does not fit that state.") {
			t.Errorf("%s: %d\n%s", verb, res.StatusCode, page)
		}
	}
	r.State = op25bv1.RolloutState_ROLLOUT_STATE_PAUSED
	if res, _ := b.get("/rollout/pause"); res.StatusCode != http.StatusConflict {
		t.Errorf("pause while paused: %d", res.StatusCode)
	}
}

// TestStart verifies the form of a rollout: what it would do is shown before the reason is asked for, a mistake in the rings returns to the form with
// the text kept, and the rollout starts with what was shown.
func TestStart(t *testing.T) {
	f := rolling()
	f.rollouts.now.Rollout.State = op25bv1.RolloutState_ROLLOUT_STATE_DONE
	f.phases.Phases = []*op25bv1.Phase{{Name: "drain"}, {Name: "all-destinations"}}
	f.preview = &op25bv1.PreviewResponse{Revision: 31, Switches: 39, Changes: []*op25bv1.PhaseChange{{From: "drain", To: "all-destinations", EveryLine: true, Switches: []string{"lab-01"}}}}
	f.forecast = curvedAPI().forecast
	b := newBrowser(t, serve(t, siteOf(t, f)))
	_, page := b.get("/rollout")
	wantTexts(t, page, `href="/rollout/start">Start a rollout of a phase</a>`)
	_, page = b.get("/rollout/start?phase=all-destinations")
	wantTexts(t, page, "<option selected>all-destinations</option>", "<textarea", `maxlength="24576"`)
	form := url.Values{"csrf": {csrf(page)}, "phase": {"all-destinations"}, "groups": {"adsl, sim"}, "rings": {"kind: Rings\r\n# <all>"}}
	f.rollouts.refusal = connect.NewError(connect.CodeInvalidArgument, errors.New("rings:2:1: no rings"))
	if res, page := b.post("/rollout/start", form); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "rings:2:1: no rings") || !strings.Contains(page, "kind: Rings\n# &lt;all&gt;</textarea>") {
		t.Errorf("wrong rings: %d\n%s", res.StatusCode, page)
	}
	f.rollouts.refusal = nil
	res, page := b.post("/rollout/start", form)
	if res.StatusCode != http.StatusOK {
		t.Errorf("%d", res.StatusCode)
	}
	wantTexts(t, page, "drain → all-destinations", "the traffic is measured before the change", `<th scope="row">others</th><td class="n" data-name="Switches">23</td>`, "<button>Start the rollout: phase all-destinations for adsl, sim, in 4 rings to 39 switches</button>",
		"kind: Rings\n# &lt;all&gt;")
	form.Set("reason", " ")
	if res, page := b.post("/rollout/start", form); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "Give a reason.") {
		t.Errorf("without a reason: %d\n%s", res.StatusCode, page)
	}
	for _, r := range f.rollouts.started {
		if !r.DryRun {
			t.Errorf("started before the reason was given: %v", r)
		}
	}
	form.Set("reason", "OP25B-41")
	if res, _ := b.post("/rollout/start", form); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/rollout" {
		t.Errorf("start: %d", res.StatusCode)
	}
	want := &op25bv1.StartRolloutRequest{Phase: "all-destinations", Groups: []string{"adsl", "sim"}, RingsFile: "rings", Rings: []byte("kind: Rings\n# <all>"), Reason: "OP25B-41"}
	if got := f.rollouts.started[len(f.rollouts.started)-1]; !proto.Equal(got, want) {
		t.Errorf("the API got %v, want %v", got, want)
	}
	form.Set("rings", strings.Repeat("x", 25<<10))
	if res, page := b.post("/rollout/start", form); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "The rings have 25,600 bytes. The page accepts 24,576; use op25b rollout start.") {
		t.Errorf("long rings: %d\n%s", res.StatusCode, page)
	}
}

// TestNoRollout verifies the page before the first rollout, and that of a controller without rollouts.
func TestNoRollout(t *testing.T) {
	f := rolling()
	f.rollouts.now = nil
	wantTexts(t, pageOf(t, f, "/rollout", "en"), "There was no rollout yet.")
	f.rollouts = nil
	for _, path := range []string{"/rollout", "/"} {
		if page := pageOf(t, f, path, "en"); strings.Contains(page, "h-rollout") || path != "/" && !strings.Contains(page, "There was no rollout yet.") {
			t.Errorf("%s without rollouts:\n%s", path, page)
		}
	}
}

// TestSteer verifies the questions of the commands, which say what is accepted and what is taken back, and that a command goes to the API with what
// was shown.
func TestSteer(t *testing.T) {
	f := rolling()
	f.rollouts.hold()
	f.rollouts.now.Rollout.Accepted = []string{"rejects"}
	f.list.Switches[2].State, f.list.Switches[2].Converged = op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, false
	b := newBrowser(t, serve(t, siteOf(t, f)))
	for verb, want := range map[string][]string{
		"pause":  {"4 switches have the change or are being given it: rings first, pilots.", "Gates can still take the change back", "<button>Pause the rollout</button>"},
		"resume": {"The soak time of ring pilots begins anew: 2 h.", "is accepted: it holds neither this ring any longer nor a later one.", "affected, pilots: <span lang=\"en\">131 lines", "This cannot be accepted.", "probes, pilots, pilot-02", "Accepted before for ring pilots: rejects.", "<button>Accept affected, and resume the rollout</button>", `name="accepts" value="affected"`},
		"abort":  {"The change is taken back from 4 switches: rings first, pilots.", "This cannot be undone", "They lose the change once a controller reaches them", `<a href="/switch/pilot-02">pilot-02</a>: disconnected`},
	} {
		res, page := b.get("/rollout/" + verb)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", verb, res.StatusCode)
		}
		wantTexts(t, page, append(want, "Rollout 7, phase all-destinations, is held since 2026-11-30 11:35:00 &#43;0900.", `action="/rollout/`+verb+`"`)...)
	}
	_, page := b.get("/rollout/resume")
	since := regexp.MustCompile(`name="since" value="(\d+)"`).FindStringSubmatch(page)[1]
	form := url.Values{"csrf": {csrf(page)}, "since": {since}, "accepts": {"affected"}, "reason": {"  "}}
	if res, page := b.post("/rollout/resume", form); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "Give a reason.") || len(f.rollouts.steered) != 0 {
		t.Errorf("without a reason: %d\n%s", res.StatusCode, page)
	}
	form.Set("reason", "checked by hand")
	if res, _ := b.post("/rollout/resume", form); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/rollout" {
		t.Errorf("resume: %d", res.StatusCode)
	}
	want := &op25bv1.SteerRolloutRequest{
		Command: op25bv1.RolloutCommand_ROLLOUT_COMMAND_RESUME, Reason: "checked by hand", Since: f.rollouts.now.Rollout.Since, Accepts: []string{"affected"},
	}
	if got := f.rollouts.steered; len(got) != 1 || !proto.Equal(got[0], want) {
		t.Errorf("the API got %v, want %v", got, want)
	}
	// What is no longer as shown is asked again, with the reason kept.
	f.rollouts.refusal = connect.NewError(connect.CodeAborted, context.Canceled)
	if res, page := b.post("/rollout/abort", form); res.StatusCode != http.StatusConflict || !strings.Contains(page, `role="alert"`) || !strings.Contains(page, `value="checked by hand"`) {
		t.Errorf("a rollout that has changed: %d\n%s", res.StatusCode, page)
	}
	f.rollouts.refusal = connect.NewError(connect.CodeUnavailable, context.Canceled)
	if res, page := b.post("/rollout/abort", form); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(page, "It is not known whether the change was made") {
		t.Errorf("an answer that was lost: %d\n%s", res.StatusCode, page)
	}
	for _, bad := range []url.Values{{"csrf": form["csrf"], "reason": {"x"}}, {"csrf": form["csrf"], "reason": {"x"}, "since": {"yesterday"}}} {
		if res, _ := b.post("/rollout/abort", bad); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %d", bad, res.StatusCode)
		}
	}
	for _, path := range []string{"/rollout/stop", "/rollout/resume/x"} {
		if res, _ := b.get(path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

// TestRolloutIsLive verifies that an open page follows the rollout, that a page of the overview gets only the box, that a change which was seen alone
// does not wake the overview, and that the list of rollouts is asked for only when it may have changed.
func TestRolloutIsLive(t *testing.T) {
	f := rolling()
	f.rollouts.changes = make(chan *op25bv1.WatchRolloutResponse)
	site := siteOf(t, f)
	base := serve(t, site)
	runs, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { site.Run(runs) })
	defer func() { stop(); running.Wait() }()
	f.awaitWatch(t)
	ctx, _ := pagetest.Chromium(t)
	await := func(what string) {
		t.Helper()
		pagetest.Evaluate[bool](t, ctx, `((look) => new Promise((done) => { const again = () => look() ? done(true) : setTimeout(again, 50); again(); }))(() => `+what+`)`, chromedp.EvalAwaitPromise)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/rollout")); err != nil {
		t.Fatal(err)
	}
	await(`document.getElementById("livestate").textContent.startsWith("Live.")`)
	overview := newBrowser(t, base)
	_, page := overview.get("/")
	from := regexp.MustCompile(`data-events="([^"]+)"`).FindStringSubmatch(page)[1]

	next := func(change func(*op25bv1.WatchRolloutResponse)) {
		f.rollouts.mu.Lock()
		m := &op25bv1.WatchRolloutResponse{Rollout: proto.CloneOf(f.rollouts.now.Rollout), Seen: proto.CloneOf(f.rollouts.now.Seen)}
		f.rollouts.mu.Unlock()
		change(m)
		f.rollouts.changes <- m
	}
	next(func(m *op25bv1.WatchRolloutResponse) { m.Seen.Time = timestamppb.New(rolloutNow.Add(time.Second)) })
	await(`document.getElementById("rollout-state").textContent.includes("12:00:01")`)
	f.rollouts.mu.Lock()
	lists := f.rollouts.lists
	f.rollouts.mu.Unlock()
	next(func(m *op25bv1.WatchRolloutResponse) {
		m.Rollout.State, m.Rollout.Resumes = op25bv1.RolloutState_ROLLOUT_STATE_PAUSED, m.Rollout.State
		m.Rollout.SteeredBy, m.Rollout.Note = "bob@isp.example", "a call"
	})
	await(`document.getElementById("rollout-state").textContent.includes("bob@isp.example: a call") && document.getElementById("rollout-verbs").textContent.includes("Resume the rollout")`)
	await(`document.querySelector("#rollout-past td").textContent === "paused"`)
	f.rollouts.mu.Lock()
	if f.rollouts.lists != lists+1 || lists > 2 {
		t.Errorf("the rollouts were listed %d times, and %d times after another state", lists, f.rollouts.lists)
	}
	f.rollouts.mu.Unlock()
	res, events := eventsUntil(t, overview, from, `"id":"rollout"`)
	res.Body.Close()
	if strings.Contains(events, `"id":"rollout-`) || strings.Contains(events, "12:00:01") {
		t.Errorf("the overview gets\n%s", events)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/")); err != nil {
		t.Fatal(err)
	}
	await(`document.getElementById("rollout").textContent.includes("paused")`)
	next(func(m *op25bv1.WatchRolloutResponse) { m.Rollout.State = op25bv1.RolloutState_ROLLOUT_STATE_DONE })
	await(`document.getElementById("rollout").textContent === ""`)
}
