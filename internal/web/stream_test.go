package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"op25b/internal/page/pagetest"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestStreamInBrowser verifies what the script does with the stream of changes: a lost stream is shown until it is there again, also if the server
// refuses it for a while. A change during a pause appears only when the page is resumed. An update leaves the focus where it is. The live region
// announces a change, and not more than twice a minute.
func TestStreamInBrowser(t *testing.T) {
	f := &fakeAPI{phases: &op25bv1.ListPhasesResponse{UtcOffset: "+09:00"}, list: threeSwitches(time.Now()), changes: make(chan *op25bv1.SwitchStatus)}
	f.list.Switches[0].Revision = 7
	site := siteOf(t, f)
	var refused atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused.Load() && r.URL.Path == "/events" {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		site.ServeHTTP(w, r)
	}))
	runs, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { site.Run(runs) })
	defer func() { stop(); running.Wait(); server.CloseClientConnections(); server.Close() }()
	f.awaitWatch(t)

	ctx, _ := pagetest.Chromium(t)
	// The test makes the ten seconds pass after which the script opens a refused stream again, and the half minute between announcements.
	const timers = `window.again = []; const real = window.setTimeout; window.setTimeout = (f, ms) => ms === 10000 ? window.again.push(f) : real(f, ms);
		window.later = 0; const now = Date.now; Date.now = () => now() + window.later;`
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: timers}); err != nil {
		t.Fatal(err)
	}
	await := func(what string) {
		t.Helper()
		pagetest.Evaluate[bool](t, ctx, `((look) => new Promise((done) => { const again = () => look() ? done(true) : setTimeout(again, 50); again(); }))(() => `+what+`)`, chromedp.EvalAwaitPromise)
	}
	text := func(id string) string {
		t.Helper()
		return pagetest.Evaluate[string](t, ctx, `document.getElementById("`+id+`").textContent`)
	}
	const (
		live = `document.getElementById("livestate").textContent.startsWith("Live.") && !document.body.classList.contains("old")`
		lost = `document.getElementById("livestate").textContent.startsWith("The connection is lost. These values are old.") && document.body.classList.contains("old")`
	)
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/")); err != nil {
		t.Fatal(err)
	}
	await(live)
	if at := text("liveat"); !strings.HasPrefix(at, "Last sign of life: ") || !strings.HasSuffix(at, " +0900") {
		t.Errorf("the clock shows %q", at)
	}

	// The stream breaks, and the browser opens it again by itself.
	pagetest.Evaluate[bool](t, ctx, `window.wasLost = false; new MutationObserver(() => { if (`+lost+`) window.wasLost = true; }).observe(document.body, {subtree: true, childList: true, attributes: true}); true`)
	server.CloseClientConnections()
	await(`window.wasLost`)
	await(live)

	// The server refuses the stream, so that the browser gives up and the script has to open it.
	refused.Store(true)
	server.CloseClientConnections()
	await(lost + ` && window.again.length > 0`)
	f.change(0, "first cause")
	if strings.Contains(text("attention"), "first cause") {
		t.Error("the page has a change that it cannot have received")
	}
	refused.Store(false)
	pagetest.Evaluate[bool](t, ctx, `window.again.shift()(); true`)
	await(live)
	await(`document.getElementById("attention").textContent.includes("first cause")`)

	// The change of the headline is announced once half a minute has passed since the page was loaded.
	if said := text("announce"); said != "" {
		t.Errorf("announced too early: %q", said)
	}
	pagetest.Evaluate[bool](t, ctx, `window.later += 31000; true`)
	await(`document.getElementById("announce").textContent.includes("0 of 3 switches are what the intent says, revision 7")`)

	// What arrives after a pause is not shown before the page is resumed.
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.ID("pause"))); err != nil {
		t.Fatal(err)
	}
	f.change(0, "second cause")
	pagetest.Evaluate[bool](t, ctx, `(async () => { for (;;) { const r = await fetch("/"); if ((await r.text()).includes("second cause")) return true; } })()`, chromedp.EvalAwaitPromise)
	if shown := text("attention"); !strings.Contains(shown, "first cause") || strings.Contains(shown, "second cause") || text("livestate") != "Paused." {
		t.Errorf("paused, as %q: %s", text("livestate"), shown)
	}
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.ID("pause"))); err != nil {
		t.Fatal(err)
	}
	await(`document.getElementById("attention").textContent.includes("second cause")`)
	await(live)

	// A cell under the focus changes once the focus has left it, and the page says so.
	pagetest.Evaluate[bool](t, ctx, `window.link = document.querySelector("#cell-edge-east a"); window.link.focus(); true`)
	f.change(0, "third cause")
	await(`document.getElementById("attention").textContent.includes("third cause")`)
	await(`document.getElementById("livestate").textContent.endsWith("A part that has the keyboard focus is updated when the focus leaves it.")`)
	if !pagetest.Evaluate[bool](t, ctx, `document.activeElement === window.link && window.link.isConnected && !window.link.title.includes("third cause")`) {
		t.Error("the cell under the focus was replaced")
	}
	pagetest.Evaluate[bool](t, ctx, `window.link.blur(); true`)
	await(`document.querySelector("#cell-edge-east a").title.includes("third cause")`)
}
