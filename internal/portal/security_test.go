package portal_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"op25b/internal/portal"
	"op25b/internal/portal/published"
	"op25b/internal/portal/visitor"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestSecrecy verifies that no address of a visitor, no mail address and no name of a server that a visitor typed is in the log at level debug,
// in the metrics or in the state file. The controller fails in between, because errors are what logs are about.
func TestSecrecy(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := start(t, "2006-12-01", func(c *portal.Config, p *op25bv1.Publication) {
		behindProxy(c, p)
		c.Metrics = portal.NewMetrics(registry)
		c.Limits = portal.DefaultLimits
		c.Limits.EachLookups = visitor.Rate{PerSecond: 0.001, Burst: 12}
	})
	file := filepath.Join(t.TempDir(), "state")
	follower, err := published.Open(t.Context(), published.Config{Watch: r.controller.Client().Portal.WatchPublication, File: file, Metrics: published.NewMetrics(registry)})
	if err != nil {
		t.Fatal(err)
	}
	r.controller.OnAsk(lines)
	b := r.browser("ja")
	canaries := []string{"198.18.0.11", "198.18.0.99", "203.0.113.77", "2001:db8:7::11", "canary-user", "canary-domain", "canary-server"}
	visit := func() {
		for _, from := range []string{"198.18.0.11", "198.18.0.99", "2001:db8:7::11", "203.0.113.77, unknown"} {
			for _, path := range []string{"/", "/test", "/programme", "/nowhere/canary-domain", "/a/canary-domain", "/find?code=canary-domain"} {
				b.get(path, forwarded, from)
			}
			b.post("/affected", url.Values{"line": {".own"}, "use": {"provider"}, "mail": {"canary-user@canary-domain.invalid"}}, forwarded, from)
			b.post("/affected", url.Values{"line": {".own"}, "use": {"provider"}, "mail": {"canary-user"}}, forwarded, from)
			b.post("/test", url.Values{"line": {".own"}, "server": {"canary-server.invalid"}}, forwarded, from)
			b.post("/test", url.Values{"line": {"adsl"}, "server": {"canary-server.invalid"}}, forwarded, from)
		}
		for range 20 { // beyond the limit on look-ups
			b.post("/test", url.Values{"line": {"adsl"}, "server": {"canary-server.invalid"}}, forwarded, "203.0.113.77")
		}
	}
	visit()
	failing := fmt.Errorf("no line has 198.18.0.11 (canary-user)")
	r.controller.OnAsk(func(*op25bv1.AskOwnLineRequest) (*op25bv1.AskOwnLineResponse, error) { return nil, failing })
	visit()
	r.controller.Stop()
	r.await(func(v *published.View) bool { return !v.Connected })
	visit()
	r.controller.Again()
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { follower.Run(ctx) })
	for changed := follower.Changed(); !follower.View().Connected; changed = follower.Changed() {
		<-changed
	}
	cancel()
	following.Wait()
	r.stop()
	state, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := &recorder{header: make(http.Header)}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, req)
	if !strings.Contains(w.body.String(), `op25b_portal_refused_total{limit="address"}`) || !strings.Contains(r.log.String(), "was not answered") {
		t.Errorf("the test has not provoked what it is about:\n%s\n%s", w.body.String(), r.log)
	}
	for place, text := range map[string]string{"log": r.log.String(), "metrics": w.body.String(), "state file": string(state)} {
		if text == "" {
			t.Errorf("the %s is empty", place)
		}
		for _, c := range canaries {
			if strings.Contains(text, c) {
				t.Errorf("the %s contains %s", place, c)
			}
		}
	}
}

// TestLimits verifies the page of a refused request, the limits of an address, of look-ups and of all, and that assets are not limited.
func TestLimits(t *testing.T) {
	r := start(t, "2006-12-01", func(c *portal.Config, p *op25bv1.Publication) {
		behindProxy(c, p)
		c.Limits = portal.Limits{
			Each: visitor.Rate{PerSecond: 0.01, Burst: 5}, All: visitor.Rate{PerSecond: 0.01, Burst: 40},
			EachLookups: visitor.Rate{PerSecond: 0.01, Burst: 1}, AllLookups: visitor.Rate{PerSecond: 0.01, Burst: 2},
		}
	})
	b := r.browser("en")
	form := url.Values{"line": {"adsl"}, "server": {"203.0.113.129"}}
	for i, tc := range []struct {
		from string
		code int
	}{{"198.18.0.1", 200}, {"198.18.0.1", 429}, {"198.18.0.2", 200}, {"198.18.0.3", 429}} {
		if res, page := b.post("/test", form, forwarded, tc.from); res.StatusCode != tc.code {
			t.Errorf("look-up %d: %d, want %d\n%s", i, res.StatusCode, tc.code, page)
		}
	}
	for i := range 8 {
		res, page := b.get("/", forwarded, "198.18.0.4")
		if limited := i >= 5; (res.StatusCode == http.StatusTooManyRequests) != limited {
			t.Errorf("request %d: %d", i, res.StatusCode)
		} else if limited {
			want(t, "the page", page, "Too many requests", "ただいま混み合っています", "Please try again in 100 seconds")
			if res.Header.Get("Retry-After") != "100" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("headers: %v", res.Header)
			}
		}
	}
	if res, _ := b.get("/assets/portal.css", forwarded, "198.18.0.4"); res.StatusCode != http.StatusOK {
		t.Errorf("an asset: %d", res.StatusCode)
	}
	refused := 0
	for i := range 60 {
		if res, _ := b.get("/", forwarded, fmt.Sprintf("198.18.1.%d", i)); res.StatusCode == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused < 20 || refused > 40 {
		t.Errorf("of 60 visitors, %d were refused by the limit of all", refused)
	}
}

