package portal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"op25b/internal/lang"
	"op25b/internal/page"
	"op25b/internal/policy"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/content"
	"op25b/internal/portal/markdown"
	"op25b/internal/portal/published"
)

// A visit is one request for a page, or one page of an export.
type visit struct {
	site *Site
	ctx  context.Context
	view *published.View
	base

	address netip.Addr // the visitor's address; invalid in an export, and if it is not known
	form    url.Values // the fields of the form or of the query
	segment string     // the last part of the path, for pages that have one
}

// base has the data that the frame of every page shows.
type base struct {
	Lang    string
	Path    string // the path of the page
	Section string // the selected menu entry
	Title   string // plain text
	Heading template.HTML
	Version string // the version of the assets
	Name    string // the name of the ISP
	Static  bool   // the page is exported
	Content *content.Content

	Published bool // there is a publication
	Revision  uint64
	Stored    time.Time
	Confirmed time.Time
	Current   bool // a controller confirms the publication at present
	Now       time.Time
	Next      time.Time // in an export, the next moment at which the policy changes an answer; zero if none is known
	Zone      *time.Location
	hours     []time.Time // at which phases begin by dates that have an hour other than midnight

	root   string // in an export, the path from the page to the folder of its language
	prefix string // the path of the portal's address, without a slash at its end
}

// A reply is what a page function returns: a template with its data, or a redirect.
type reply struct {
	code     int // 0 means 200
	name     string
	data     any
	redirect string
	kind     string // the media type of body, which is served instead of a template
	body     []byte
	page     *page.Body // an HTML page that was rendered before
}

// A fault is an error that a visitor sees.
type fault struct {
	code int
	text func(base) string
}

// Error returns the text in English.
func (f *fault) Error() string { return f.text(base{Lang: string(lang.English)}) }

var (
	errNoPage   = &fault{http.StatusNotFound, func(b base) string { return b.T("no page") }}
	errNoCode   = &fault{http.StatusNotFound, func(b base) string { return b.T("no code") }}
	errNotYet   = &fault{http.StatusServiceUnavailable, func(b base) string { return b.T("nothing published") }}
	errNoAnswer = &fault{http.StatusServiceUnavailable, func(b base) string { return b.T("no answer now") }}
	errForm     = &fault{http.StatusBadRequest, func(b base) string { return b.T("form unread") }}
)

// pageWithin is the limit on the time to make a page, including the controller's answer and look-ups.
const pageWithin = 8 * time.Second

// page returns the handler of a page.
func (s *Site) page(show func(*visit) (reply, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := s.cfg.Now()
		ctx, cancel := context.WithTimeout(r.Context(), pageWithin)
		defer cancel()
		v := s.visit(ctx, s.language(w, r), r.URL.Path)
		v.segment = r.PathValue("code")
		if v.segment == "" {
			v.segment = r.PathValue("name")
		}
		v.address, _ = s.cfg.Proxies.Address(r)
		out, err := reply{}, r.ParseForm()
		v.form = r.Form
		if r.Method == http.MethodPost {
			v.form = r.PostForm
		}
		if err != nil {
			err = errForm
		} else {
			out, err = show(v)
		}
		if refused := (*refusedError)(nil); errors.As(err, &refused) {
			s.refuse(w, refused.Refusal)
			return
		}
		if err != nil {
			out = v.failed(err)
		}
		if out.code == 0 {
			out.code = http.StatusOK
		}
		defer func() { s.cfg.Metrics.served(r.Pattern, out.code, s.cfg.Now().Sub(begin)) }()
		if out.redirect != "" {
			out.code = http.StatusSeeOther
			http.Redirect(w, r, s.prefix+out.redirect, out.code) // to a path of this site that the portal made
			return
		}
		if out.page != nil {
			w.Header().Set("Content-Type", htmlType)
			out.page.Send(w, r, out.code)
			return
		}
		if out.kind != "" {
			w.Header().Set("Content-Type", out.kind)
			w.WriteHeader(out.code)
			_, _ = w.Write(out.body)
			return
		}
		s.render(w, out.code, out.name, out.data)
	})
}

// language returns the language of a request. The query ?lang= chooses one and sets the cookie.
func (s *Site) language(w http.ResponseWriter, r *http.Request) string {
	if chosen, known := lang.Find(r.URL.Query().Get("lang")); known {
		page.KeepLanguage(w, r, chosen)
		return string(chosen)
	}
	return page.LanguageOf(r)
}

// visit begins a visit.
func (s *Site) visit(ctx context.Context, language, path string) *visit {
	here := s.cfg.Now()
	view := s.cfg.Published.View()
	b := base{
		Lang: language, Path: path, Version: s.assets.Version, Content: s.cfg.Content, Name: s.cfg.Content.Site.Name.In(lang.Language(language)),
		Confirmed: view.Confirmed, Current: view.Current(here), Now: view.At(here), Zone: time.UTC, prefix: s.prefix,
	}
	if p := view.Publication; p != nil {
		b.Published, b.Revision, b.Stored, b.Zone = true, p.Revision, p.Stored, p.Policy().UTCOffset.Location()
		for _, x := range p.Policy().Beginnings() {
			if h, m, s := x.At.In(b.Zone).Clock(); h+m+s > 0 {
				b.hours = append(b.hours, x.At)
			}
		}
	}
	return &visit{site: s, ctx: ctx, view: view, base: b}
}

