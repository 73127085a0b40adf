package web

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"op25b/internal/auth"
)

// languageCookie contains the person's language. It is the only cookie that scripts can read.
const languageCookie = "op25b-language"

// languageOf returns the language of a request. This is the language that the person has chosen, or the first
// supported language of the browser.
func languageOf(r *http.Request) string {
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

// language stores the person's language.
func (s *Site) language(w http.ResponseWriter, r *http.Request) {
	lang := r.PostFormValue("language")
	if lang != "ja" && lang != "en" {
		http.Error(w, "language must be ja or en", http.StatusBadRequest)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: lang, Path: "/", MaxAge: int((365 * 24 * time.Hour).Seconds()), Secure: r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, local(r.PostFormValue("next")), http.StatusSeeOther)
}

type signInData struct {
	base
	Next, Wrong string
}

// signInPage shows the form for a token.
func (s *Site) signInPage(w http.ResponseWriter, r *http.Request) {
	s.showSignIn(w, r, http.StatusOK, local(r.URL.Query().Get("next")), "")
}

func (s *Site) showSignIn(w http.ResponseWriter, r *http.Request, code int, next, wrong string) {
	d := signInData{base: s.base(r), Next: next, Wrong: wrong}
	d.Title = d.T("sign in")
	s.render(w, code, "signin.html", d)
}

// signIn begins a session with a token.
func (s *Site) signIn(w http.ResponseWriter, r *http.Request) {
	next := local(r.PostFormValue("next"))
	token := strings.TrimSpace(r.PostFormValue("token"))
	caller, err := s.identify(r, &session{token: token})
	switch {
	case token == "" || errors.Is(err, auth.ErrUnknown):
		s.showSignIn(w, r, http.StatusUnauthorized, next, s.base(r).T("wrong token"))
		return
	case err != nil:
		s.showSignIn(w, r, http.StatusUnauthorized, next, err.Error())
		return
	case !caller.Role.May(auth.Viewer):
		s.showSignIn(w, r, http.StatusForbidden, next, s.base(r).T("no role"))
		return
	}
	s.sessions.end(r)
	id, _ := s.sessions.begin(token)
	setCookie(w, r, id, lastsFor)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// signOut ends the session.
func (s *Site) signOut(w http.ResponseWriter, r *http.Request) {
	if x := s.sessions.find(r); !x.allows(r) {
		http.Error(w, "The form is too old: load the page again.", http.StatusForbidden)
		return
	}
	s.sessions.end(r)
	setCookie(w, r, "", -time.Second)
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}
