package web_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"op25b/internal/api"
	"op25b/internal/auth"
	"op25b/internal/controller"
	"op25b/internal/openid/openidtest"
	"op25b/internal/page/pagetest"
	"op25b/internal/tlsfiles/tlstest"
)

// people are the claims of two people, of whom only alice is in a group of the access file.
func people() map[string]map[string]any {
	return map[string]map[string]any{
		"alice": {"preferred_username": "alice@isp.example", "groups": []string{"noc-operators"}},
		"bob":   {"preferred_username": "bob@isp.example", "groups": []string{"chess"}},
	}
}

// A signInSite is a page with a real OpenID Provider.
type signInSite struct {
	*browser
	provider *openidtest.Provider
	access   string // the access file
	logs     *observer.ObservedLogs
}

func withProvider(t *testing.T, secure bool, change func(*controller.Config)) *signInSite {
	t.Helper()
	s := &signInSite{provider: openidtest.Start(t, secure, people()), access: filepath.Join(t.TempDir(), "access.yaml")}
	s.allow(t, "noc-operators", "operator")
	access, err := auth.Open(s.access, func(err error) { t.Errorf("the access file: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	s.logs = logs
	s.browser = newBrowser(t, site(t, func(c *controller.Config) {
		c.Auth.Access, c.Logger = access, zap.New(core)
		if change != nil {
			change(c)
		}
	}))
	s.provider.Register(s.base + auth.CallbackPath)
	return s
}

// allow writes the access file with the pairs of a group and a role.
func (s *signInSite) allow(t *testing.T, groups ...string) {
	t.Helper()
	tlstest.Replace(t, s.access, []byte(s.provider.Access(groups...)))
}

// start begins a sign-in and returns the URL at the provider.
func (s *signInSite) start(next string) string {
	s.t.Helper()
	res, page := s.get("/signin/oidc?next=" + url.QueryEscape(next))
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), s.provider.Issuer+openidtest.Authorize+"?") {
		s.t.Fatalf("begin: %d %v\n%s", res.StatusCode, res.Header, page)
	}
	return res.Header.Get("Location")
}

// signIn signs a person in.
func (s *signInSite) signIn(name, next string) (*http.Response, string) {
	s.t.Helper()
	return s.get(s.provider.SignIn(s.t, s.start(next), name).RequestURI())
}

func cookieOf(res *http.Response, name string) *http.Cookie {
	for _, c := range res.Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// TestOpenIDSignIn signs a person in with a real provider. The person's calls have the role of the person's groups in the current access file, and
// the audit chain names the person.
func TestOpenIDSignIn(t *testing.T) {
	s := withProvider(t, true, nil)
	_, page := s.get("/signin?next=%2Fprogramme")
	if !strings.Contains(page, `href="/signin/oidc?next=%2fprogramme">Sign in with ISP login</a>`) {
		t.Errorf("the page does not offer the sign-in:\n%s", page)
	}
	at, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	s.Jar.SetCookies(at, []*http.Cookie{{Name: "op25b", Value: "prepared"}}) // by somebody who wants to use the session later
	res, page := s.signIn("alice", "/programme")
	c := cookieOf(res, "op25b")
	if res.StatusCode != http.StatusOK || c == nil || c.Value == "prepared" || len(c.Value) < 26 || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode ||
		!strings.Contains(page, `<meta http-equiv="refresh" content="0; url=/programme">`) || !strings.Contains(page, "You are signed in as alice@isp.example by OIDC.") {
		t.Fatalf("signed in: %d %v\n%s", res.StatusCode, res.Cookies(), page)
	}
	if ended := cookieOf(res, "op25b-signin"); ended == nil || ended.MaxAge >= 0 {
		t.Errorf("the cookie of the sign-in is %v", ended)
	}
	_, page = s.get("/programme")
	if !strings.Contains(page, "alice@isp.example by OIDC, role operator") {
		t.Errorf("after the sign-in:\n%s", page)
	}
	form := url.Values{"csrf": {csrf(page)}, "phase": {"mobile-carriers"}}
	_, page = s.post("/preview", form)
	for _, name := range []string{"base", "shown", "request"} {
		_, rest, _ := strings.Cut(page, `name="`+name+`" value="`)
		value, _, _ := strings.Cut(rest, `"`)
		form.Set(name, value)
	}
	form.Set("reason", "calm week")
	if res, page := s.post("/change", form); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("activation: %d\n%s", res.StatusCode, page)
	}
	_, page = s.get("/changes")
	if !strings.Contains(page, "<td>alice@isp.example by OIDC</td>") || !strings.Contains(page, "calm week") {
		t.Errorf("the change is not in the audit chain:\n%s", page)
	}
	if n := s.logs.FilterMessage("call").FilterField(zap.String("by", "OIDC")).FilterField(zap.String("who", "alice@isp.example by OIDC")).Len(); n == 0 {
		t.Error("no call is logged with its source")
	}

	s.allow(t, "noc-operators", "viewer")
	if _, page := s.get("/"); !strings.Contains(page, "alice@isp.example by OIDC, role viewer") {
		t.Errorf("after the role was lowered:\n%s", page)
	}
	if res, page := s.post("/change", form); res.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer changes something: %d\n%s", res.StatusCode, page)
	}
	s.allow(t, "others", "viewer")
	if res, page := s.get("/"); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "alice@isp.example by OIDC has no role") {
		t.Errorf("after the role was removed: %d\n%s", res.StatusCode, page)
	}
	s.allow(t, "noc-operators", "viewer")
	if res, _ := s.get("/"); res.StatusCode != http.StatusOK {
		t.Errorf("after the role was given again: %d", res.StatusCode)
	}
	tlstest.Replace(t, s.access, []byte(strings.Replace(s.provider.Access("noc-operators", "admin"), "clientID: "+openidtest.ClientID, "clientID: another", 1)))
	if res, _ := s.get("/"); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/signin") {
		t.Errorf("after the provider was replaced: %d", res.StatusCode)
	}
}