// pub returns the publication, or an error if there is none yet.
func (v *visit) pub() (*published.Publication, error) {
	if v.view.Publication == nil {
		return nil, errNotYet
	}
	return v.view.Publication, nil
}

// titled sets the menu entry and the title of the page. The title may have ruby.
func (v *visit) titled(section, title string) {
	v.Section = section
	v.Title, v.Heading = ruby(title)
}

// ruby returns a text without readings, and as HTML with ruby. Ruby is written as {漢字|かんじ}.
func ruby(text string) (plain string, html template.HTML) {
	line, err := markdown.ParseLine(text)
	if err != nil { // a text of the policy can have braces
		return text, template.HTML(template.HTMLEscapeString(text))
	}
	return line.Plain(), line.HTML()
}

// failed returns the page of an error.
func (v *visit) failed(err error) reply {
	var f *fault
	switch {
	case errors.As(err, &f):
	case errors.Is(err, answer.ErrNone):
		f = errNotYet
	case errors.Is(err, answer.ErrQuestion):
		f = errNoCode
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		f = errNoAnswer
	default:
		v.site.cfg.Logger.Error("page not made", zap.String("section", v.Section), zap.Error(err))
		f = errNoAnswer
	}
	v.titled("", v.T("problem"))
	return reply{code: f.code, name: "error.html", data: struct {
		base
		Text string
	}{v.base, f.text(v.base)}}
}

// htmlType is the media type of pages.
const htmlType = "text/html; charset=utf-8"

// rendered renders a page. An error is a defect, and is logged.
func (s *Site) rendered(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	err := s.templates.ExecuteTemplate(&b, name, data)
	if err != nil {
		s.cfg.Logger.Error("page not rendered; this is a defect in op25b", zap.String("page", name), zap.Error(err))
	}
	return b.Bytes(), err
}

// render writes a page. It renders the whole page before it writes, so that an error never leaves half a page.
func (s *Site) render(w http.ResponseWriter, code int, name string, data any) {
	page, err := s.rendered(name, data)
	if err != nil {
		http.Error(w, "The page could not be rendered.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", htmlType)
	w.WriteHeader(code)
	_, _ = w.Write(page) // an error means that the visitor has disconnected
}

// language returns the page's language.
func (b base) language() lang.Language { return lang.Language(b.Lang) }

// T returns a text in the page's language.
func (b base) T(key string, args ...any) string { return texts.T(b.Lang, key, args...) }

// Day formats the day of a time in the policy's time zone.
func (b base) Day(t time.Time) string {
	t = t.In(b.Zone)
	if b.language() == lang.Japanese {
		return fmt.Sprintf("%d年%d月%d日", t.Year(), t.Month(), t.Day())
	}
	return t.Format("2 January 2006")
}

// timed reports whether a phase begins at t by a date that has an hour.
func (b base) timed(t time.Time) bool { return slices.ContainsFunc(b.hours, t.Equal) }

// When formats the day from which a phase is in force, with the hour and the UTC offset if the policy says at which hour it begins. What operators
// have activated is shown by its day.
func (b base) When(t time.Time) string {
	switch {
	case !b.timed(t):
		return b.Day(t)
	case b.language() == lang.Japanese:
		return b.Day(t) + t.In(b.Zone).Format(" 15:04（UTC-07:00）")
	}
	return b.At(t)
}

// DayOf formats a date.
func (b base) DayOf(d policy.Date) string {
	return b.Day(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, b.Zone))
}

// At formats a time in the policy's time zone.
func (b base) At(t time.Time) string {
	if b.language() == lang.Japanese {
		return b.Day(t) + t.In(b.Zone).Format(" 15:04")
	}
	return b.Day(t) + t.In(b.Zone).Format(", 15:04 (UTC-07:00)")
}

// Stamp formats a time for the attribute datetime.
func (b base) Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Link returns the address of a page of the portal, such as "/programme". In an export, the address is relative.
func (b base) Link(path string) string {
	if !b.Static {
		return b.prefix + path
	}
	if shared(path) {
		return b.root + "../" + path[1:]
	}
	return b.root + fileOf(path)
}

// below returns the path of a page below the address of the site, without a slash at its beginning.
func (b base) below(path string) string {
	if b.Static {
		return b.Lang + "/" + fileOf(path)
	}
	return path[1:]
}

// Other returns the address of the page in the other language.
func (b base) Other() string {
	if !b.Static {
		return b.prefix + b.Path + "?lang=" + b.T("other language")
	}
	return b.root + "../" + b.T("other language") + "/" + fileOf(b.Path)
}

// Asset returns the address of an embedded file.
func (b base) Asset(file string) string {
	if b.Static {
		return b.root + "../assets/" + file
	}
	return b.prefix + "/assets/" + file + "?" + b.Version
}

// fileOf returns the file of a page in an export, relative to the folder of its language.
func fileOf(path string) string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return "index.html"
	}
	return path + ".html"
}
