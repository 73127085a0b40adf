package web_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"op25b/internal/auth"
	"op25b/internal/controller"
)

// A postForm is a form that a page offers.
type postForm struct {
	page, action string
	fields       url.Values
}

// postForms returns the forms with the method POST on pages of a site.
func postForms(t *testing.T, b *browser, paths ...string) (all []postForm) {
	t.Helper()
	for _, path := range paths {
		_, page := b.get(path)
		root, err := html.Parse(strings.NewReader(page))
		if err != nil {
			t.Fatal(err)
		}
		attr := func(n *html.Node, key string) string {
			i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
			if i < 0 {
				return ""
			}
			return n.Attr[i].Val
		}
		for n := range root.Descendants() {
			if n.Type != html.ElementNode || n.Data != "form" || !strings.EqualFold(attr(n, "method"), "post") {
				continue
			}
			f := postForm{path, attr(n, "action"), url.Values{}}
			for x := range n.Descendants() {
				if x.Type == html.ElementNode && attr(x, "name") != "" {
					f.fields.Add(attr(x, "name"), attr(x, "value"))
				}
			}
			all = append(all, f)
		}
	}
	return all
}

// withTokens is a site with tokens for a person of each role.
func withTokens(t *testing.T, change func(*controller.Config)) (base string, tokens map[auth.Role]string) {
	t.Helper()
	base, _, tokens = withTokensAndAPI(t, change)
	return base, tokens
}

// withTokensAndAPI is like withTokens, but also returns the address of the API.
func withTokensAndAPI(t *testing.T, change func(*controller.Config)) (base, apiAddr string, tokens map[auth.Role]string) {
	t.Helper()
	tokens = make(map[auth.Role]string)
	doc := "apiVersion: op25b/v1\nkind: Access\ntokens:\n"
	for i, role := range []auth.Role{auth.Viewer, auth.Operator, auth.Admin, auth.Portal} {
		token := fmt.Sprintf("op25b_%040d", i)
		sum := sha256.Sum256([]byte(token))
		doc += fmt.Sprintf("  - {name: %s-1, role: %s, sha256: %s}\n", role, role, hex.EncodeToString(sum[:]))
		tokens[role] = token
	}
	path := filepath.Join(t.TempDir(), "access.yaml")
	if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	access, err := auth.Open(path, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	base, apiAddr = siteAndAPI(t, func(c *controller.Config) {
		c.Auth.Access = access
		if change != nil {
			change(c)
		}
	})
	return base, apiAddr, tokens
}

// signedIn returns a browser in which the owner of a token has signed in.
func signedIn(t *testing.T, base, token string) *browser {
	t.Helper()
	b := newBrowser(t, base)
	if res, page := b.post("/signin", url.Values{"token": {token}}); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign-in: %d\n%s", res.StatusCode, page)
	}
	return b
}

// TestEveryFormIsGuarded verifies that no form of any page has an effect without the csrf value of the person's session, or from a page of
// another site. It finds the forms on the pages, so that a new form is tested too.
func TestEveryFormIsGuarded(t *testing.T) {
	base, tokens := withTokens(t, nil)
	b, other := signedIn(t, base, tokens[auth.Admin]), signedIn(t, base, tokens[auth.Admin])
	_, page := other.get("/check")
	stolen := csrf(page)
	forms := postForms(t, b, append(slices.Clone(pages), "/programme")...)
	if _, page = b.get("/programme"); true {
		_, preview := b.post("/preview", url.Values{"csrf": {csrf(page)}, "phase": {"mobile-carriers"}})
		forms = append(forms, postForm{"the preview", "/change", url.Values{"csrf": {csrf(preview)}, "reason": {"test"}}})
	}
	seen := make(map[string]bool)
	for _, f := range forms {
		seen[f.action] = true
		for _, origin := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
			if res, _ := b.post(f.action, f.fields, origin...); res.StatusCode != http.StatusForbidden {
				t.Errorf("the form %s of %s, from another site (%v): %d", f.action, f.page, origin, res.StatusCode)
			}
		}
		if f.action == "/language" || f.action == "/signin" { // a language is nobody's secret, and a sign-in needs a token
			continue
		}
		for what, value := range map[string][]string{"without its csrf value": nil, "with an empty one": {""}, "with that of another session": {stolen}} {
			fields := url.Values{}
			for name, all := range f.fields {
				fields[name] = all
			}
			if fields["csrf"] = value; value == nil {
				delete(fields, "csrf")
			}
			if res, page := b.post(f.action, fields); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "too old") {
				t.Errorf("the form %s of %s %s: %d\n%s", f.action, f.page, what, res.StatusCode, page)
			}
			if res, _ := b.get(f.action + "?" + fields.Encode()); res.StatusCode == http.StatusOK && f.action != "/check" && !asksFirst(f.action) {
				t.Errorf("the form %s of %s by GET: %d", f.action, f.page, res.StatusCode)
			}
		}
	}
	for _, action := range []string{"/language", "/signin", "/signout", "/check", "/preview", "/change", "/verify", "/switch/edge-1/hold", "/switch/edge-1/release", "/rollout/start"} {
		if !seen[action] {
			t.Errorf("no page has the form %s", action)
		}
	}
	if _, page := b.get("/changes"); strings.Contains(page, "test</td>") || strings.Contains(page, "switch edge-1") || !strings.Contains(page, "admin-1, role admin") {
		t.Errorf("a form without its csrf value had an effect:\n%s", page)
	}
}

