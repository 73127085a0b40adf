package pagetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A Stop is an element at which the focus stops when a person presses the tab key.
type Stop struct {
	At   int    // the position among the page's elements, or -1 for none
	HTML string // the beginning of the element
	// Ring describes what shows that the element has the focus, with its contrast to the colour behind it, and Fault what is wrong with it.
	Ring, Fault string
}

// focused is a script that returns the Stop at which the focus is. The indicator must be an outline of at least 2 CSS pixels with a contrast
// of at least 3 to the colour behind it (WCAG 2.2, 2.4.7, 2.4.13 and 1.4.11), and the element must be in view and not covered by another one
// (2.4.11).
const focused = `(() => {` + colours + `
  const el = document.activeElement;
  if (!el || el === document.body || el === document.documentElement) return { At: -1, HTML: "", Ring: "", Fault: "" };
  const stop = { At: [...document.querySelectorAll("*")].indexOf(el), HTML: el.outerHTML.slice(0, 120), Ring: "", Fault: "" };
  const s = getComputedStyle(el), width = parseFloat(s.outlineWidth) || 0, ring = colour(s.outlineColor);
  if (s.outlineStyle === "none" || width < 2 || !ring) { stop.Fault = "no visible focus"; return stop; }
  const behind = back(parseFloat(s.outlineOffset) >= 0 ? el.parentElement : el), ratio = contrast(ring, behind);
  stop.Ring = width + "px " + s.outlineStyle + ", contrast " + ratio.toFixed(2);
  if (ratio < 3) { stop.Fault = "the focus has a contrast of " + ratio.toFixed(2); return stop; }
  const r = el.getClientRects()[0] || el.getBoundingClientRect();
  const x = Math.min(Math.max(r.left + Math.min(r.width, innerWidth) / 2, 0), innerWidth - 1), y = r.top + Math.min(r.height, innerHeight) / 2;
  if (r.bottom <= 0 || r.top >= innerHeight || r.right <= 0 || r.left >= innerWidth) stop.Fault = "the focus is out of view";
  else {
    const top = document.elementFromPoint(x, Math.min(Math.max(y, 0), innerHeight - 1));
    if (top && !el.contains(top) && !top.contains(el)) stop.Fault = "covered by " + top.outerHTML.slice(0, 80);
  }
  return stop;
})()`

// reachable is a script that returns the positions of the elements that the tab key should reach, in their order. It leaves out what a closed details
// element hides, which has a place all the same. Of a group of radio buttons, the tab key reaches only the checked one, or the first one if none is
// checked.
const reachable = `(() => {
  const all = [...document.querySelectorAll("*")], out = [];
  const radio = (el) => el && el.tagName === "INPUT" && el.type === "radio", together = (a, b) => radio(a) && radio(b) && a.name === b.name && a.form === b.form;
  const able = all.filter((el) => el.matches("a[href],button,input:not([type=hidden]),select,textarea,summary,[tabindex]") && el.tabIndex >= 0 && !el.disabled && el.getClientRects().length > 0 && getComputedStyle(el).visibility !== "hidden" && el.checkVisibility());
  for (const el of able) {
    const group = able.filter((o) => together(o, el));
    if (!radio(el) || el === (group.find((o) => o.checked) || group[0])) out.push(all.indexOf(el));
  }
  return out;
})()`

// Walk walks through the page with the keyboard only, forward from its beginning to its end and back, and returns the stops and the
// violations. The walk must reach every control, in the order of the page (WCAG 2.2, 2.1.1, 2.4.3), without a trap (2.1.2), and the focus
// must be visible at each stop.
func Walk(t *testing.T, ctx context.Context) (stops []Stop, faults []string) {
	t.Helper()
	want := Evaluate[[]int](t, ctx, reachable)
	Evaluate[bool](t, ctx, `(document.activeElement && document.activeElement.blur(), scrollTo(0, 0), getSelection().removeAllRanges(), true)`)
	press := func(opts ...chromedp.KeyOption) Stop {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab, opts...)); err != nil {
			t.Fatal(err)
		}
		return Evaluate[Stop](t, ctx, focused)
	}
	walk := func(opts ...chromedp.KeyOption) (stops []Stop) {
		for len(stops) < len(want) {
			s := press(opts...)
			if s.At < 0 {
				break
			}
			stops = append(stops, s)
		}
		return stops
	}
	stops = walk()
	for _, s := range stops {
		if s.Fault != "" {
			faults = append(faults, s.Fault+": "+s.HTML)
		}
	}
	got := positions(stops)
	if !slices.Equal(got, want) {
		faults = append(faults, fmt.Sprintf("the tab key reaches the elements %v, want %v: %s", got, want, first(stops, want)))
	} else if after := press(); after.At >= 0 && after.At != got[0] {
		faults = append(faults, "the tab key does not leave the page after its last control, but leads to "+after.HTML)
	}
	if len(stops) == 0 || len(faults) > 0 {
		return stops, faults
	}
	// Back from the last control, which has the focus once more.
	Evaluate[bool](t, ctx, fmt.Sprintf(`(document.querySelectorAll("*")[%d].focus(), true)`, got[len(got)-1]))
	back := positions(walk(chromedp.KeyModifiers(chromedp.ModifierShift)))
	slices.Reverse(back)
	if n := len(got) - 1; len(back) < n || !slices.Equal(back[len(back)-n:], got[:n]) {
		faults = append(faults, fmt.Sprintf("the tab key reaches the elements %v backwards, want %v", back, got[:n]))
	}
	return stops, faults
}

func positions(stops []Stop) []int {
	all := make([]int, len(stops))
	for i, s := range stops {
		all[i] = s.At
	}
	return all
}

// first describes the first stop that is not as expected.
func first(stops []Stop, want []int) string {
	for i, s := range stops {
		if i >= len(want) || s.At != want[i] {
			return "an unexpected stop at " + s.HTML
		}
	}
	return fmt.Sprintf("the walk ends after %d stops", len(stops))
}
