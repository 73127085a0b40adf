package pagetest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"op25b/internal/page/pagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pagetest.Tests{M: m}) }

// good is a page without a fault. Each case below replaces a part of it.
const good = `<!DOCTYPE html><html lang="en"><head><title>Good</title><style>
body { background: #fff; color: #000; } :focus-visible { outline: 3px solid #00f; outline-offset: 2px; } button, input, nav a { display: inline-block; min-height: 32px; min-width: 32px; }
</style></head><body>
<header><a href="#content">Skip</a><nav aria-label="Pages"><ul><li><a href="/one">One page</a></li></ul></nav></header>
<main id="content" tabindex="-1"><h1>Good</h1>
<p id="said" role="status">Nothing new.</p>
<section aria-labelledby="h-a"><h2 id="h-a">Rows</h2>
<div tabindex="0" role="region" aria-label="Table of rows"><table><thead><tr><th scope="col">Name</th><th scope="col">Count</th></tr></thead><tbody><tr><th scope="row">a</th><td>1</td></tr></tbody></table></div></section>
<form action="/" aria-label="Ask"><label for="q">Question</label><input id="q" name="q"><button>Send</button></form>
<details><summary>More</summary><p>Text</p></details>
<svg role="img" aria-label="A curve" width="10" height="10"></svg>
</main><footer>End</footer></body></html>`

// TestFaultsAreFound shows a page without a fault and pages with one fault each, so that every rule is seen to fail.
func TestFaultsAreFound(t *testing.T) {
	page := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page)
	}))
	defer server.Close()
	ctx, _ := pagetest.Chromium(t)
	pagetest.As(t, ctx, pagetest.Reader{ReducedMotion: true})
	for _, c := range []struct{ name, old, new, want string }{
		{"a good page", "", "", ""},
		{"no title", "<title>Good</title>", "", "the page has no title"},
		{"a link without a name", ">One page<", "> <", "a link has no name"},
		{"a text box without a name", `<label for="q">Question</label>`, "Question", "a textbox has no name"},
		{"a button without a name", "<button>Send</button>", "<button></button>", "a button has no name"},
		{"a focus without a role", `role="region" aria-label="Table of rows"`, "", "the keyboard reaches something without a role"},
		{"a focus without a name", `role="region" aria-label="Table of rows"`, `role="group"`, "a group has no name"},
		{"an image without a name", ` aria-label="A curve"`, "", "has no name: without text"},
		{"navigation without a name", ` aria-label="Pages"`, "", "a navigation has no name"},
		{"two landmarks of one name", `<footer>`, `<nav aria-label="Pages"><a href="/two">Two</a></nav><footer>`, `two landmarks are the navigation "Pages"`},
		{"a level left out", `<h2 id="h-a">Rows</h2>`, `<h3 id="h-a">Rows</h3>`, `the heading "Rows" has level 3 after level 1`},
		{"two first headings", `<h2 id="h-a">Rows</h2>`, `<h1 id="h-a">Rows</h1>`, "2 headings have level 1"},
		{"an empty heading", `<h2 id="h-a">Rows</h2>`, `<h2 id="h-a">Rows</h2><h2> </h2>`, "a heading of level 2 is empty"},
		{"no main", `<main id="content" tabindex="-1">`, `<main id="content" role="presentation">`, "the page has 0 main"},
		{"no column headers", `<th scope="col">Name</th><th scope="col">Count</th>`, `<td>Name</td><td>Count</td>`, "a table has no column headers"},
		{"a row without a header", `<th scope="row">a</th>`, `<td>a</td>`, "a row of a table has no header"},
		{"a silent status", `role="status"`, `role="status" aria-live="off"`, `are announced as ""`},
		{"an invisible focus", `:focus-visible { outline: 3px solid #00f;`, `:focus-visible { outline: none;`, "no visible focus"},
		{"a thin focus", `:focus-visible { outline: 3px solid #00f;`, `:focus-visible { outline: 1px solid #00f;`, "no visible focus"},
		{"a faint focus", `3px solid #00f`, `3px solid #ddd`, "the focus has a contrast of 1."},
		{"a positive tabindex", `<a href="/one">`, `<a href="/one" tabindex="3">`, "an unexpected stop at <a href=\"/one\""},
		{"a trap", `<input id="q" name="q">`, `<input id="q" name="q"><script>document.getElementById("q").addEventListener("keydown", (e) => e.preventDefault());</script>`, "the tab key reaches the elements"},
		{"a covered focus", `<footer>`, `<div style="position:fixed;inset:0;background:#fff"></div><footer>`, "covered by <div"},
		{"a transition", `body { background`, `button { transition: color 1s; } body { background`, "moves: <button>"},
		{"an animation", `body { background`, `@keyframes k { to { opacity: 0.5; } } button { animation: k 1s infinite; } body { background`, "animation of <button>"},
		{"an overflow", `<footer>`, `<div style="width:3000px">wide</div><footer>`, "overflow: 3"},
		{"a small target", `min-height: 32px; min-width: 32px;`, `height: 20px; min-height: 0; padding: 0;`, "target "},
		{"faint text", `<footer>End`, `<footer style="color:#aaa">End`, "contrast 2."},
		{"an id twice", `<footer>`, `<footer id="q">`, "id twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if page = strings.Replace(good, c.old, c.new, 1); page == good && c.want != "" {
				t.Fatalf("the page has no %s", c.old)
			}
			pagetest.Open(t, ctx, server.URL)
			faults := pagetest.Tree(t, ctx).Faults()
			faults = append(faults, pagetest.Evaluate[[]string](t, ctx, pagetest.Rules)...)
			faults = append(faults, pagetest.Evaluate[[]string](t, ctx, pagetest.Moving)...)
			stops, more := pagetest.Walk(t, ctx)
			faults = append(faults, more...)
			switch {
			case c.want == "" && (len(faults) > 0 || len(stops) != 6):
				t.Errorf("%d stops %v, faults %v", len(stops), stops, faults)
			case c.want != "" && !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, c.want) }):
				t.Errorf("no fault %q in %q", c.want, faults)
			}
		})
	}
}

// TestOutline verifies the structure that goldens contain.
func TestOutline(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, good) }))
	defer server.Close()
	ctx, _ := pagetest.Chromium(t)
	pagetest.As(t, ctx, pagetest.Reader{NoScript: true})
	pagetest.Open(t, ctx, server.URL)
	tree := pagetest.Tree(t, ctx)
	outline := tree.Outline()
	for _, want := range []string{
		"RootWebArea \"Good\"\n", "\n    link \"Skip\"\n", "\n    heading \"Good\" level=1\n", "status live=polite\n", "rowheader \"a\"\n", "textbox \"Question\"\n", "button \"Send\"\n",
	} {
		if !strings.Contains(outline, want) {
			t.Errorf("no %q in\n%s", want, outline)
		}
	}
	if strings.Contains(outline, "StaticText") || strings.Contains(outline, "Nothing new.") {
		t.Errorf("running text in\n%s", outline)
	}
	if n := tree.Find("status", ""); n == nil || n.Words() != "Nothing new." {
		t.Errorf("the status is %v", n)
	}
}
