package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"
	"go.uber.org/zap"

	"op25b/internal/auth"
	"op25b/internal/page"
	"op25b/internal/view/prose"
)

// A visit is one request for a page by a person who has at least the role viewer.
type visit struct {
	site    *Site
	w       http.ResponseWriter
	r       *http.Request
	caller  auth.Caller
	session *session
	clients // set by connect
	base
}

// connect makes the clients with which the page calls the API on behalf of the person. The overview needs none while the site has recent
// values, and making them takes as long as rendering it.
func (v *visit) connect() {
	v.clients = newClients(&inProcess{v.site.cfg.API, v.r, v.session.token, v.site.as(v.session)})
}

// base has the data that the frame of every page shows.
type base struct {
	Lang    string
	Path    string // the path and query of the page
	Section string // the selected menu entry
	Title   string
	Version string // the version of the assets
	Who     string
	Role    string
	CSRF    string
	Name    string // the name of the controller
	Wall    bool
	Now     time.Time
	Zone    *time.Location
	Live    bool   // the page has fragments that are updated
	Forward string // the path to which the page forwards the browser; empty if it does not
}

var errNoPage = errors.New("there is no such page")

// page returns the handler of a page that calls the API.
func (s *Site) page(show func(*visit) error) http.Handler {
	return s.visited(func(v *visit) error { v.connect(); return show(v) })
}

// visited returns the handler of a page that calls connect by itself if it calls the API.
func (s *Site) visited(show func(*visit) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := s.sessions.find(r)
		caller, err := s.identify(r, x)
		if err != nil {
			http.Redirect(w, r, "/signin?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
		if x == nil { // the connection identifies the caller; forms need the session's csrf value
			var id string
			id, x = s.sessions.begin("", nil)
			setCookie(w, r, id, lastsFor)
		}
		v := &visit{site: s, w: w, r: r, caller: caller, session: x, base: s.base(r)}
		v.Who, v.Role, v.CSRF = caller.Who, string(caller.Role), x.csrf
		if !caller.Role.May(auth.Viewer) {
			err = connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%s has no role", caller.Who))
		} else {
			err = show(v)
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// identify returns the caller of a request with a session, which may be nil.
func (s *Site) identify(r *http.Request, x *session) (auth.Caller, error) {
	call := r.Clone(s.as(x)(r.Context()))
	call.Header.Del("Authorization")
	if x != nil && x.token != "" {
		call.Header.Set("Authorization", "Bearer "+x.token)
	}
	return s.cfg.Identify(call)
}

// as returns a function that adds the person of a session, which may be nil, to the context of API calls.
func (s *Site) as(x *session) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context {
		if x != nil && x.person != nil {
			return s.cfg.As(ctx, *x.person)
		}
		return ctx
	}
}

func (s *Site) base(r *http.Request) base {
	at := r.URL.RequestURI()
	switch r.URL.Path { // a page that is the response to a form cannot be reloaded by a link
	case "/preview", "/change":
		at = "/programme"
	case "/rollout/start", "/rollout/pause", "/rollout/resume", "/rollout/abort":
		if r.Method == http.MethodPost {
			at = "/rollout"
		}
	case "/verify":
		at = "/changes"
	case auth.CallbackPath: // its query is of use only once
		at = "/"
	}
	return base{
		Lang: page.LanguageOf(r), Path: at, Version: s.assets.Version, Name: s.cfg.Name, Now: s.cfg.Now(), Zone: s.live.zone(),
		Wall: r.URL.Query().Has("wall"),
	}
}

// fail shows an error as a page, with the HTTP status for its code.
func (v *visit) fail(err error) {
	code := http.StatusInternalServerError
	switch connect.CodeOf(err) {
	case connect.CodeNotFound:
		code = http.StatusNotFound
	case connect.CodeInvalidArgument:
		code = http.StatusBadRequest
	case connect.CodePermissionDenied:
		code = http.StatusForbidden
	case connect.CodeUnauthenticated:
		code = http.StatusUnauthorized
	case connect.CodeFailedPrecondition, connect.CodeAborted:
		code = http.StatusConflict
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted:
		code = http.StatusServiceUnavailable
	}
	if errors.Is(err, errNoPage) {
		code = http.StatusNotFound
	}
	v.Title = v.T("problem")
	v.render(code, "error.html", struct {
		base
		Problem said
	}{v.base, v.problem(err)})
}

// A translated error is one that the page describes in the person's language. The error itself is in English.
type translated struct {
	text string
	error
}

func (e translated) Unwrap() error { return e.error }

// problem describes an error.
func (b base) problem(err error) said {
	if t := (translated{}); errors.As(err, &t) {
		return b.said(t.text, messageOf(t.error))
	}
	return b.foreign(messageOf(err))
}

// render writes a page. It renders the whole page before it writes, so that an error never leaves
// half a page.
func (v *visit) render(code int, name string, data any) { v.site.render(v.w, code, name, data) }

func (s *Site) render(w http.ResponseWriter, code int, name string, data any) {
	var b bytes.Buffer
	if err := s.templates.ExecuteTemplate(&b, name, data); err != nil {
		s.cfg.Logger.Error("page not rendered; this is a defect in op25b", zap.String("page", name), zap.Error(err))
		http.Error(w, "The page could not be rendered.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(visible(b.Bytes()))
}

// visible replaces characters that would move or hide other text, such as U+202E, by their code points, as the commands do. The templates have none,
// so they come from stored names and reasons, which could otherwise look like something else.
func visible(html []byte) []byte {
	moves := func(r rune) bool { return r != '\n' && r != '\t' && prose.Hidden(r) }
	if !bytes.ContainsFunc(html, moves) && utf8.Valid(html) {
		return html
	}
	var w bytes.Buffer
	for line := range bytes.Lines(html) {
		text, newline := bytes.CutSuffix(line, []byte("\n"))
		for i, part := range bytes.Split(text, []byte("\t")) {
			if i > 0 {
				w.WriteByte('\t')
			}
			w.WriteString(prose.Escape(string(part)))
		}
		if newline {
			w.WriteByte('\n')
		}
	}
	return w.Bytes()
}

// At formats a time in the policy's time zone.
func (b base) At(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "-"
	}
	return t.In(b.Zone).Format("2006-01-02 15:04:05 -0700")
}

// Stamp formats a time for the attribute datetime.
func (b base) Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
