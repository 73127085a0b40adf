package portal_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"op25b/internal/page/pagetest"
	"op25b/internal/portal"
	op25bv1 "op25b/proto/op25b/v1"
)

// browserPages returns the paths of all pages of the example, with an answer of each kind. A visitor from the test's address has the ADSL line.
func browserPages(t *testing.T, r *rig) []string {
	t.Helper()
	pages := []string{"/", "/test", "/programme", "/notices", "/notices/2006-05-18-port25", "/notices/2006-05-18-submission", "/settings", "/questions", "/business", "/publication", "/policy", "/nowhere"}
	b := r.browser("en")
	for _, form := range []url.Values{
		{"line": {"adsl"}, "use": {"webmail"}},
		{"line": {"adsl"}, "use": {"own:own"}},
		{"line": {"adsl"}, "use": {"server"}},
		{"line": {"mobile"}, "use": {"provider"}, "provider": {"gmail"}},
		{"line": {"mobile"}, "use": {"provider"}, "provider": {".none"}},
		{"line": {".own"}, "use": {"server"}},
	} {
		path, _ := b.ask(form)
		pages = append(pages, path)
	}
	return pages
}

// ownIsADSL gives every visitor the ADSL line of the function lines.
func ownIsADSL(c *portal.Config, _ *op25bv1.Publication) {
	ask := c.AskOwnLine
	c.AskOwnLine = func(ctx context.Context, q *connect.Request[op25bv1.AskOwnLineRequest]) (*connect.Response[op25bv1.AskOwnLineResponse], error) {
		q.Msg.Address = "198.18.0.11"
		return ask(ctx, q)
	}
}

// indented is a script that counts the lists with an indent of more than 24 CSS pixels. The browser's own 40 take an eighth of a narrow screen.
const indented = `[...document.querySelectorAll("main ul, main ol")].filter((el) => parseFloat(getComputedStyle(el).paddingInlineStart) > 24).length`

// TestInBrowser shows every page in a real browser, in both languages, light and dark, on narrow and wide screens, with and without script, and
// checks the pages against the rules. The console must stay empty, because a violation of the Content-Security-Policy is written to it.
//
// A page is loaded once in each language, once with and once without script. The colours and the width change while it is shown, as for a reader
// who turns a phone: the portal makes the same page for every screen.
func TestInBrowser(t *testing.T) {
	t.Parallel()
	r := start(t, "2006-07-01", ownIsADSL)
	r.controller.OnAsk(lines)
	pages := browserPages(t, r)
	ctx, faults := pagetest.Chromium(t)
	for i, path := range pages {
		for j, lang := range []string{"en", "ja"} {
			reader := pagetest.Reader{Lang: lang, ReducedMotion: true, NoScript: (i+j)%2 == 0}
			check := func(bad []string) {
				for _, b := range bad {
					t.Errorf("%s as %+v: %s", path, reader, b)
				}
			}
			for k, width := range []int64{320, 768, 1920} {
				for _, dark := range []bool{false, true} {
					reader.Width, reader.Dark = width, dark
					pagetest.As(t, ctx, reader)
					if k == 0 && !dark {
						pagetest.Open(t, ctx, r.base+path)
					}
					if !dark { // colours change neither the tree nor what is indented
						check(pagetest.Tree(t, ctx).Faults())
						if n := pagetest.Evaluate[int](t, ctx, indented); n > 0 {
							t.Errorf("%s as %+v: %d lists have the indent of the browser", path, reader, n)
						}
					}
					for _, rules := range []string{pagetest.Rules, pagetest.Moving} {
						check(pagetest.Evaluate[[]string](t, ctx, rules))
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

// TestKeyboard walks through every page with the tab key, alternately in the light scheme with script on a wide screen, and in the dark one without
// script on a narrow screen. The first page, which has all kinds of controls, is walked through in both ways.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	r := start(t, "2006-07-01", ownIsADSL)
	r.controller.OnAsk(lines)
	pages := browserPages(t, r)
	ctx, _ := pagetest.Chromium(t)
	for i, reader := range []pagetest.Reader{{Lang: "ja"}, {Lang: "en", Dark: true, Width: 320, NoScript: true}} {
		pagetest.As(t, ctx, reader)
		for j, path := range pages {
			if j != 0 && j%2 != i {
				continue
			}
			pagetest.Open(t, ctx, r.base+path)
			stops, bad := pagetest.Walk(t, ctx)
			if len(stops) < 10 {
				t.Errorf("%s as %+v: %d stops", path, reader, len(stops))
			}
			for _, b := range bad {
				t.Errorf("%s as %+v: %s", path, reader, b)
			}
		}
	}
}
