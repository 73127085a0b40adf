package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"op25b/internal/page/pagetest"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestWallPace verifies the pace of a screen on a wall, which the page states.
func TestWallPace(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	for query, want := range map[string]string{"wall": "changes every 20 seconds", "wall=": "changes every 20 seconds", "wall=10": "changes every 10 seconds", "wall=600": "changes every 600 seconds"} {
		if res, page := b.get("/?" + query); res.StatusCode != http.StatusOK || !strings.Contains(page, want) || !strings.Contains(page, `<body class="wall">`) {
			t.Errorf("%s: %d, no %q", query, res.StatusCode, want)
		}
	}
	for _, query := range []string{"wall=9", "wall=601", "wall=x", "wall=-20"} {
		if res, page := b.get("/?" + query); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "must be the number of seconds for each view, from 10 to 600") {
			t.Errorf("%s: %d\n%s", query, res.StatusCode, page)
		}
	}
	if _, page := b.get("/"); strings.Contains(page, "wallstate") {
		t.Error("the overview rotates")
	}
}

// TestWallInBrowser verifies that a screen on a wall shows one view after the other, that this can be paused, that it does not happen while the
// focus is in a view or for people who want no motion, and that everything is shown without the script.
func TestWallInBrowser(t *testing.T) {
	base := earlySite(t)
	ctx, faults := pagetest.Chromium(t)
	// The test makes the time pass.
	const timers = `window.ticks = []; window.setInterval = (f, ms) => { window.ticks.push([f, ms]); return window.ticks.length; };`
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: timers}); err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		t.Helper()
		return pagetest.Evaluate[string](t, ctx, `[...document.querySelectorAll("[data-view]")].map((v) => v.getClientRects().length ? "1" : "0").join("")`)
	}
	tick := func() {
		t.Helper()
		if ms := pagetest.Evaluate[int](t, ctx, `(window.ticks[0][0](), window.ticks[0][1])`); ms != 30_000 {
			t.Errorf("the view changes every %d ms, want 30000", ms)
		}
	}
	expect := func(when, want string) {
		t.Helper()
		if got := shown(); got != want {
			t.Errorf("%s: the views shown are %s, want %s", when, got, want)
		}
	}
	click := func(id string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Click(chromedp.ID(id))); err != nil {
			t.Fatal(err)
		}
		pagetest.Evaluate[bool](t, ctx, `(document.activeElement.blur(), true)`)
	}
	for _, width := range []int64{320, 1920} {
		pagetest.As(t, ctx, pagetest.Reader{Width: width})
		pagetest.Open(t, ctx, base+"/?wall=30")
		for round := range 2 {
			for i, want := range []string{"100", "010", "001"} {
				expect("rotating", want)
				if text := pagetest.Evaluate[string](t, ctx, `document.getElementById("wallstate").textContent`); !strings.HasPrefix(text, "View "+string(rune('1'+i))+" of 3.") || !strings.Contains(text, "every 30 seconds") {
					t.Errorf("the pace is not stated: %q", text)
				}
				for _, bad := range append(pagetest.Tree(t, ctx).Faults(), pagetest.Evaluate[[]string](t, ctx, pagetest.Rules)...) {
					t.Errorf("round %d, view %s, %d wide: %s", round, want, width, bad)
				}
				tick()
			}
		}
	}
	click("pause")
	tick()
	expect("paused", "100")
	click("next")
	expect("the next view by hand", "010")
	click("pause")
	click("next")
	click("next")
	pagetest.Evaluate[bool](t, ctx, `(document.querySelector("#attention a").focus(), true)`)
	tick()
	expect("with the focus in a view", "100")
	pagetest.Evaluate[bool](t, ctx, `(document.activeElement.blur(), true)`)
	tick()
	expect("after the focus has left", "010")

	pagetest.As(t, ctx, pagetest.Reader{Width: 1920, ReducedMotion: true})
	pagetest.Evaluate[bool](t, ctx, `new Promise((done) => { const look = () => document.getElementById("next").hidden ? done(true) : setTimeout(look, 20); look(); })`, chromedp.EvalAwaitPromise)
	expect("once no motion is wanted", "111")
	pagetest.Open(t, ctx, base+"/?wall=30")
	tick()
	expect("without motion", "111")
	pagetest.As(t, ctx, pagetest.Reader{Width: 1920, NoScript: true})
	pagetest.Open(t, ctx, base+"/?wall=30")
	expect("without the script", "111")
	for _, f := range faults() {
		t.Errorf("console: %s", f)
	}
}

// TestWallRows verifies that the style sheet hides as many rows as the note on the wall says.
func TestWallRows(t *testing.T) {
	f := &fakeAPI{phases: &op25bv1.ListPhasesResponse{}, list: &op25bv1.ListSwitchesResponse{Revision: 12, Switches: bigFleet(time.Now())}}
	base := serve(t, siteOf(t, f))
	ctx, _ := pagetest.Chromium(t)
	for path, want := range map[string]string{"/?wall": "10, and 40 more, shown on the overview", "/": "50, "} {
		pagetest.As(t, ctx, pagetest.Reader{Width: 1920, NoScript: true})
		pagetest.Open(t, ctx, base+path)
		got := pagetest.Evaluate[string](t, ctx, `(() => {
			const seen = (list) => [...list].filter((el) => el.getClientRects().length);
			return seen(document.querySelectorAll("#attention tbody tr")).length + ", " + seen(document.querySelectorAll(".wallnote")).map((el) => el.textContent).join();
		})()`)
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
