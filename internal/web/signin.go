package web

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"op25b/internal/auth"
	"op25b/internal/page"
)

type signInData struct {
	base
	Next, Wrong string
	Provider    string // the name of the OpenID Provider; empty if there is none
}

// signInPage shows the form for a token.
func (s *Site) signInPage(w http.ResponseWriter, r *http.Request) {
	s.showSignIn(w, r, http.StatusOK, page.Local(r.URL.Query().Get("next")), "")
}

func (s *Site) showSignIn(w http.ResponseWriter, r *http.Request, code int, next, wrong string) {
	d := signInData{base: s.base(r), Next: next, Wrong: wrong}
	if s.cfg.OpenID != nil {
		d.Provider, _ = s.cfg.OpenID.Offer()
	}
	d.Title = d.T("sign in")
	s.render(w, code, "signin.html", d)
}

// signIn begins a session with a token.
func (s *Site) signIn(w http.ResponseWriter, r *http.Request) {
	next := page.Local(r.PostFormValue("next"))
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
	id, _ := s.sessions.begin(token, nil)
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
