package portal_test

import (
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"

	"op25b/internal/page/pagetest"
)

// TestStructure compares the accessibility trees of the main pages in both languages with testdata/structure. The controller's clock stands
// still, so the pages are the same in each run. -update writes the files anew.
func TestStructure(t *testing.T) {
	t.Parallel()
	r := start(t, "2006-07-01", ownIsADSL)
	r.controller.OnAsk(lines)
	b := r.browser("en")
	answer, _ := b.ask(url.Values{"line": {"mobile"}, "use": {"provider"}, "provider": {"gmail"}})
	own, _ := b.ask(url.Values{"line": {".own"}, "use": {"server"}})
	ctx, _ := pagetest.Chromium(t)
	for _, lang := range []string{"ja", "en"} {
		pagetest.As(t, ctx, pagetest.Reader{Lang: lang, NoScript: true})
		for _, page := range []struct{ name, path string }{
			{"start", "/"},
			{"answer", answer},
			{"answer-own", own},
			{"test", "/test"},
			{"programme", "/programme"},
			{"notices", "/notices"},
			{"settings", "/settings"},
		} {
			pagetest.Open(t, ctx, r.base+page.path)
			if page.name == "test" {
				err := chromedp.Do(ctx, chromedp.SendKeys("#server", "192.0.2.25"), chromedp.Submit("#server"), chromedp.WaitVisible("#h-result"))
				if err != nil {
					t.Fatal(err)
				}
			}
			pagetest.Golden(t, ctx, "testdata/structure/"+page.name+"."+lang+".txt", nil)
		}
	}
}
