package portal_test

import (
	"bytes"
	"html"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"op25b/examples"
	"op25b/internal/portal"
	"op25b/internal/portal/portaltest"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestHours verifies that customers see the hour of a phase that does not begin at midnight, with the UTC offset, and the date of their kind of line:
// in the schedule, answers, notices, the calendar and the policy for programs, in both languages.
func TestHours(t *testing.T) {
	files := examples.SpinNet2006()
	for i := range files {
		files[i].Data = bytes.ReplaceAll(files[i].Data, []byte("    effective: 2006-06-01\n"), []byte("    effective: 2006-10-01T05:30\n"))
		files[i].Data = bytes.ReplaceAll(files[i].Data, []byte("    effective: 2006-10-01\n"),
			[]byte("    effective: 2006-10-01T22:00\n    effectiveFor: [{groups: [mobile], effective: 2006-11-01T14:00}]\n"))
	}
	r := start(t, "2006-09-15", func(_ *portal.Config, p *op25bv1.Publication) {
		proto.Reset(p)
		proto.Merge(p, portaltest.Publication(t, files, examples.Providers(), day("2006-09-15")))
	})
	en, ja := r.browser("en"), r.browser("ja")
	want := func(t *testing.T, what, page string, texts ...string) {
		t.Helper()
		want(t, what, html.UnescapeString(page), texts...)
	}
	_, page := en.get("/programme")
	want(t, "schedule", page, "from 1 October 2006, 05:30 (UTC+09:00)", "from 1 October 2006, 22:00 (UTC+09:00)", "from 1 November 2006, 14:00 (UTC+09:00)",
		"from 18 May 2006<", "Lines: Mobile SIM<")
	_, page = ja.get("/programme")
	want(t, "schedule", page, "2006年10月1日 05:30（UTC+09:00）から", "2006年11月1日 14:00（UTC+09:00）から", "2006年5月18日から")
	_, page = en.ask(url.Values{"line": {"mobile"}, "use": {"server"}})
	want(t, "answer for mobile lines", page, "1 November 2006, 14:00 (UTC+09:00)")
	_, page = en.ask(url.Values{"line": {"adsl"}, "use": {"server"}})
	want(t, "answer for others", page, "1 October 2006, 22:00 (UTC+09:00)")
	_, page = ja.ask(url.Values{"line": {"adsl"}, "use": {"server"}})
	want(t, "answer for others", page, "2006年10月1日 22:00（UTC+09:00）")
	_, page = en.get("/policy")
	want(t, "policy", page, "from 1 October 2006, 22:00 (UTC+09:00)", "Mobile SIM: <time", "from 1 November 2006, 14:00 (UTC+09:00)")
	_, page = ja.get("/policy")
	want(t, "policy", page, "2006年11月1日 14:00（UTC+09:00）から")
	_, data := en.get("/policy.json")
	want(t, "policy for programs", data, `"begins": "2006-10-01T22:00:00+09:00"`, `"begins": "2006-11-01T14:00:00+09:00"`, `"beginsFor": [`, `"lineGroups": [`)
	_, calendar := en.get("/programme.en.ics")
	want(t, "calendar", calendar, "DTSTART:20061001T130000Z", "DTSTART:20061101T050000Z", "DTSTART;VALUE=DATE:20060518")
	if strings.Contains(calendar, "DTSTART;VALUE=DATE:20061001") {
		t.Error("a phase of the evening lasts the whole day in the calendar")
	}
}
