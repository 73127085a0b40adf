package web_test

import (
	"testing"
	"time"

	"op25b/internal/page/pagetest"
	op25bv1 "op25b/proto/op25b/v1"
)

// cutCells is a script that returns the cells of the tables that a narrow screen stacks, as far as they leave the screen. The column heads are then
// for screen readers only.
const cutCells = `[...document.querySelectorAll(".stack tbody th, .stack tbody td")].filter((c) => {
  const r = c.getBoundingClientRect();
  return r.width > 0 && (r.left < 0 || r.right > innerWidth || c.scrollWidth > c.clientWidth);
}).map((c) => c.textContent)`

// brokenHeads is a script that returns the column heads that take more than one line.
const brokenHeads = `[...document.querySelectorAll("thead th")].filter((h) => {
  if (getComputedStyle(h.closest("thead")).clipPath !== "none") return false;
  const r = document.createRange();
  r.selectNodeContents(h);
  return new Set([...r.getClientRects()].map((x) => x.top)).size > 1;
}).map((h) => h.textContent)`

// TestNarrowTables verifies that a narrow screen shows every column of the switches that need attention and of the exemptions, and that no Japanese
// column head is broken into characters.
func TestNarrowTables(t *testing.T) {
	now := time.Date(2006, 9, 28, 12, 0, 0, 0, time.UTC)
	f := &fakeAPI{
		now: func() time.Time { return now }, phases: &op25bv1.ListPhasesResponse{Revision: 7, UtcOffset: "+09:00"}, list: threeSwitches(now),
		dates: &op25bv1.ListDatesResponse{Revision: 7, UtcOffset: "+09:00"},
	}
	base := serve(t, siteOf(t, f))
	ctx, _ := pagetest.Chromium(t)
	for _, r := range []pagetest.Reader{{Lang: "en", Width: 360}, {Lang: "ja", Width: 360}, {Lang: "ja", Width: 1280}} {
		pagetest.As(t, ctx, r)
		pagetest.Open(t, ctx, base+"/")
		if n := pagetest.Evaluate[int](t, ctx, `document.querySelectorAll("#attention .stack td").length`); n == 0 {
			t.Fatal("no switch needs attention")
		}
		for _, cut := range pagetest.Evaluate[[]string](t, ctx, cutCells) {
			t.Errorf("%+v: cut: %s", r, cut)
		}
		if r.Lang != "ja" {
			continue
		}
		for _, head := range pagetest.Evaluate[[]string](t, ctx, brokenHeads) {
			t.Errorf("%+v: more than one line: %s", r, head)
		}
	}
}
