package web_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"op25b/examples"
	"op25b/internal/api"
	"op25b/internal/auth"
	"op25b/internal/check/mailbox"
	"op25b/internal/clock"
	"op25b/internal/controller"
	"op25b/internal/page/pagetest"
	"op25b/internal/store"
	"op25b/internal/strict"
)

func TestMain(m *testing.M) {
	if base := os.Getenv(readersEnv); base != "" {
		readers(base)
		return
	}
	goleak.VerifyTestMain(pagetest.Tests{M: m})
}

// site runs a controller with the worked example, whose switches are unreachable, and returns the address of the
// controller's page.
func site(t *testing.T, change func(*controller.Config)) string {
	t.Helper()
	page, _ := siteAndAPI(t, change)
	return page
}

// unreachable returns documents in which the address of the switch is one where nothing listens.
func unreachable(t *testing.T, files []strict.File) []strict.File {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all := slices.Clone(files)
	for i := range all {
		all[i].Data = bytes.ReplaceAll(all[i].Data, []byte("127.0.0.1:9559"), []byte(l.Addr().String()))
	}
	return all
}

// siteAndAPI is like site, but also returns the address of the API.
func siteAndAPI(t *testing.T, change func(*controller.Config)) (page, apiAddr string) {
	t.Helper()
	providers, err := mailbox.Load(examples.Providers())
	if err != nil {
		t.Fatal(err)
	}
	cfg := controller.Config{
		Providers: providers,
		Name:      "noc", Store: store.Config{Dir: t.TempDir()}, Clock: clock.System(), Listening: api.Listening{Addr: "127.0.0.1:0"},
		Web: api.Listening{Addr: "127.0.0.1:0"}, MaxDocuments: api.MaxFiles, First: unreachable(t, examples.SpinNet2006()),
	}
	if change != nil {
		change(&cfg)
	}
	c, err := controller.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	for update := range c.Book().Watch(ctx, 0) {
		if update.Intent != nil {
			break
		}
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + c.WebAddr().String(), c.Addr().String()
}

// serve serves a site, and returns its address. The site's end does not wait for the pages that a browser has open, whose streams have no end.
func serve(t *testing.T, site http.Handler) string {
	t.Helper()
	server := httptest.NewServer(site)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL
}

// A browser is an HTTP client with cookies. It does not follow redirects.
type browser struct {
	*http.Client
	t    *testing.T
	base string
}

func newBrowser(t *testing.T, base string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{&http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, t, base}
}

func (b *browser) do(r *http.Request) (*http.Response, string) {
	b.t.Helper()
	res, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(body)
}

func (b *browser) get(path string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	return b.do(r)
}

func (b *browser) post(path string, form url.Values, headers ...string) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return b.do(r)
}

// csrf returns the csrf value in the forms of a page.
func csrf(page string) string {
	_, rest, _ := strings.Cut(page, `name="csrf" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// TestPages verifies that every page of the menu is served with the security headers, in both languages.
func TestPages(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	for path, want := range map[string][2]string{
		"/":              {"Needs attention", "要対応"},
		"/programme":     {"mobile-carriers", "フェーズ"},
		"/changes":       {"serve noc", "監査記録"},
		"/check":         {"kept in the audit chain", "監査記録に残ります"},
		"/switch/edge-1": {"Tables", "テーブル"},
	} {
		for i, lang := range []string{"en", "ja"} {
			res, page := b.get(path, "Accept-Language", lang)
			if res.StatusCode != http.StatusOK || !strings.Contains(page, `<html lang="`+lang+`"`) || i == 0 && !strings.Contains(page, want[0]) || i == 1 && path != "/programme" && !strings.Contains(page, want[1]) {
				t.Errorf("%s in %s: status %d\n%s", path, lang, res.StatusCode, page)
			}
			csp := res.Header.Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || res.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(csp, "frame-ancestors 'none'") {
				t.Errorf("%s: headers %v", path, res.Header)
			}
			for _, bad := range []string{"<script>", " style=", " onclick=", "ZgotmplZ"} {
				if strings.Contains(page, bad) {
					t.Errorf("%s has %s", path, bad)
				}
			}
		}
	}
	for path, want := range map[string]int{"/nowhere": http.StatusNotFound, "/switch/edge-9": http.StatusNotFound, "/assets/..%2fweb.go": http.StatusNotFound, "/assets/op25b.css": http.StatusOK} {
		if res, page := b.get(path); res.StatusCode != want {
			t.Errorf("%s: %d, want %d\n%s", path, res.StatusCode, want, page)
		}
	}
}

// TestOverviewTellsWhatIsWrong verifies the headline and the list of switches that need attention.
func TestOverviewTellsWhatIsWrong(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/")
	for _, want := range []string{"0.0 %", "0 of 1 switch is what the intent says, revision 1", `<a href="/switch/edge-1">edge-1</a>`, `id="cell-edge-1"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview lacks %s:\n%s", want, page)
		}
	}
	if _, page := b.get("/?q=west"); strings.Contains(page, `id="cell-edge-1"`) || !strings.Contains(page, "1 switch is hidden by the filter") {
		t.Errorf("the filter does not hide edge-1:\n%s", page)
	}
	_, page = b.get("/?q=" + url.QueryEscape(`"><script>alert(1)</script>`))
	if strings.Contains(page, "<script>alert") {
		t.Error("the filter is not escaped")
	}
}