// TestOpenIDAttacks verifies that nobody is signed in by an answer that was meant for another browser, was used before, or was changed, and that
// a sign-in leads to no other site.
func TestOpenIDAttacks(t *testing.T) {
	s := withProvider(t, true, nil)
	refused := func(what string, b *browser, at string, code int, want string) {
		t.Helper()
		res, page := b.get(at)
		if res.StatusCode != code || !strings.Contains(page, want) || cookieOf(res, "op25b") != nil || strings.Contains(page, "Continue") {
			t.Errorf("%s: %d %v\n%s", what, res.StatusCode, res.Cookies(), page)
		}
		if res, _ := b.get("/"); res.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: signed in after that: %d", what, res.StatusCode)
		}
	}
	const again = "This sign-in was not begun in this browser, or it took too long."
	attackers := s.provider.SignIn(t, s.start("/"), "alice")
	victim := newBrowser(t, s.base)
	refused("the attacker's answer in a browser without a sign-in", victim, attackers.RequestURI(), http.StatusBadRequest, again)
	if res, _ := victim.get("/signin/oidc"); res.StatusCode != http.StatusSeeOther {
		t.Fatal("the victim cannot begin")
	}
	refused("the attacker's answer in a browser with its own sign-in", victim, attackers.RequestURI(), http.StatusBadRequest, again)
	refused("no answer", victim, auth.CallbackPath, http.StatusBadRequest, again)
	if res, _ := s.get(attackers.RequestURI()); res.StatusCode != http.StatusOK { // the answer is valid in its own browser
		t.Fatalf("the right browser: %d", res.StatusCode)
	}
	thief := newBrowser(t, s.base)
	refused("a used answer", thief, attackers.RequestURI(), http.StatusBadRequest, again)

	at, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	fresh := withoutSession(t, s)
	answer := s.provider.SignIn(t, fresh.start("/"), "alice")
	kept := fresh.Jar.Cookies(at)
	if res, _ := fresh.get(answer.RequestURI()); res.StatusCode != http.StatusOK {
		t.Fatal("not signed in")
	}
	thief.Jar.SetCookies(at, kept) // even the cookie does not make a code valid twice
	refused("a replayed code with the cookie", thief, answer.RequestURI(), http.StatusForbidden, "The answer of ISP login is not valid.")
	if lines := s.logs.FilterMessage("sign-in failed").All(); len(lines) == 0 || !strings.Contains(lines[len(lines)-1].ContextMap()["error"].(string), "does not accept the code: invalid_grant") {
		t.Errorf("the log has %v", lines)
	}

	denied := withoutSession(t, s)
	u, err := url.Parse(denied.start("/"))
	if err != nil {
		t.Fatal(err)
	}
	refused("a refusal", denied.browser, auth.CallbackPath+"?error=access_denied&state="+u.Query().Get("state"), http.StatusForbidden, "ISP login did not sign you in (access_denied).")

	stranger := withoutSession(t, s)
	res, page := stranger.signIn("bob", "/")
	if res.StatusCode != http.StatusForbidden || cookieOf(res, "op25b") != nil || !strings.Contains(page, "bob@isp.example by OIDC has no role here.") {
		t.Errorf("a person without a role: %d %v\n%s", res.StatusCode, res.Cookies(), page)
	}
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/a\r\nSet-Cookie: x=y"} {
		_, page := withoutSession(t, s).signIn("alice", next)
		if !strings.Contains(page, `content="0; url=/">`) || strings.Contains(page, "evil") || strings.Contains(page, "alert") {
			t.Errorf("next %q leads elsewhere:\n%s", next, page)
		}
	}

	// A sign-in ends an earlier one of the same browser, and its session has another id.
	res, _ = s.signIn("alice", "/")
	first := cookieOf(res, "op25b")
	res, _ = s.signIn("alice", "/")
	if second := cookieOf(res, "op25b"); second == nil || second.Value == first.Value {
		t.Errorf("the session is still %v", second)
	}
	old := newBrowser(t, s.base)
	old.Jar.SetCookies(at, []*http.Cookie{first})
	if res, _ := old.get("/"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the earlier session still works: %d", res.StatusCode)
	}
	if _, page := s.get("/"); csrf(page) == "" {
		t.Error("the new session does not work")
	}
}

