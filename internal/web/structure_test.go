package web_test

import (
	"regexp"
	"testing"

	"op25b/internal/page/pagetest"
)

// varying are what differs from run to run in the names of a real controller's page, and what takes its place.
var varying = []struct {
	what *regexp.Regexp
	mask string
}{
	{regexp.MustCompile(`\d{4}-\d{2}-\d{2}( \d{2}:\d{2}(:\d{2})?)?`), "TIME"},
	{regexp.MustCompile(`\d{1,2} (January|February|March|April|May|June|July|August|September|October|November|December) \d{4}|\d{4}年\d{1,2}月\d{1,2}日`), "DAY"},
	{regexp.MustCompile(`\b\d{2}:\d{2}(:\d{2})?\b`), "CLOCK"},
	{regexp.MustCompile(`\b(127\.0\.0\.1|\[::1\]):\d+`), "ADDRESS"},
	{regexp.MustCompile(`\b[0-9a-f]{8,64}(…|\.\.\.)?`), "DIGEST"},
}

func masked(outline string) string {
	for _, v := range varying {
		outline = v.what.ReplaceAllString(outline, v.mask)
	}
	return outline
}

// TestStructure compares the accessibility trees of the main pages in both languages with testdata/structure. The overview, the switch, the
// programme and the rollout are of an API whose clock stands still, the forms and the changes of a real controller. -update writes the files anew.
func TestStructure(t *testing.T) {
	still, rollout := serve(t, siteOf(t, curvedAPI())), serve(t, siteOf(t, rolling()))
	early := earlySite(t)
	ctx, _ := pagetest.Chromium(t)
	for _, lang := range []string{"ja", "en"} {
		pagetest.As(t, ctx, pagetest.Reader{Lang: lang, NoScript: true})
		for _, page := range []struct{ name, address string }{
			{"overview", still + "/"},
			{"switch", still + "/switch/edge-1"},
			{"programme", still + "/programme"},
			{"rollout", rollout + "/rollout"},
			{"abort", rollout + "/rollout/abort"},
			{"start", rollout + "/rollout/start"},
			{"check", early + "/check"},
			{"changes", early + "/changes"},
		} {
			pagetest.Open(t, ctx, page.address)
			pagetest.Golden(t, ctx, "testdata/structure/"+page.name+"."+lang+".txt", masked)
		}
	}
}