// TestActivation activates a phase from the page. It requests the preview, makes the change with a reason, and then rolls
// back.
func TestActivation(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/programme")
	form := url.Values{"csrf": {csrf(page)}, "phase": {"mobile-carriers"}, "groups": {"adsl, isdn"}}
	res, page := b.post("/preview", form)
	if res.StatusCode != http.StatusOK || !strings.Contains(page, "This changes 1 of 1 switch") {
		t.Fatalf("preview: %d\n%s", res.StatusCode, page)
	}
	hidden := func(page, name string) string {
		_, rest, _ := strings.Cut(page, `name="`+name+`" value="`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	for _, name := range []string{"base", "shown", "request"} {
		form.Set(name, hidden(page, name))
	}
	if res, page := b.post("/change", form); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "Give a reason.") {
		t.Errorf("without a reason: %d\n%s", res.StatusCode, page)
	}
	form.Set("reason", "carriers asked for it")
	if res, page := b.post("/change", form); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" {
		t.Fatalf("activation: %d\n%s", res.StatusCode, page)
	}
	_, page = b.get("/changes")
	if !strings.Contains(page, "carriers asked for it") || !strings.Contains(page, "activate") {
		t.Errorf("the change is not in the audit chain:\n%s", page)
	}
	// The same form is refused or has no effect, because there is a newer revision.
	form.Set("request", strings.Repeat("another", 4))
	if res, page := b.post("/change", form); res.StatusCode != http.StatusConflict || !strings.Contains(page, "current revision is 2") {
		t.Errorf("on an old revision: %d\n%s", res.StatusCode, page)
	}
	_, page = b.post("/preview", url.Values{"csrf": {csrf(page)}})
	if !strings.Contains(page, "This undoes the activation of phase mobile-carriers by local") {
		t.Errorf("preview of the rollback:\n%s", page)
	}
	back := url.Values{"csrf": {csrf(page)}, "reason": {"too early"}, "base": {hidden(page, "base")}, "shown": {hidden(page, "shown")}, "request": {hidden(page, "request")}}
	if res, page := b.post("/change", back); res.StatusCode != http.StatusSeeOther {
		t.Errorf("rollback: %d\n%s", res.StatusCode, page)
	}
	back.Set("csrf", "wrong")
	for _, path := range []string{"/preview", "/change"} {
		if res, _ := b.post(path, back); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s without the csrf value: %d", path, res.StatusCode)
		}
	}
}

// TestStrangers verifies that requests for other hosts, from pages of other sites and without credentials are refused.
func TestStrangers(t *testing.T) {
	b := newBrowser(t, site(t, func(c *controller.Config) { c.WebHosts = []string{"noc.isp.example"} }))
	if res, _ := b.get("/", "Host", "evil.example"); res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", res.StatusCode)
	}
	if res, _ := b.get("/assets/op25b.css", "Host", "NOC.isp.example:2580"); res.StatusCode != http.StatusOK {
		t.Errorf("the named host: %d", res.StatusCode)
	}
	if res, _ := b.post("/language", url.Values{"language": {"ja"}}, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site: %d", res.StatusCode)
	}
	if res, _ := b.post("/language", url.Values{"language": {"xx"}}); res.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown language: %d", res.StatusCode)
	}
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/a\r\nSet-Cookie: x=y"} {
		if res, _ := b.post("/language", url.Values{"language": {"ja"}, "next": {next}}); res.Header.Get("Location") != "/" {
			t.Errorf("next %q leads to %q", next, res.Header.Get("Location"))
		}
	}
}

// TestSignIn verifies the sign-in by token, its cookie and its end, and that nobody can prepare a session for somebody
// else.
func TestSignIn(t *testing.T) {
	const token = "op25b_0123456789012345678901234567890123456789"
	sum := sha256.Sum256([]byte(token))
	path := filepath.Join(t.TempDir(), "access.yaml")
	doc := "apiVersion: op25b/v1\nkind: Access\ntokens:\n  - {name: alice, role: viewer, sha256: " + hex.EncodeToString(sum[:]) + "}\n"
	if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	access, err := auth.Open(path, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, site(t, func(c *controller.Config) { c.Auth.Access = access }))
	res, _ := b.get("/programme?x=1")
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/signin?next=%2Fprogramme%3Fx%3D1" {
		t.Fatalf("without a sign-in: %d %s", res.StatusCode, res.Header.Get("Location"))
	}
	if res, _ := b.get("/events?from=x.0"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("events without a sign-in: %d", res.StatusCode)
	}
	if res, page := b.post("/signin", url.Values{"token": {"wrong"}}); res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) != 0 || !strings.Contains(page, "not in the access file") {
		t.Errorf("a wrong token: %d %v\n%s", res.StatusCode, res.Cookies(), page)
	}
	// An attacker's cookie does not become the session.
	at, err := url.Parse(b.base)
	if err != nil {
		t.Fatal(err)
	}
	b.Jar.SetCookies(at, []*http.Cookie{{Name: "op25b", Value: "prepared"}})
	res, _ = b.post("/signin", url.Values{"token": {token}, "next": {"/programme"}})
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/programme" || len(res.Cookies()) != 1 {
		t.Fatalf("signed in: %d %v", res.StatusCode, res.Header)
	}
	c := res.Cookies()[0]
	if c.Value == "prepared" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(c.Value, token) {
		t.Errorf("cookie %v", c)
	}
	_, page := b.get("/")
	if !strings.Contains(page, "alice, role viewer") || strings.Contains(page, token) {
		t.Errorf("signed in:\n%s", page)
	}
	if res, _ := b.post("/signout", url.Values{"csrf": {"wrong"}}); res.StatusCode != http.StatusForbidden {
		t.Errorf("sign out by another form: %d", res.StatusCode)
	}
	if res, _ := b.post("/signout", url.Values{"csrf": {csrf(page)}}); res.StatusCode != http.StatusSeeOther {
		t.Errorf("sign out: %d", res.StatusCode)
	}
	b.Jar.SetCookies(at, []*http.Cookie{c})
	if res, _ := b.get("/"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the old cookie works after the sign-out: %d", res.StatusCode)
	}
}
