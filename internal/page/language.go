package page

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"op25b/internal/lang"
)

// languageCookie contains the person's language.
const languageCookie = "op25b-language"

// LanguageOf returns the language of a request. This is the language that the person has chosen, the first supported language of the browser, or
// English.
func LanguageOf(r *http.Request) string {
	if cookie, err := r.Cookie(languageCookie); err == nil {
		if l, known := lang.Find(cookie.Value); known {
			return string(l)
		}
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if l, known := lang.Find(primary); known {
			return string(l)
		}
	}
	return string(lang.English)
}

// SetLanguage serves the form with which a person chooses a language. Its fields are language, and next, the page to return to.
func SetLanguage(w http.ResponseWriter, r *http.Request) {
	chosen, known := lang.Find(r.PostFormValue("language"))
	if !known {
		http.Error(w, "language must be "+chosen.Accepts(), http.StatusBadRequest)
		return
	}
	KeepLanguage(w, r, chosen)
	http.Redirect(w, r, Local(r.PostFormValue("next")), http.StatusSeeOther)
}

// KeepLanguage sets the cookie with the language that a person chose.
func KeepLanguage(w http.ResponseWriter, r *http.Request, chosen lang.Language) {
	http.SetCookie(w, &http.Cookie{
		Name: languageCookie, Value: string(chosen), Path: "/", MaxAge: int((365 * 24 * time.Hour).Seconds()),
		Secure: r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Local returns the path of a redirect within this site. It replaces any other address by the first page.
func Local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n") {
		return "/"
	}
	return next
}