// asksFirst reports whether GET on the action of a form shows the form, which asks before it does something.
func asksFirst(action string) bool {
	return strings.HasSuffix(action, "/hold") || strings.HasSuffix(action, "/release") || action == "/rollout/start"
}

// TestEveryAnswerIsSecured verifies the security headers of pages, files, streams, redirects and errors, and that requests for another host are
// refused before anything else is done (DNS rebinding).
func TestEveryAnswerIsSecured(t *testing.T) {
	base, tokens := withTokens(t, func(c *controller.Config) { c.WebHosts = []string{"noc.isp.example"} })
	b := signedIn(t, base, tokens[auth.Viewer])
	stranger := newBrowser(t, base)
	paths := append(slices.Clone(pages), "/assets/base.css", "/assets/op25b.js", "/assets/icon.svg", "/assets/none", "/events?from=x.0", "/signin/oidc", "/signin/callback", "/changes/77", "/?wall=1")
	for _, path := range paths {
		for _, who := range []*browser{b, stranger} {
			for _, headers := range [][]string{nil, {"Host", "noc.isp.example"}, {"Host", "evil.example"}, {"Host", "noc.isp.example.evil.example"}, {"Host", ""}, {"Host", "localhost.evil.example:2580"}} {
				if len(headers) > 0 && headers[1] == "" {
					continue // the client would send its own
				}
				res, page := who.get(path, headers...)
				h := res.Header
				if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
					t.Errorf("%s with %v: headers %v", path, headers, h)
				}
				if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "base-uri 'none'") || !strings.Contains(csp, "form-action 'self'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
					t.Errorf("%s with %v: policy %s", path, headers, csp)
				}
				if cache := h.Get("Cache-Control"); cache != "no-store" && !(strings.HasPrefix(path, "/assets/") && res.StatusCode == http.StatusOK) {
					t.Errorf("%s with %v: Cache-Control %q", path, headers, cache)
				}
				if evil := len(headers) > 0 && strings.HasSuffix(strings.TrimSuffix(headers[1], ":2580"), "evil.example"); evil && (res.StatusCode != http.StatusMisdirectedRequest || len(res.Cookies()) > 0 || strings.Contains(page, "<html")) {
					t.Errorf("%s for the host %s: %d %v\n%s", path, headers[1], res.StatusCode, res.Cookies(), page)
				}
				if who == stranger && res.StatusCode == http.StatusOK && !strings.HasPrefix(path, "/assets/") && !strings.HasPrefix(path, "/signin") {
					t.Errorf("%s without a sign-in: %d", path, res.StatusCode)
				}
				for _, token := range tokens {
					if strings.Contains(page, token) {
						t.Errorf("%s has a token", path)
					}
				}
			}
		}
	}
	if res, _ := b.post("/verify", url.Values{}, "Host", "evil.example"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a form without its csrf value: %d", res.StatusCode)
	}
	if res, _ := b.get("/events?from=x.0", "Sec-Fetch-Site", "cross-site"); res.StatusCode != http.StatusForbidden {
		t.Errorf("events for a page of another site: %d", res.StatusCode)
	}
}

// TestRolesOnThePage verifies that a viewer is offered no form of an operator, cannot send one, and that the refused change is in the audit chain. A
// portal's token does not open the page.
func TestRolesOnThePage(t *testing.T) {
	base, tokens := withTokens(t, nil)
	b := signedIn(t, base, tokens[auth.Viewer])
	for _, f := range postForms(t, b, pages...) {
		if f.action != "/signout" && f.action != "/language" && f.action != "/check" && f.action != "/verify" && f.page != "/signin" {
			t.Errorf("a viewer is offered the form %s on %s", f.action, f.page)
		}
	}
	_, page := b.get("/programme")
	value := csrf(page)
	form := url.Values{"csrf": {value}, "phase": {"mobile-carriers"}, "reason": {"because"}, "base": {"1"}, "shown": {"1"}, "request": {strings.Repeat("r", 20)}}
	if res, page := b.post("/change", form); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "operator") {
		t.Errorf("an activation by a viewer: %d\n%s", res.StatusCode, page)
	}
	// As in the API, a viewer may have the chain verified.
	if res, page := b.post("/verify", url.Values{"csrf": {value}}); res.StatusCode != http.StatusOK || !strings.Contains(page, "The chain is intact") {
		t.Errorf("/verify by a viewer: %d\n%s", res.StatusCode, page)
	}
	form.Set("phase", "") // a rollback
	if res, page := b.post("/change", form); res.StatusCode != http.StatusForbidden {
		t.Errorf("a rollback by a viewer: %d\n%s", res.StatusCode, page)
	}
	if _, page := b.get("/changes"); !strings.Contains(page, "refused activate") || !strings.Contains(page, "refused rollback") || strings.Contains(page, `href="/changes/2"`) {
		t.Errorf("after refused changes:\n%s", page)
	}
	portal := newBrowser(t, base)
	if res, page := portal.post("/signin", url.Values{"token": {tokens[auth.Portal]}}); res.StatusCode != http.StatusForbidden || len(res.Cookies()) != 0 {
		t.Errorf("a sign-in with a portal's token: %d %v\n%s", res.StatusCode, res.Cookies(), page)
	}
}