// withoutSession returns the same site in another browser.
func withoutSession(t *testing.T, s *signInSite) *signInSite {
	t.Helper()
	other := *s
	other.browser = newBrowser(t, s.base)
	return &other
}

// TestOpenIDOverTLS verifies that the cookies of a page over TLS are bound to its host.
func TestOpenIDOverTLS(t *testing.T) {
	own := tlstest.New(t).Dir(t, "127.0.0.1")
	s := withProvider(t, true, func(c *controller.Config) { c.Web = api.Listening{Addr: "127.0.0.1:0", Cert: own.Cert, Key: own.Key} })
	s.base = strings.Replace(s.base, "http://", "https://", 1)
	s.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	s.provider.Register(s.base + auth.CallbackPath)
	res, _ := s.get("/signin/oidc")
	c := cookieOf(res, "__Host-op25b-signin")
	if c == nil || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 600 {
		t.Errorf("the cookie of the sign-in is %v", c)
	}
	res, _ = s.signIn("alice", "/")
	if c := cookieOf(res, "__Host-op25b"); c == nil || !c.Secure || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("the session's cookie is %v", c)
	}
}

// TestOpenIDProviderDown verifies that a controller starts and serves its page without the provider, and that the page says why nobody can sign in.
func TestOpenIDProviderDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "https://" + l.Addr().String()
	_ = l.Close()
	path := filepath.Join(t.TempDir(), "access.yaml")
	text := "apiVersion: op25b/v1\nkind: Access\noidc:\n  name: ISP login\n  issuer: " + gone + "\n  clientID: op25b\n  groups:\n    - {group: noc, role: viewer}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	access, err := auth.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	b := newBrowser(t, site(t, func(c *controller.Config) { c.Auth.Access, c.Logger = access, zap.New(core) }))
	for lang, want := range map[string]string{"en": "ISP login cannot be reached, or does not answer as it should.", "ja": "ISP login に接続できないか、応答が正しくありません。"} {
		if res, page := b.get("/signin", "Accept-Language", lang); res.StatusCode != http.StatusOK || !strings.Contains(page, "ISP login") {
			t.Errorf("the page: %d\n%s", res.StatusCode, page)
		}
		res, page := b.get("/signin/oidc", "Accept-Language", lang)
		if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(page, want) || !strings.Contains(page, `name="token"`) {
			t.Errorf("the sign-in: %d\n%s", res.StatusCode, page)
		}
	}
	lines := logs.FilterMessage("sign-in failed").All()
	if len(lines) == 0 || !strings.Contains(lines[0].ContextMap()["error"].(string), "the OpenID Provider cannot be used: issuer "+gone) {
		t.Errorf("the log has %v", lines)
	}
	plain := newBrowser(t, site(t, nil))
	if res, page := plain.get("/signin/oidc"); res.StatusCode != http.StatusNotFound || !strings.Contains(page, "The access file has no OpenID Provider.") {
		t.Errorf("without an access file: %d\n%s", res.StatusCode, page)
	}
	if _, page := plain.get("/signin"); strings.Contains(page, "/signin/oidc") {
		t.Errorf("the page offers a sign-in that does not exist:\n%s", page)
	}
}

