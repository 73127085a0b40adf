package page_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"op25b/internal/page"
)

// TestLocal verifies that a redirect never leaves the site, whatever the form asks for. A browser reads a backslash as a slash, drops tabs and
// newlines, and takes a path that begins with two slashes as a host (URL Standard, section 4.4).
func TestLocal(t *testing.T) {
	for next, want := range map[string]string{
		"/": "/", "/changes?before=3": "/changes?before=3", "/switch/edge-1?range=day": "/switch/edge-1?range=day", "": "/", "changes": "/", "?x": "/", "#x": "/",
		"//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/", `/a\b`: "/", "https://evil.example": "/", "https:evil.example": "/", "HTTPS://evil.example": "/",
		"javascript:alert(1)": "/", "data:text/html,x": "/", "/\t/evil.example": "/", "\t//evil.example": "/", " //evil.example": "/", "/a\r\nSet-Cookie: x=y": "/", "/\x00": "/", "http:///evil.example": "/", "/%": "/",
	} {
		if got := page.Local(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
	pieces := rapid.SampledFrom([]string{"/", `\`, ":", "//", "evil.example", "http", "https", "javascript", "@", "?", "#", "%2f", "%5c", "%", "..", ".", "\t", "\n", "\r", " ", "\x00", "a", "é", "\u2028"})
	rapid.Check(t, func(t *rapid.T) {
		next := strings.Join(rapid.SliceOfN(pieces, 0, 8).Draw(t, "next"), "")
		got := page.Local(next)
		// What a browser sees, which drops these characters.
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(got)
		if !strings.HasPrefix(seen, "/") || strings.HasPrefix(seen, "//") {
			t.Fatalf("%q leads to %q", next, got)
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/language", strings.NewReader(url.Values{"language": {"ja"}, "next": {next}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		page.SetLanguage(w, r)
		to, err := r.URL.Parse(w.Header().Get("Location"))
		if err != nil || to.Host != "" || !strings.HasPrefix(to.Path, "/") || strings.HasPrefix(w.Header().Get("Location"), "//") || len(w.Header().Values("Set-Cookie")) != 1 {
			t.Fatalf("%q leads to %q: %v, %v", next, w.Header().Get("Location"), err, w.Header())
		}
	})
}

// TestLanguageOf verifies which language a request gets, and that only the languages of the pages are kept.
func TestLanguageOf(t *testing.T) {
	for _, c := range []struct{ cookie, accept, want string }{
		{"", "", "en"}, {"", "de", "en"}, {"", "de, ja-JP;q=0.9, en;q=0.8", "ja"}, {"", "EN-gb", "en"}, {"ja", "en", "ja"}, {"de", "ja", "ja"}, {"JA", "en", "en"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: "op25b-language", Value: c.cookie})
		}
		if got := page.LanguageOf(r); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/language", strings.NewReader("language=de"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	page.SetLanguage(w, r)
	if w.Code != http.StatusBadRequest || w.Body.String() != "language must be ja or en\n" || len(w.Header().Values("Set-Cookie")) != 0 {
		t.Errorf("another language: %d, %q, %v", w.Code, w.Body, w.Header())
	}
}