// TestSessionIsNotFixed verifies that a sign-in begins a new session and ends the one before, that nobody can choose a session's id, and that a
// csrf value ends with its session.
func TestSessionIsNotFixed(t *testing.T) {
	base, tokens := withTokens(t, nil)
	b := signedIn(t, base, tokens[auth.Viewer])
	at, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	first := b.Jar.Cookies(at)[0]
	_, page := b.get("/check")
	value := csrf(page)
	if res, _ := b.post("/signin", url.Values{"token": {tokens[auth.Operator]}}); res.StatusCode != http.StatusSeeOther {
		t.Fatal(res.StatusCode)
	}
	second := b.Jar.Cookies(at)[0]
	if first.Value == second.Value {
		t.Error("a second sign-in has the session of the first")
	}
	if _, page := b.get("/"); !strings.Contains(page, "operator-1, role operator") || csrf(page) == value {
		t.Errorf("after the second sign-in:\n%s", page)
	}
	if res, _ := b.post("/check", url.Values{"csrf": {value}}); res.StatusCode != http.StatusForbidden {
		t.Errorf("the csrf value of the first session: %d", res.StatusCode)
	}
	for what, cookie := range map[string]string{"the first session": first.Value, "a chosen id": "chosen", "an empty id": ""} {
		thief := newBrowser(t, base)
		thief.Jar.SetCookies(at, []*http.Cookie{{Name: "op25b", Value: cookie}})
		if res, _ := thief.get("/"); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/signin?next=") {
			t.Errorf("with %s: %d", what, res.StatusCode)
		}
		// An id that somebody has chosen does not become the session either.
		if res, _ := thief.post("/signin", url.Values{"token": {tokens[auth.Viewer]}}); res.StatusCode != http.StatusSeeOther || thief.Jar.Cookies(at)[0].Value == cookie {
			t.Errorf("a sign-in with %s: %d %v", what, res.StatusCode, thief.Jar.Cookies(at))
		}
	}
}

// TestCookieOverTLS verifies that the session's cookie over TLS is only sent over TLS, and can only be set by this host.
func TestCookieOverTLS(t *testing.T) {
	f := &fakeAPI{}
	server := httptest.NewTLSServer(siteOf(t, f))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}}
	defer transport.CloseIdleConnections()
	b := &browser{&http.Client{Jar: jar, Transport: transport}, t, server.URL}
	res, _ := b.get("/check")
	if len(res.Cookies()) != 1 {
		t.Fatalf("cookies %v", res.Cookies())
	}
	c := res.Cookies()[0]
	if c.Name != "__Host-op25b" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || len(c.Value) < 26 {
		t.Errorf("cookie %v", c)
	}
	if res.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security")
	}
	res, _ = b.post("/language", url.Values{"language": {"ja"}, "next": {"/check"}})
	for _, c := range res.Request.Response.Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite == http.SameSiteNoneMode || c.Domain != "" {
			t.Errorf("cookie %v", c)
		}
	}
}

// TestVisitsSignNobodyOut verifies that requests without a cookie, such as those of a script with a client certificate, do not end anybody's
// sign-in, although each begins a session for its forms.
func TestVisitsSignNobodyOut(t *testing.T) {
	f := &fakeAPI{}
	base := serve(t, siteOf(t, f))
	person := newBrowser(t, base)
	if res, _ := person.post("/signin", url.Values{"token": {"any"}}); res.StatusCode != http.StatusSeeOther {
		t.Fatal(res.StatusCode)
	}
	at, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	before := person.Jar.Cookies(at)[0].Value
	script := &browser{&http.Client{Transport: person.Transport}, t, base}
	for range 1100 { // more than the largest number of sessions
		if res, _ := script.get("/nowhere"); res.StatusCode != http.StatusNotFound {
			t.Fatal(res.StatusCode)
		}
	}
	res, page := person.get("/check")
	if len(res.Cookies()) != 0 || person.Jar.Cookies(at)[0].Value != before {
		t.Errorf("the sign-in was ended: %v", res.Cookies())
	}
	if csrf(page) == "" {
		t.Errorf("no form:\n%s", page)
	}
}

// TestLargeForm verifies that a form that is too large is refused.
func TestLargeForm(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/check")
	for _, size := range []int{1 << 10, 65 << 10, 4 << 20} {
		res, _ := b.post("/check", url.Values{"line": {strings.Repeat("x", size)}, "csrf": {csrf(page)}})
		if size > 64<<10 && res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%d bytes: %d", size, res.StatusCode)
		}
	}
}
