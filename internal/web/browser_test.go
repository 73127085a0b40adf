package web_test

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

// chromium starts a headless browser. The returned function returns the errors on the browser's console so far, which include violations of
// the Content-Security-Policy.
func chromium(t *testing.T) (context.Context, func() []string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		fmt.Println("SKIPPED: no chromium: apt-get install chromium fonts-noto-cjk")
		t.Skip("no chromium")
	}
	alloc, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(end)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	var mu sync.Mutex
	var faults []string
	var reading sync.WaitGroup
	reading.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == "error" || m.Type == chromedp.ConsoleException {
				mu.Lock()
				faults = append(faults, m.Text)
				mu.Unlock()
			}
		}
	})
	t.Cleanup(func() { end(); reading.Wait() })
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return faults
	}
}

// evaluate runs a script in the page and returns its value.
func evaluate[T any](t *testing.T, ctx context.Context, script string, opts ...chromedp.EvaluateOption) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, opts...))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// rules is a script that checks a page against rules of WCAG 2.2 and returns the violations. It checks the names of controls (4.1.2), the
// order of headings (1.3.1), one h1 and one main (2.4.1), the language (3.1.1), the contrast of text (1.4.3), no overflow at this width
// (1.4.10), and the size of targets (2.5.8).
const rules = `(() => {
  const bad = [], say = (el, what) => bad.push(what + ": " + el.outerHTML.slice(0, 120));
  if (!document.documentElement.lang) bad.push("no language");
  if (document.querySelectorAll("h1").length !== 1 || document.querySelectorAll("main").length !== 1) bad.push("not one h1 and one main");
  let level = 0;
  for (const h of document.querySelectorAll("h1,h2,h3,h4")) { const n = +h.tagName[1]; if (n > level + 1) say(h, "heading order"); level = n; }
  const named = (el) => (el.getAttribute("aria-label") || (el.labels && el.labels.length && el.labels[0].textContent) || el.textContent || el.title || "").trim();
  for (const el of document.querySelectorAll("a,button,input:not([type=hidden]),select")) if (!named(el)) say(el, "no name");
  for (const el of document.querySelectorAll("table")) if (!el.querySelector("th[scope=col]")) say(el, "table without column headers");
  const ids = new Set();
  for (const el of document.querySelectorAll("[id]")) { if (ids.has(el.id)) say(el, "id twice"); ids.add(el.id); }
  for (const el of document.querySelectorAll("[aria-labelledby],[aria-describedby]")) for (const a of ["aria-labelledby", "aria-describedby"]) for (const id of (el.getAttribute(a) || "").split(" ")) if (id && !document.getElementById(id)) say(el, a + " of nothing");
  const colour = (text) => { const m = text.match(/[\d.]+/g).map(Number); return m.length > 3 && m[3] === 0 ? null : m; };
  const lum = (c) => { const f = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const back = (el) => { for (; el; el = el.parentElement) { const c = colour(getComputedStyle(el).backgroundColor); if (c) return c; } return [255, 255, 255]; };
  for (const el of document.querySelectorAll("body *")) {
    const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !el.offsetParent || el.closest(".hide,.skip")) continue;
    const a = lum(colour(getComputedStyle(el).color) || [0, 0, 0]), b = lum(back(el)), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) say(el, "contrast " + ratio.toFixed(2));
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) bad.push("overflow: " + document.documentElement.scrollWidth + " of " + innerWidth);
  for (const el of document.querySelectorAll("button,input:not([type=hidden]),select,.grid a,nav a")) { const r = el.getBoundingClientRect(); if (r.width && (r.height < 24 || r.width < 24)) say(el, "target " + r.width + "x" + r.height); }
  return bad;
})()`

// TestInBrowser shows every page in a real browser, in both languages, light and dark, on narrow and wide screens, and checks the pages
// against the rules. The console must stay empty, because a violation of the Content-Security-Policy is written to it.
func TestInBrowser(t *testing.T) {
	base := earlySite(t)
	ctx, faults := chromium(t)
	for _, lang := range []string{"en", "ja"} {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{320, 768, 1920} {
				for _, path := range []string{"/", "/programme", "/changes", "/check", "/switch/edge-1", "/signin", "/nowhere"} {
					_, err := chromedp.Call(ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: map[string]any{"Accept-Language": lang}})
					if err == nil {
						_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
							Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
						})
					}
					if err == nil {
						err = chromedp.Do(ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate(base+path))
					}
					if err != nil {
						t.Fatalf("%s in %s, %s, %d: %v", path, lang, scheme, width, err)
					}
					bad := evaluate[[]string](t, ctx, rules)
					for _, b := range bad {
						t.Errorf("%s in %s, %s, %d wide: %s", path, lang, scheme, width, b)
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
	ctx, _ := chromium(t)
	const later = `(look) => new Promise((done) => { const again = () => look() ? done(true) : setTimeout(again, 50); again(); })`
	await := func(what string) {
		t.Helper()
		evaluate[bool](t, ctx, "("+later+")(() => "+what+")", chromedp.EvalAwaitPromise)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/")); err != nil {
		t.Fatal(err)
	}
	await(`document.getElementById("livestate").textContent.startsWith("Live")`)
	evaluate[bool](t, ctx, `window.was = document.getElementById("headline").textContent; true`)
	change("mobile-carriers")
	await(`document.getElementById("headline").textContent !== window.was`)

	// A fragment that has the focus is updated only after it has lost the focus.
	evaluate[bool](t, ctx, `window.link = document.querySelector("#attention a"); window.link.focus(); window.was = document.getElementById("headline").textContent; true`)
	change("before")
	await(`document.getElementById("headline").textContent !== window.was`)
	if !evaluate[bool](t, ctx, `document.activeElement === window.link`) {
		t.Error("an update took the focus away")
	}
	evaluate[bool](t, ctx, `window.link.blur(); true`)
	await(`document.querySelector("#attention a") !== window.link`)

	// A paused page does not change.
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.ID("pause"))); err != nil {
		t.Fatal(err)
	}
	if text := evaluate[string](t, ctx, `document.getElementById("livestate").textContent + "|" + document.getElementById("pause").textContent`); !strings.HasPrefix(text, "Paused at") || !strings.HasSuffix(text, "|Resume") {
		t.Errorf("paused: %q", text)
	}
}