// TestInjection verifies that no name of the published documents becomes markup, in any page, feed, calendar or document.
func TestInjection(t *testing.T) {
	const script = `<script>alert(1)</script>`
	const img = `"><img src=x onerror=alert(1)>`
	spoilt := strings.NewReplacer(
		"title: \"FLET'S ADSL\"", `title: '`+script+`'`, "title: Mobile SIM", `title: '`+img+`'`, `title: "Mobile SIM"`, `title: '`+img+`'`,
		"title: Our own mail relays", `title: '`+script+`'`, "title: The mobile carriers' mail servers", `title: '`+img+`'`,
		"title: Nothing is blocked yet; what would be is counted", `title: '`+script+`{{.}}'`, "title: Mail straight to the mobile carriers is stopped", `title: '`+img+`\r\nX: y'`,
		"title: Mail that does not pass our relay is stopped, whoever it is for", `title: "javascript:alert(1)//`+script+`"`,
	)
	r := start(t, "2006-07-01", func(c *portal.Config, p *op25bv1.Publication) {
		c.Content.Site.Names = nil // the titles of the policy are shown
		c.Content.Site.Name.EN, c.Content.Site.Name.JA = img, script
		for _, f := range p.Files {
			f.Data = []byte(spoilt.Replace(string(f.Data)))
		}
		p.Providers.Data = []byte(strings.NewReplacer("en: Gmail", `en: '`+script+`'`, "ja: Gmail", `ja: '`+img+`'`).Replace(string(p.Providers.Data)))
		if !strings.Contains(string(p.Providers.Data), script) || strings.Count(string(p.Files[1].Data)+string(p.Files[0].Data), "alert(1)") < 6 {
			t.Fatal("the documents are not spoilt")
		}
	})
	for _, lang := range []string{"en", "ja"} {
		b := r.browser(lang)
		paths := []string{"/", "/test", "/programme", "/policy", "/publication", "/questions", "/business", "/settings", "/notices", "/notices/2006-05-18-port25", "/nowhere"}
		for _, use := range []url.Values{{"use": {"webmail"}}, {"use": {"server"}}, {"use": {"own:own"}}, {"use": {"provider"}, "provider": {"gmail"}}} {
			for _, line := range []string{"adsl", "mobile"} {
				use.Set("line", line)
				path, _ := b.ask(use)
				paths = append(paths, path)
			}
		}
		pages := map[string]string{}
		for _, path := range paths {
			_, pages[path] = b.get(path)
		}
		_, pages["test result"] = b.post("/test", url.Values{"line": {"mobile"}, "server": {"203.0.113.25"}})
		_, pages["typed"] = b.post("/test", url.Values{"line": {script}, "server": {img}})
		_, pages["typed mail"] = b.post("/affected", url.Values{"line": {img}, "use": {"provider"}, "mail": {script}, "provider": {img}})
		shown := 0
		for path, page := range pages {
			for _, bad := range []string{"<script", "<img", `href="javascript:`} {
				if strings.Contains(strings.ToLower(page), bad) {
					t.Errorf("%s in %s has %s", path, lang, bad)
				}
			}
			shown += strings.Count(page, "alert(1)")
		}
		if shown < 20 {
			t.Errorf("the spoilt names are on the pages %d times only", shown)
		}
	}
	b := r.browser("en")
	_, feed := b.get("/notices.en.atom")
	_, calendar := b.get("/programme.en.ics")
	_, document := b.get("/policy.json")
	if strings.Contains(feed, "<script") || strings.Contains(feed, "<img") {
		t.Error("the feed has markup")
	}
	if strings.Contains(calendar, "\nX: y") {
		t.Error("the calendar has a line of a title")
	}
	if strings.Contains(document, "<script") { // encoding/json escapes angle brackets
		t.Error("the JSON has markup")
	}
}

// TestRedirects verifies that every redirect leads to a path of the portal.
func TestRedirects(t *testing.T) {
	r := start(t, "2006-07-01", nil)
	b := r.browser("en")
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/a/../../evil"} {
		for _, path := range []string{"/?next=%s", "/?lang=ja&next=%s", "/find?code=%s", "/a/%s", "/mine/%s", "/%s", "//evil.example/%s"} {
			res, _ := b.get(fmt.Sprintf(path, url.QueryEscape(next)))
			if to := res.Header.Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, "evil.example") && strings.Contains(to, "//")) {
				t.Errorf("%s leads to %s", fmt.Sprintf(path, next), to)
			}
		}
		res, _ := b.post("/affected", url.Values{"line": {"adsl"}, "use": {"webmail"}, "next": {next}, "lang": {next}})
		if to := res.Header.Get("Location"); !strings.HasPrefix(to, "/a/") {
			t.Errorf("the form leads to %s", to)
		}
	}
}

// TestBounds verifies the bounds on headers and bodies.
func TestBounds(t *testing.T) {
	r := start(t, "2006-07-01", nil)
	b := r.browser("en")
	res, _ := b.post("/affected", url.Values{"mail": {strings.Repeat("a", 100_000)}})
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("a body of 100 kB: %d", res.StatusCode)
	}
	if res, _ = b.get("/", "X-Long", strings.Repeat("a", 30_000)); res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 30 kB: %d", res.StatusCode)
	}
	if res, _ = b.post("/affected", nil, "Content-Type", "multipart/form-data; boundary=x"); res.StatusCode == http.StatusInternalServerError {
		t.Errorf("a form of another kind: %d", res.StatusCode)
	}
}
