package web

import (
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"op25b/internal/auth"
	"op25b/internal/openid"
	"op25b/internal/page"
)

// pendingCookie returns the name of the cookie that keeps a sign-in while the person is at the OpenID Provider.
func pendingCookie(r *http.Request) string { return cookieName(r) + "-signin" }

// setPending stores a sealed sign-in in the browser. The cookie is SameSite=Lax, because the browser comes back from another site.
func setPending(w http.ResponseWriter, r *http.Request, sealed string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: pendingCookie(r), Value: sealed, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// beginOpenID sends the browser to the OpenID Provider. It ends an earlier sign-in, whose cookie does not come back with the browser.
func (s *Site) beginOpenID(w http.ResponseWriter, r *http.Request) {
	next := page.Local(r.URL.Query().Get("next"))
	if s.cfg.OpenID == nil {
		s.openIDFailed(w, r, next, openid.ErrNoProvider)
		return
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	to, sealed, err := s.cfg.OpenID.Begin(r.Context(), scheme+"://"+r.Host+auth.CallbackPath, next)
	if err != nil {
		s.openIDFailed(w, r, next, err)
		return
	}
	s.sessions.end(r)
	setPending(w, r, sealed, openid.Lasts)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// finishOpenID begins a session for a person who comes back from the OpenID Provider. The response is a page that forwards the browser, and not
// a redirect, because a browser does not send a SameSite=Strict cookie with a redirect that began at another site.
func (s *Site) finishOpenID(w http.ResponseWriter, r *http.Request) {
	sealed := ""
	if cookie, err := r.Cookie(pendingCookie(r)); err == nil {
		sealed = cookie.Value
	}
	setPending(w, r, "", -time.Second)
	if s.cfg.OpenID == nil {
		s.openIDFailed(w, r, "/", openid.ErrNoProvider)
		return
	}
	who, next, err := s.cfg.OpenID.Finish(r.Context(), r.URL.Query(), sealed)
	if err != nil {
		s.openIDFailed(w, r, "/", err)
		return
	}
	caller, err := s.identify(r, &session{person: &who})
	next = page.Local(next)
	switch {
	case err != nil: // the access file has just changed
		s.openIDFailed(w, r, next, openid.ErrStart)
		return
	case !caller.Role.May(auth.Viewer):
		s.failures.Do(func() { s.cfg.Logger.Warn("a person without a role has signed in", zap.String("who", caller.Who)) })
		s.showSignIn(w, r, http.StatusForbidden, next, s.base(r).T("no group with a role", caller.Who))
		return
	}
	id, _ := s.sessions.begin("", &who)
	setCookie(w, r, id, lastsFor)
	s.cfg.Logger.Info("signed in", zap.String("who", caller.Who), zap.String("role", string(caller.Role)), zap.String("by", string(caller.By)))
	d := s.base(r)
	d.Title, d.Who, d.Forward = d.T("sign in"), caller.Who, next
	s.render(w, http.StatusOK, "signedin.html", d)
}

// openIDFailed shows why a sign-in failed, beside the form for a token.
func (s *Site) openIDFailed(w http.ResponseWriter, r *http.Request, next string, err error) {
	b := s.base(r)
	title := ""
	if s.cfg.OpenID != nil {
		title, _ = s.cfg.OpenID.Offer()
	}
	var refused *openid.RefusedError
	code, text := http.StatusForbidden, ""
	switch {
	case errors.As(err, &refused):
		text = b.T("provider refused", title, refused.Code)
	case errors.Is(err, openid.ErrStart):
		code, text = http.StatusBadRequest, b.T("begin again")
	case errors.Is(err, openid.ErrAnswer):
		text = b.T("answer invalid", title)
	case errors.Is(err, openid.ErrBusy):
		code, text = http.StatusServiceUnavailable, b.T("too many sign-ins")
	case errors.Is(err, openid.ErrNoProvider):
		code, text = http.StatusNotFound, b.T("no provider")
	default:
		code, text = http.StatusServiceUnavailable, b.T("provider unusable", title)
	}
	s.failures.Do(func() { s.cfg.Logger.Warn("sign-in failed", zap.Error(err)) })
	s.showSignIn(w, r, code, next, text)
}
