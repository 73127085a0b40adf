package web_test

import (
	"cmp"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/chromedp/chromedp"

	"op25b/internal/client"
	"op25b/internal/page/pagetest"
	op25bv1 "op25b/proto/op25b/v1"
)

// pages are the paths of all pages of the example.
var pages = []string{"/", "/?wall", "/exemptions", "/programme", "/changes", "/check", "/changes/1", "/changes/2", "/switch/edge-1", "/switch/edge-1/hold", "/switch/edge-1/release", "/rollout", "/rollout/start", "/signin", "/nowhere"}

// TestInBrowser shows every page in a real browser, in both languages, light and dark, on narrow and wide screens, and checks the pages
// against the rules. The console must stay empty, because a violation of the Content-Security-Policy is written to it.
func TestInBrowser(t *testing.T) { checkInBrowser(t, earlySite(t), pages) }

// TestCurvesInBrowser does the same with pages that have curves, gaps and certificates.
func TestCurvesInBrowser(t *testing.T) {
	base := serve(t, siteOf(t, curvedAPI()))
	checkInBrowser(t, base, []string{"/switch/edge-1", "/switch/edge-1?range=90d", "/programme"})
}

// TestRolloutInBrowser does the same with the pages of a rollout, the questions of its commands, and a switch whose probes deviate.
func TestRolloutInBrowser(t *testing.T) {
	f := rolling()
	f.rollouts.hold()
	checkInBrowser(t, serve(t, siteOf(t, f)), []string{"/rollout", "/", "/?wall", "/rollout/resume", "/rollout/abort"})
	f = rolling()
	f.rollouts.now.Seen.Leader = ""
	checkInBrowser(t, serve(t, siteOf(t, f)), []string{"/rollout", "/"})
	p := probed()
	p.deviate()
	checkInBrowser(t, serve(t, siteOf(t, p)), []string{"/switch/edge-1"})
}

// checkInBrowser loads every page once in each language. The browser then changes the scheme and the width, to which only the style sheet responds.
// Nothing in the accessibility tree depends on the scheme.
func checkInBrowser(t *testing.T, base string, paths []string) {
	ctx, faults := pagetest.Chromium(t)
	for _, lang := range []string{"en", "ja"} {
		for _, path := range paths {
			pagetest.As(t, ctx, pagetest.Reader{Lang: lang, Width: 320, ReducedMotion: true})
			pagetest.Open(t, ctx, base+path)
			pagetest.Evaluate[bool](t, ctx, `document.querySelectorAll("details").forEach((d) => { d.open = true; }); true`)
			for _, width := range []int64{320, 768, 1920} {
				for _, dark := range []bool{false, true} {
					pagetest.As(t, ctx, pagetest.Reader{Lang: lang, Dark: dark, Width: width, ReducedMotion: true})
					bad := pagetest.Evaluate[[]string](t, ctx, "["+pagetest.Rules+", "+pagetest.Moving+"].flat()")
					if !dark {
						bad = append(bad, pagetest.Tree(t, ctx).Faults()...)
					}
					for _, b := range bad {
						t.Errorf("%s in %s, dark %v, %d wide: %s", path, lang, dark, width, b)
					}
				}
			}
		}
	}
	for _, f := range faults() {
		if !strings.Contains(f, "404") { // of /nowhere
			t.Errorf("console: %s", f)
		}
	}
}

// TestKeyboard walks through every page with the tab key, in both colour schemes, on a narrow and on a wide screen, with and without the
// script.
func TestKeyboard(t *testing.T) {
	base := earlySite(t)
	ctx, _ := pagetest.Chromium(t)
	for _, r := range []pagetest.Reader{{}, {Dark: true, Width: 320}, {NoScript: true}} {
		pagetest.As(t, ctx, r)
		for _, path := range pages {
			pagetest.Open(t, ctx, base+path)
			stops, bad := pagetest.Walk(t, ctx)
			if len(stops) < 3 {
				t.Errorf("%s as %+v: %d stops", path, r, len(stops))
			}
			for _, b := range bad {
				t.Errorf("%s as %+v: %s", path, r, b)
			}
		}
	}
}

// TestLiveInBrowser verifies that the overview follows the switches, never takes the focus away, can be paused, and shows when the connection
// is lost.
func TestLiveInBrowser(t *testing.T) {
	base, addr := siteAndAPI(t, nil)
	api, err := client.New(client.Config{Server: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	revision := uint64(1)
	change := func(phase string) { // each activation creates a revision, which the page shows
		t.Helper()
		stream, err := api.Phase.Activate(t.Context(), connect.NewRequest(&op25bv1.ActivateRequest{Phase: phase, Base: revision, Reason: "test", NoWait: true}))
		if err == nil {
			for stream.Receive() {
			}
			err = cmp.Or(stream.Err(), stream.Close())
			revision++
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, _ := pagetest.Chromium(t)
	const later = `(look) => new Promise((done) => { const again = () => look() ? done(true) : setTimeout(again, 50); again(); })`
	await := func(what string) {
		t.Helper()
		pagetest.Evaluate[bool](t, ctx, "("+later+")(() => "+what+")", chromedp.EvalAwaitPromise)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/")); err != nil {
		t.Fatal(err)
	}
	await(`document.getElementById("livestate").textContent.startsWith("Live")`)
	pagetest.Evaluate[bool](t, ctx, `window.was = document.getElementById("headline").textContent; true`)
	change("mobile-carriers")
	await(`document.getElementById("headline").textContent !== window.was`)

	// A fragment that has the focus is updated only after it has lost the focus.
	pagetest.Evaluate[bool](t, ctx, `window.link = document.querySelector("#attention a"); window.link.focus(); window.was = document.getElementById("headline").textContent; true`)
	change("before")
	await(`document.getElementById("headline").textContent !== window.was`)
	if !pagetest.Evaluate[bool](t, ctx, `document.activeElement === window.link`) {
		t.Error("an update took the focus away")
	}
	pagetest.Evaluate[bool](t, ctx, `window.link.blur(); true`)
	await(`document.querySelector("#attention a") !== window.link`)

	// A paused page does not change.
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.ID("pause"))); err != nil {
		t.Fatal(err)
	}
	if text := pagetest.Evaluate[string](t, ctx, `document.getElementById("livestate").textContent + "|" + document.getElementById("pause").textContent`); !strings.HasPrefix(text, "Paused.") || !strings.HasSuffix(text, "|Resume") {
		t.Errorf("paused: %q", text)
	}
}
