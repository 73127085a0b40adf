package page

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// languageCookie contains the person's language.
const languageCookie = "op25b-language"

// LanguageOf returns the language of a request. This is the language that the person has chosen, or the first supported language of the
// browser.
func LanguageOf(r *http.Request) string {
	if cookie, err := r.Cookie(languageCookie); err == nil && (cookie.Value == "ja" || cookie.Value == "en") {
		return cookie.Value
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		switch primary, _, _ := strings.Cut(strings.ToLower(tag), "-"); primary {
		case "ja", "en":
			return primary
		}
	}
	return "en"
}

// SetLanguage serves the form with which a person chooses a language. Its fields are language, and next, the page to return to.
func SetLanguage(w http.ResponseWriter, r *http.Request) {
	lang := r.PostFormValue("language")
	if lang != "ja" && lang != "en" {
		http.Error(w, "language must be ja or en", http.StatusBadRequest)
		return
	}
	KeepLanguage(w, r, lang)
	http.Redirect(w, r, Local(r.PostFormValue("next")), http.StatusSeeOther)
}

// KeepLanguage sets the cookie with the language that a person chose, which must be "ja" or "en".
func KeepLanguage(w http.ResponseWriter, r *http.Request, lang string) {
	http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: lang, Path: "/", MaxAge: int((365 * 24 * time.Hour).Seconds()), Secure: r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// Local returns the path of a redirect within this site. It replaces any other address by the first page.
func Local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n") {
		return "/"
	}
	return next
}
