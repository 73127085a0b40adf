package portal_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/protobuf/proto"

	"op25b/examples"
	"op25b/internal/portal"
	"op25b/internal/portal/content"
	"op25b/internal/portal/portaltest"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestContent verifies the pages with the texts of the ISP, in both languages.
func TestContent(t *testing.T) {
	r := start(t, "2006-07-01", nil)
	for path, texts := range map[string][2]string{
		"/notices":                   {"Current notices", "お知らせ"},
		"/notices/2006-05-18-port25": {"Published on 18 May 2006", "2006年5月18日掲載"},
		"/questions":                 {"What is Outbound Port 25 Blocking", "25番"},
		"/business":                  {"Business desk", "法人のお客さま窓口"},
		"/settings":                  {"smtp.isp.example", "Thunderbird"},
		"/publication":               {"BITAG", "規制"},
		"/policy":                    {"smtp-carrier", "203.0.113.0/26"},
	} {
		for i, lang := range []string{"en", "ja"} {
			res, page := r.browser(lang).get(path)
			if res.StatusCode != http.StatusOK {
				t.Errorf("%s in %s: status %d\n%s", path, lang, res.StatusCode, r.log)
			}
			want(t, path+" in "+lang, page, texts[i], `<html lang="`+lang+`"`)
			for _, bad := range []string{"<script", "ZgotmplZ", "%!", "{{", "<no value>"} {
				if strings.Contains(page, bad) {
					t.Errorf("%s has %s", path, bad)
				}
			}
		}
	}
	b := r.browser("en")
	for path, kind := range map[string]string{
		"/notices.ja.atom": "application/atom+xml; charset=utf-8", "/notices.en.atom": "application/atom+xml; charset=utf-8", "/programme.ja.ics": "text/calendar; charset=utf-8",
		"/programme.en.ics": "text/calendar; charset=utf-8", "/policy.json": "application/json", "/.well-known/security.txt": "text/plain; charset=utf-8",
	} {
		res, body := b.get(path)
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != kind || body == "" {
			t.Errorf("%s: %d, %s", path, res.StatusCode, res.Header.Get("Content-Type"))
		}
	}
	_, feed := b.get("/notices.ja.atom")
	want(t, "feed", feed, `xml:lang="ja"`, "https://mail-check.isp.example/notices/2006-05-18-port25")
	_, calendar := b.get("/programme.ja.ics")
	want(t, "calendar", calendar, "DTSTART;VALUE=DATE:20061001")
	// A notice whose day has not come is not shown.
	if res, _ := b.get("/notices/2026-05-01-sim"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a notice of the future: %d", res.StatusCode)
	}
	if strings.Contains(feed, "2026-05-01-sim") {
		t.Error("the feed has a notice of the future")
	}
}

// TestLinkToNotice verifies that a text links to a notice, and to the list of notices before the notice's day. The dates in a notice are those of
// the policy.
func TestLinkToNotice(t *testing.T) {
	_, page := start(t, "2006-12-01", nil).browser("en").get("/notices/2006-05-18-submission")
	want(t, "before the day", page, `<a href="/notices">notice about encryption</a>`)
	b := start(t, "2026-11-01", nil).browser("ja")
	_, page = b.get("/notices/2006-05-18-submission")
	want(t, "after the day", page, `<a href="/notices/2021-09-28-encryption">送受信の暗号化に関するお知らせ</a>`)
	_, page = b.get("/notices/2026-05-01-sim")
	want(t, "the SIM notice", page, "2006年6月1日から：携帯電話会社あての直接送信を遮断します", "2006年10月1日から：", "対象の回線：SIMカード</strong>")
	// A policy lists lines of no group as others, and only the form has an option for visitors who do not know.
	for _, path := range []string{"/programme", "/questions", "/business", "/policy", "/notices/2026-05-01-sim", "/programme.ja.ics"} {
		if _, page = b.get(path); strings.Contains(page, "分からない、") || strings.Contains(page, "または分からない") {
			t.Errorf("%s lists lines that a visitor does not know", path)
		}
	}
}

// libmoMobile replaces the example of 2006 by the mobile operator's, as it is on a day.
func libmoMobile(t *testing.T, at string) func(*portal.Config, *op25bv1.Publication) {
	return func(_ *portal.Config, p *op25bv1.Publication) {
		proto.Reset(p)
		proto.Merge(p, portaltest.Publication(t, examples.LibmoMobile(), examples.Providers(), day(at)))
	}
}

