package portal_test

import (
	"bytes"
	"net/url"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"op25b/internal/page/pagetest"
)

// TestPrint prints the longest answer in each language with a real browser. It must fit on one sheet of A4.
func TestPrint(t *testing.T) {
	t.Parallel()
	r := start(t, "2006-12-01", nil)
	path, _ := r.browser("ja").ask(url.Values{"line": {"adsl"}, "use": {"provider"}, "provider": {"gmail"}})
	ctx, _ := pagetest.Chromium(t)
	for _, lang := range []string{"ja", "en"} {
		_, err := chromedp.Call(ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: map[string]any{"Accept-Language": lang}})
		if err == nil {
			err = chromedp.Do(ctx, chromedp.Navigate(r.base+path))
		}
		if err != nil {
			t.Fatal(err)
		}
		printed, err := chromedp.Call(ctx, page.PrintToPDF, page.PrintToPDFParams{PreferCSSPageSize: new(true)})
		if err != nil {
			t.Fatal(err)
		}
		if pages := bytes.Count(printed.Data, []byte("/Type /Page\n")); pages != 1 {
			t.Errorf("in %s, the answer takes %d pages", lang, pages)
		}
	}
}