// TestOpenIDInBrowser signs a person in by clicks, from another site, in a real browser. The session's cookie is SameSite=Strict, so that this is
// the only test that would notice if the browser withheld it. The page works without its script, too.
func TestOpenIDInBrowser(t *testing.T) {
	s := withProvider(t, false, nil)
	for _, noScript := range []bool{false, true} {
		ctx, faults := pagetest.Chromium(t)
		pagetest.As(t, ctx, pagetest.Reader{Lang: "en", NoScript: noScript, Width: 320})
		pagetest.Open(t, ctx, s.base+"/programme")
		bad := append(pagetest.Tree(t, ctx).Faults(), pagetest.Evaluate[[]string](t, ctx, pagetest.Rules)...)
		err := chromedp.Do(
			ctx,
			chromedp.Click(chromedp.CSS(`a[href^="/signin/oidc"]`)), chromedp.WaitVisible(chromedp.ID("username")),
			chromedp.SendKeys(chromedp.ID("username"), "alice"), chromedp.SendKeys(chromedp.ID("password"), openidtest.Password),
			chromedp.Click(chromedp.ID("login")), chromedp.WaitVisible(chromedp.CSS(`form[action="/signout"]`)),
		)
		if err != nil {
			t.Fatal(err)
		}
		at := pagetest.Evaluate[string](t, ctx, `location.pathname + " " + document.querySelector(".person span").textContent`)
		if at != "/programme alice@isp.example by OIDC, role operator" {
			t.Errorf("the browser is at %q", at)
		}
		if pagetest.Evaluate[string](t, ctx, `document.cookie`) != "" {
			t.Error("a script can read a cookie")
		}
		cookies, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{s.base + "/"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cookies.Cookies {
			if c.Name != "op25b" || c.SameSite != network.CookieSameSiteStrict {
				t.Errorf("the browser keeps the cookie %s, %s", c.Name, c.SameSite)
			}
		}
		if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`form[action="/signout"] button`)), chromedp.WaitVisible(chromedp.ID("token"))); err != nil {
			t.Fatal(err)
		}
		for _, b := range append(bad, faults()...) {
			t.Errorf("without script %v: %s", noScript, b)
		}
	}
}