// TestWhatComesNext verifies that an answer for lines from which mail is stopped names the next change for them, that it says which ports stay open,
// and that it says whether an exemption is possible, with a link to the paragraph about it.
func TestWhatComesNext(t *testing.T) {
	aloneInShort(t)
	const open, exempt = "Ports 465 and 587 are not affected, now or later.", `href="/business#exemption"`
	icloud := func(line string) url.Values {
		return url.Values{"line": {line}, "use": {"provider"}, "provider": {"icloud"}}
	}
	server := func(line string) url.Values { return url.Values{"line": {line}, "use": {"server"}} }
	for _, tc := range []struct {
		at    string
		form  url.Values
		has   []string
		lacks []string
	}{
		{"2026-06-03", icloud("sim"), []string{"From 8 June 2026, connections that are still open are cut as well. " + open, `href="#case-1-programs-printer"`, `<ol id="case-1-programs-printer">`}, []string{exempt}},
		{"2026-06-03", icloud("sim-fixed"), []string{open, "as the last way", exempt}, nil},
		{"2026-06-03", server("sim-fixed"), []string{"From 8 June 2026", open, "This kind of line has a fixed IP address", exempt}, []string{"you first need"}},
		{"2026-06-03", server("sim"), []string{"you first need a line with a fixed IP address", exempt}, []string{"This kind of line has"}},
		{"2026-06-09", icloud("sim"), []string{open}, []string{"still open", "From "}},
		{"2026-06-09", url.Values{"line": {"sim-fixed"}, "use": {"webmail"}}, nil, []string{open, exempt}},
	} {
		_, page := start(t, tc.at, libmoMobile(t, tc.at)).browser("en").ask(tc.form)
		what := tc.at + " " + tc.form.Encode()
		want(t, what, page, tc.has...)
		for _, text := range tc.lacks {
			if strings.Contains(page, text) {
				t.Errorf("%s has %q:\n%s", what, text, page)
			}
		}
	}
	r := start(t, "2006-07-01", nil)
	_, page := r.browser("en").ask(server("adsl"))
	want(t, "some servers", page, "From 1 October 2006: Mail that does not pass our mail server is blocked. "+open)
	_, page = r.browser("en").ask(icloud("adsl"))
	want(t, "perhaps", page, "From 1 October 2006: ")
	_, page = r.browser("en").get("/business")
	want(t, "the page for businesses", page, `<h2 id="exemption">Exemption: `)
}

// TestDatesOfNotice verifies that a notice has the dates of its line groups, and those of all lines if the policy has none of its line groups.
// The log then says so once.
func TestDatesOfNotice(t *testing.T) {
	const sim = "/notices/2026-05-01-sim"
	r := start(t, "2026-06-10", libmoMobile(t, "2026-06-10"))
	_, page := r.browser("ja").get(sim)
	want(t, "the SIM notice", page, "2026年6月1日から", "2026年6月8日から", "対象の回線：SIMカード、SIMカード（固定IPアドレス）</strong>", "<br>対象の回線：SIMカード、SIMカード（固定IPアドレス）</p>")
	if strings.Contains(page, "そのほかの回線") || strings.Contains(r.log.String(), "no line group") {
		t.Errorf("the SIM notice is about other lines:\n%s\n%s", page, r.log)
	}

	folder := fstest.MapFS{}
	for name, data := range map[string]string{"site.yaml": "", "notices/other.en.md": "apiVersion: op25b/v1\nkind: Notice\ndate: 2026-05-01\nlanguage: en\ntitle: T\ngroups: [satellite]\n"} {
		if data == "" {
			b, err := fs.ReadFile(examples.Portal(), name)
			if err != nil {
				t.Fatal(err)
			}
			folder[name] = &fstest.MapFile{Data: b}
			continue
		}
		folder[name] = &fstest.MapFile{Data: []byte("---\n" + data + "---\n\n{{programme}}\n")}
	}
	own, err := content.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	r = start(t, "2026-06-10", func(c *portal.Config, p *op25bv1.Publication) {
		c.Content = own
		libmoMobile(t, "2026-06-10")(c, p)
	})
	b := r.browser("en")
	for range 2 {
		_, page = b.get("/notices/other")
		want(t, "a notice of lines that the policy does not have", page, "from 1 June 2026", "Lines: SIM cards, SIM cards with a fixed IP address, other lines", "For these lines: satellite")
	}
	if n := strings.Count(r.log.String(), "the policy has no line group of a notice"); n != 1 || !strings.Contains(r.log.String(), `"groups":["satellite"],"valid":["sim","sim-fixed"]`) {
		t.Errorf("logged %d times, want once:\n%s", n, r.log)
	}
}

