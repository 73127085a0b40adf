package pagetest

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// A Reader is how a person reads a page.
type Reader struct {
	Lang          string // "en" or "ja"; empty means "en"
	Dark          bool   // prefers-color-scheme
	Width         int64  // of the window in CSS pixels; 0 means 1280
	ReducedMotion bool   // prefers-reduced-motion
	NoScript      bool   // the browser runs no script of the page
}

// As makes the browser show the next pages as they are for a reader.
func As(t *testing.T, ctx context.Context, r Reader) {
	t.Helper()
	if r.Lang == "" {
		r.Lang = "en"
	}
	if r.Width == 0 {
		r.Width = 1280
	}
	scheme, motion := "light", "no-preference"
	if r.Dark {
		scheme = "dark"
	}
	if r.ReducedMotion {
		motion = "reduce"
	}
	_, err := chromedp.Call(ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: map[string]any{"Accept-Language": r.Lang}})
	if err == nil {
		_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion}},
		})
	}
	if err == nil {
		_, err = chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: r.NoScript})
	}
	if err == nil {
		err = chromedp.Do(ctx, chromedp.EmulateViewport(r.Width, 800))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Open shows a page.
func Open(t *testing.T, ctx context.Context, address string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		t.Fatalf("%s: %v", address, err)
	}
}

// Moving is a script that returns the elements that move: those with an animation or a transition that takes time. For a reader with
// ReducedMotion there must be none.
const Moving = `(() => {
  const seconds = (list) => Math.max(...list.split(",").map((d) => parseFloat(d) * (d.trim().endsWith("ms") ? 0.001 : 1)));
  const bad = document.getAnimations().map((a) => "animation of " + (a.effect && a.effect.target ? a.effect.target.outerHTML.slice(0, 120) : "something"));
  for (const el of document.querySelectorAll("*")) {
    const s = getComputedStyle(el);
    if (seconds(s.transitionDuration) > 0 || s.animationName !== "none" && seconds(s.animationDuration) > 0) bad.push("moves: " + el.outerHTML.slice(0, 120));
    if (s.scrollBehavior === "smooth") bad.push("scrolls smoothly: " + el.outerHTML.slice(0, 120));
  }
  return bad;
})()`