// TestFixedAddress verifies that the form says which of two kinds of line a visitor has that differ in the fixed address only.
func TestFixedAddress(t *testing.T) {
	_, page := start(t, "2026-06-10", libmoMobile(t, "2026-06-10")).browser("en").get("/")
	want(t, "the form", page, "If the papers of your contract name no fixed IP address, choose “SIM cards”.")
	if n := strings.Count(page, "Only if you ordered a fixed IP address"); n != 1 {
		t.Errorf("%d hints, want one at the line with a fixed address", n)
	}
	if _, page = start(t, "2006-12-01", nil).browser("en").get("/"); strings.Contains(page, "fixed IP address") {
		t.Error("a hint, although no kind of line has fixed addresses")
	}
}

// TestOtherProviders verifies that no text sends customers of other providers to the settings of the ISP's own servers: a section that links to
// them also links to the page that has the settings of other providers.
func TestOtherProviders(t *testing.T) {
	b := start(t, "2026-11-01", nil).browser("en")
	links := 0
	for _, path := range []string{"/notices/2006-05-18-port25", "/notices/2026-05-01-sim", "/business", "/questions"} {
		for _, lang := range []string{"en", "ja"} {
			_, page := b.get(path + "?lang=" + lang)
			_, page, _ = strings.Cut(page, `<div class="text">`)
			page, _, _ = strings.Cut(page, "<footer>")
			for section := range strings.SplitSeq(page, "<h2") {
				if !strings.Contains(section, `href="/settings"`) {
					continue
				}
				links++
				if !strings.Contains(section, `href="/"`) {
					t.Errorf("%s in %s: a section has only the settings of the ISP's own servers:\n%s", path, lang, section)
				}
			}
		}
	}
	if links < 10 {
		t.Errorf("%d sections link to the settings, want at least 10", links)
	}
}

// TestPolicyJSON verifies the policy for programs against the policy of the example, and that docs/portal.md describes every key.
func TestPolicyJSON(t *testing.T) {
	r := start(t, "2006-07-01", nil)
	_, body := r.browser("en").get("/policy.json")
	var d struct {
		Version   string
		Revision  uint64
		Current   bool
		UTCOffset string
		Phases    []struct {
			Name   string
			Begins time.Time
			Rules  []struct {
				Name, Action, ServerClass string
				Text                      map[string]string
			}
		}
		Programme []struct {
			Area, LineGroup, Phase      string
			Switches, ConfirmedSwitches int
			Dates                       []struct{ Phase string }
		}
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	if d.Version != "op25b.portal/v1" || d.Revision != 7 || !d.Current || d.UTCOffset != "+09:00" || len(d.Phases) != 3 || !d.Phases[2].Begins.Equal(day("2006-10-01")) {
		t.Errorf("%+v", d)
	}
	rule := d.Phases[1].Rules[0]
	if rule.Name != "smtp-carrier" || rule.Action != "drop" || rule.ServerClass != "mobile-carrier" || rule.Text["ja"] == "" || rule.Text["en"] == "" {
		t.Errorf("%+v", rule)
	}
	if p := d.Programme[0]; p.Phase != "mobile-carriers" || len(p.Dates) != 3 || p.Switches != 1 || p.ConfirmedSwitches != 1 {
		t.Errorf("%+v", p)
	}
	page, err := os.ReadFile("../../docs/portal.md")
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys(all) {
		if !strings.Contains(string(page), "`"+key+"`") {
			t.Errorf("docs/portal.md does not describe the key %q", key)
		}
	}
}

// keys returns the keys of all objects in a JSON value.
func keys(v any) []string {
	var all []string
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			all = append(append(all, k), keys(x)...)
		}
	case []any:
		for _, x := range v {
			all = append(all, keys(x)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
